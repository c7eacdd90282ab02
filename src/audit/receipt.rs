//! One receipt, checked without the log (specification sections 8 and 9).
//!
//! A clean verdict proves that a passkey signed this nonce and payload hash, for a relying party and on a web origin
//! that the caller trusts, with a person present and verified; that the log whose key the caller trusts committed to
//! exactly this entry; and that the entry meets the caller's expectation. What it does *not* prove is always listed
//! in [`Verdict::not_proven`].
//!
//! [`verify_receipt`] is a pure function: it does no I/O and takes the time as the argument `now`. Hostile bytes lead
//! to a verdict, never to a panic; their size is bounded by [`limits::MAX_RECEIPT`].

use super::expected;
use super::receipt_case::Case;
use super::receipt_entry;
use super::trust::{Expectation, TrustPolicy};
use super::verdict::Verdict;
use crate::core::check::Check;
use crate::core::checkpoint::CheckpointBody;
use crate::core::entry::{OriginUncheckedReading, read_leaf};
use crate::core::evidence::{self, EvidenceKind};
use crate::core::finding::Code;
use crate::core::hash::leaf_hash;
use crate::core::head::{Head, HeadError, HeadFormat, LogKey};
use crate::core::limits;
use crate::core::note::Note;
use crate::core::proof::verify_inclusion;
use crate::core::receipt::{Receipt, ReceiptForm};
use crate::core::sth::SthBody;
use crate::core::text;
use crate::core::time::UnixMillis;
use crate::core::tlog_policy::{CosignError, FreshnessWindow, QuorumResult};
use crate::core::webauthn::KeyCache;

const NO_KEY: &str = "the log's public key was not given (--log-key), and without it no head means anything";

/// Checks one receipt: an `approval-receipt/v1`, a verification bundle of the JSON API, or a `.tlog-proof` with its
/// leaf.
///
/// `now` is the time of the check. Errors are verdicts, so that a caller who ignores an error cannot run the
/// action by mistake:
///
/// - if the bytes do not parse as a receipt, the check `leaf` fails: [`Conclusion::Invalid`];
/// - if the caller's trust policy or expectation lacks something, a check is not made: [`Conclusion::Incomplete`];
/// - if the caller's payload is not strict JSON, [`Verdict::usage`] says so: also [`Conclusion::Incomplete`];
/// - if no single log could have signed both heads in the receipt: [`Conclusion::Violation`], with
///   [`Verdict::evidence`];
/// - if two implementations of a signature algorithm disagree: [`Conclusion::LocalFault`], and [`Verdict::faults`]
///   names the algorithm.
///
/// [`Conclusion::Invalid`]: super::conclusion::Conclusion::Invalid
/// [`Conclusion::Incomplete`]: super::conclusion::Conclusion::Incomplete
/// [`Conclusion::Violation`]: super::conclusion::Conclusion::Violation
/// [`Conclusion::LocalFault`]: super::conclusion::Conclusion::LocalFault
pub fn verify_receipt(
    bytes: &[u8],
    trust: &TrustPolicy,
    expected: &Expectation<'_>,
    now: UnixMillis,
) -> Verdict {
    verify_receipt_with(bytes, trust, expected, now, &mut KeyCache::new())
}

/// Like [`verify_receipt`], for many receipts: parsed passkeys are cached in `keys`.
pub fn verify_receipt_with(
    bytes: &[u8],
    trust: &TrustPolicy,
    expected: &Expectation<'_>,
    now: UnixMillis,
    keys: &mut KeyCache,
) -> Verdict {
    let (receipt, entry) = match Receipt::read(bytes) {
        Ok(read) => read,
        Err(why) => return no_receipt(&why.0, expected),
    };
    let mut verdict = Verdict::blank();
    check(&mut verdict, &Case { receipt: &receipt, trust, expected, now }, entry, keys);
    expected::say_not_proven(&mut verdict, expected);
    verdict
}

/// The verdict on input that is not a receipt, whatever was expected of it: the check `leaf` fails.
pub fn no_receipt(why: &str, expected: &Expectation<'_>) -> Verdict {
    let mut verdict = Verdict::blank();
    verdict.fail(Check::Leaf, None, format!("this is not a receipt: {}", text::escape(why)));
    expected::say_not_proven(&mut verdict, expected);
    verdict
}

fn check(verdict: &mut Verdict, case: &Case<'_>, entry: Option<OriginUncheckedReading>, keys: &mut KeyCache) {
    let (receipt, log_keys) = (case.receipt, &case.trust.log_keys);
    verdict.index = Some(receipt.index);
    // The claims of the unverified checkpoint matter only if there is no key, or more than one to choose from.
    let claimed = (log_keys.len() != 1).then(|| claimed_body(&receipt.checkpoint));
    let claimed = claimed.as_ref();
    let body = claimed.and_then(|body| body.as_ref().ok());
    let origin = body.map(|body| body.origin.as_str());
    let key = key_of(receipt, log_keys, origin);
    let heads = match (key, claimed) {
        (Some(key), _) => check_heads(verdict, case, key),
        (None, claimed) => unkeyed(verdict, receipt, claimed.and_then(|body| body.as_ref().err())),
    };
    check_inclusion(verdict, receipt, &heads, body.filter(|_| key.is_none()));
    let cosigned = check_witnesses(verdict, case);
    if let Some(origin) = key.map(LogKey::origin).or(origin) {
        let reading = match entry {
            Some(entry) => entry.check_origin(origin),
            None => read_leaf(&receipt.leaf, origin),
        };
        if let Some((entry, passkey)) =
            receipt_entry::check(verdict, reading, key.is_some(), case.trust, keys)
        {
            receipt_entry::check_decided(verdict, &entry, heads.sth.as_ref());
            expected::check(verdict, case, &entry, passkey, cosigned.as_ref());
        }
    }
    if receipt.anchor_count > 0 {
        let count = receipt.anchor_count;
        verdict
            .not_proven
            .push(format!("when the log had this tree: its {count} anchor(s) were not checked").into());
    }
}

/// Checks the cosignatures of the policy's witnesses on a checkpoint that the log signed (C2SP tlog-policy).
fn check_witnesses(verdict: &mut Verdict, case: &Case<'_>) -> Option<QuorumResult> {
    let check = Check::Witnesses;
    let policy = match &case.trust.witnesses {
        None => {
            verdict.leave(check, "no witness policy was given (--policy)");
            return None;
        }
        Some(policy) if !policy.has_quorum() => {
            verdict.leave(check, "the policy asks for no witness (quorum none)");
            return None;
        }
        Some(policy) => policy,
    };
    if !verdict.holds(Check::Checkpoint) {
        verdict.miss(check, "cosignatures under a checkpoint that does not verify mean nothing");
        return None;
    }
    let fresh = case.expected.max_age.map(|age| FreshnessWindow {
        // An age that reaches back behind 1970 allows every time, and the end of time every later one.
        not_before: case.now.saturating_sub(age).second(),
        not_after: case.now.saturating_add(limits::CLOCK_SKEW).second(),
    });
    match policy.check_cosignatures(&case.receipt.checkpoint, fresh) {
        Ok(cosigned) => {
            let (found, all, quorum) = (cosigned.by.len(), cosigned.of, policy.quorum_text());
            if cosigned.quorum {
                verdict.pass(
                    check,
                    format!("{found} of {all} witnesses cosigned, which is a quorum ({quorum})"),
                );
            } else {
                let why = format!("{found} of {all} witnesses cosigned, which is not a quorum ({quorum})");
                verdict.fail(check, Code::WitnessQuorum, why);
            }
            Some(cosigned)
        }
        Err(CosignError::Disagreement(what)) => {
            verdict.leave(check, "could not be decided");
            verdict.faults.push(what);
            None
        }
        Err(why) => {
            verdict.fail(check, Code::WitnessQuorum, why.to_string());
            None
        }
    }
}

/// The key to verify the checkpoint with. If the log has had two keys, it is the one that a signature line of the
/// checkpoint names. For a checkpoint of another log, the key that is returned cannot have signed it, so the
/// signature check fails.
fn key_of<'k>(receipt: &Receipt, log_keys: &'k [LogKey], origin: Option<&str>) -> Option<&'k LogKey> {
    let of_this_log: Vec<&LogKey> = log_keys.iter().filter(|key| Some(key.origin()) == origin).collect();
    let named = || {
        let note = Note::parse(&receipt.checkpoint).ok()?;
        let is_by = |key: &LogKey| {
            let (name, id) = (key.verifier().name(), key.verifier().id());
            note.signatures().iter().any(|line| line.name == name && line.key_id == id)
        };
        of_this_log.iter().copied().find(|key| is_by(key))
    };
    match of_this_log.as_slice() {
        [] => log_keys.first(),
        [one] => Some(one),
        [first, ..] => named().or(Some(first)),
    }
}

/// The claims of the checkpoint, not authenticated.
fn claimed_body(checkpoint: &[u8]) -> Result<CheckpointBody, String> {
    if checkpoint.len() > limits::MAX_CHECKPOINT {
        return Err("the checkpoint is too long".to_owned());
    }
    let note = Note::parse(checkpoint).map_err(|error| error.to_string())?;
    CheckpointBody::parse(note.text()).map_err(|why| format!("not a checkpoint: {why}"))
}

/// The heads of the receipt that the log's key signed.
struct Heads {
    checkpoint: Option<Head>,
    sth: Option<Head>,
}

fn check_heads(verdict: &mut Verdict, case: &Case<'_>, key: &LogKey) -> Heads {
    let receipt = case.receipt;
    let mut heads = Heads { checkpoint: None, sth: None };
    heads.checkpoint = verified(verdict, Check::Checkpoint, HeadFormat::Checkpoint, &receipt.checkpoint, key);
    match &receipt.sth {
        Some(sth) => heads.sth = verified(verdict, Check::Sth, HeadFormat::Sth, sth, key),
        None => verdict.leave(Check::Sth, "the receipt has none, so nothing says when the log had this tree"),
    }
    if let (Some(checkpoint), Some(sth)) = (&heads.checkpoint, &heads.sth) {
        compare_heads(verdict, receipt, checkpoint, sth, key);
    }
    if let Some(time) = heads.sth.as_ref().and_then(Head::timestamp)
        // A saturated bound is at the end of time, and no time is later.
        && time > case.now.saturating_add(limits::CLOCK_SKEW)
        && verdict.holds(Check::Sth)
    {
        verdict.warn(Check::Sth, Code::HeadInFuture, format!("dated {time}, which is ahead of the clock"));
    }
    heads
}

/// Without the log's key, a head can only be found to be malformed.
fn unkeyed(verdict: &mut Verdict, receipt: &Receipt, malformed: Option<&String>) -> Heads {
    match malformed {
        None => verdict.miss(Check::Checkpoint, NO_KEY),
        Some(why) => verdict.fail(Check::Checkpoint, Code::HeadMalformed, text::escape(why)),
    }
    match receipt.sth.as_deref().map(SthBody::parse) {
        Some(Err(why)) => verdict.fail(
            Check::Sth,
            Code::HeadMalformed,
            format!("not an STH: {}", text::reason(&why.to_string())),
        ),
        Some(Ok(_)) => verdict.miss(Check::Sth, NO_KEY),
        None => verdict.leave(Check::Sth, "the receipt has none"),
    }
    Heads { checkpoint: None, sth: None }
}

fn verified(
    verdict: &mut Verdict,
    check: Check,
    format: HeadFormat,
    raw: &[u8],
    key: &LogKey,
) -> Option<Head> {
    match Head::verify_as(format, raw, key) {
        Ok(head) => {
            let time = head.timestamp().map_or(String::new(), |time| format!(", dated {time}"));
            let size = head.size();
            verdict.pass(check, format!("signed by the log's key, for {size} entries{time}"));
            return Some(head);
        }
        Err(HeadError::Malformed(why)) => verdict.fail(check, Code::HeadMalformed, text::escape(&why)),
        Err(HeadError::NotSigned(why)) => verdict.fail(check, Code::HeadSignatureInvalid, text::escape(&why)),
        Err(HeadError::Disagreement(what)) => {
            verdict.leave(check, "could not be decided");
            verdict.faults.push(what);
        }
    }
    None
}

/// Checks that the STH is the same head as the checkpoint, with a time (specification section 3).
fn compare_heads(verdict: &mut Verdict, receipt: &Receipt, checkpoint: &Head, sth: &Head, key: &LogKey) {
    if checkpoint.size() == sth.size() {
        if checkpoint.root() != sth.root() {
            report_fork(verdict, checkpoint, sth, key);
        }
        return;
    }
    let other = format!(
        "it is for another tree: the checkpoint has {} entries, the STH {}, and nothing here links the two",
        checkpoint.size(),
        sth.size()
    );
    match receipt.form {
        // An honest log can grow between the two requests. A bundle that is fetched again has both heads over one
        // tree.
        ReceiptForm::Bundle if receipt.tree_size == Some(sth.size()) => {
            verdict.miss(Check::Checkpoint, other)
        }
        ReceiptForm::Bundle => verdict.miss(Check::Sth, other),
        ReceiptForm::Receipt | ReceiptForm::TlogProof => verdict.fail(Check::Sth, None, other),
    }
}

/// Reports two signed roots of the same size. The proof is verified as a third party would verify it before anybody
/// is accused.
fn report_fork(verdict: &mut Verdict, checkpoint: &Head, sth: &Head, key: &LogKey) {
    let context = [("observer", "countersign verify, of one receipt".to_owned())];
    match evidence::prove(EvidenceKind::SameSizeFork, [checkpoint, sth], None, &context, key) {
        Ok((file, proved)) => {
            verdict.fail(Check::Sth, Code::SameSizeFork, proved.to_string());
            verdict.evidence = Some(file);
        }
        Err(error) => verdict.faults.push(format!("the proof of a fork does not verify: {error}")),
    }
}

/// `claimed` is the unverified checkpoint if there was no key to verify it with.
fn check_inclusion(
    verdict: &mut Verdict,
    receipt: &Receipt,
    heads: &Heads,
    claimed: Option<&CheckpointBody>,
) {
    let leaf = leaf_hash(&receipt.leaf);
    let lead = |size, root| verify_inclusion(leaf, receipt.index, size, &receipt.path, root);
    let fits = |head: &&Head| receipt.tree_size.is_none_or(|size| size == head.size());
    // Only a bundle states the tree size of its proof. All other forms prove inclusion in the tree of the checkpoint.
    let sth = heads.sth.as_ref().filter(|_| receipt.tree_size.is_some());
    let verified = heads.checkpoint.iter().chain(sth);
    match (verified.clone().find(fits), claimed) {
        (Some(head), _) => match lead(head.size(), head.root()) {
            Ok(()) => {
                let (index, size, root) = (receipt.index, head.size(), head.root());
                verdict.pass(Check::Inclusion, format!("entry {index} of {size}, under root {root}"));
            }
            Err(why) => verdict.fail(Check::Inclusion, Code::ProofInvalid, why.to_string()),
        },
        (None, Some(body)) if receipt.tree_size.is_none_or(|size| size == body.size) => {
            match lead(body.size, body.root) {
                Ok(()) => verdict
                    .miss(Check::Inclusion, "the path leads to a root that none of the given keys signed"),
                Err(why) => verdict.fail(Check::Inclusion, Code::ProofInvalid, why.to_string()),
            }
        }
        (None, Some(_)) => verdict.miss(Check::Inclusion, NO_KEY),
        (None, None) => match (receipt.tree_size, verified.count()) {
            (Some(size), 1..) => {
                let why =
                    format!("the path is in a tree of {size} entries, and no head here is of that tree");
                verdict.fail(Check::Inclusion, Code::ProofInvalid, why);
            }
            _ => verdict
                .leave(Check::Inclusion, "no head verifies, so there is no root to compare the path with"),
        },
    }
}
