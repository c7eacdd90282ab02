//! Every check by name: what it says, which findings it makes, and how it came out.

use super::{Asked, Input, heads_only};
use crate::audit::finding::Finding;
use crate::audit::verdict::CheckResult;
use crate::core::finding::{Code, Severity};

/// One line of the report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckLine {
    /// Stable name.
    pub name: &'static str,
    /// What holds where it passed.
    pub what: &'static str,
    /// How it came out.
    pub result: CheckResult,
    /// How often it was applied.
    pub count: u64,
    /// Whether the verdict needs it.
    pub required: bool,
    /// Where it was not made although the verdict needs it: what was missing.
    pub missing: Option<&'static str>,
    /// Where it was not made and nobody asked: how to have it made.
    pub hint: Option<&'static str>,
}

/// What makes a check apply.
#[derive(Clone, Copy)]
enum When {
    /// Always.
    Always,
    /// With `--rp-id`; without it the verdict is at best incomplete.
    RpId,
    /// With `--allow-origin`; likewise.
    Origin,
    /// Only where it was asked for or there is something: the text says how.
    Asked(&'static str),
}

struct Check(&'static str, &'static [Code], When, &'static str);

use Code as C;

const TABLE: &[Check] = &[
    Check(
        "head-signature",
        &[C::HeadSignatureInvalid, C::HeadMalformed],
        When::Always,
        "every served head is signed by the pinned log key",
    ),
    Check(
        "head-against-heads",
        &[C::SameSizeFork, C::SthTimeContradiction],
        When::Always,
        "no two signed heads contradict each other",
    ),
    Check(
        "head-against-tree",
        &[C::InconsistentHeads],
        When::Always,
        "every signed head is a prefix of the rebuilt tree",
    ),
    Check(
        "head-rollback",
        &[C::HeadRollback],
        When::Always,
        "the log did not go back behind a head that it signed",
    ),
    Check(
        "head-time",
        &[C::HeadInFuture, C::SthTimeDisorder],
        When::Asked("the log serves no STH, and a checkpoint has no time"),
        "no head is dated in the future, or later than a larger one",
    ),
    Check(
        "head-age",
        &[C::HeadStale],
        When::Asked("ask for it with --max-head-age"),
        "the newest head is fresh enough",
    ),
    Check(
        "root",
        &[C::RootMismatch, C::Gap],
        When::Always,
        "the entries hash to the signed root, with none missing",
    ),
    Check(
        "tiles",
        &[C::TileMismatch],
        When::Asked("the log serves no Merkle tiles"),
        "the served Merkle tiles are those of the entries",
    ),
    Check(
        "served-proofs",
        &[C::ProofInvalid],
        When::Asked("a tiled log serves no proofs"),
        "the proofs that the log serves verify (a sample of them; with --full all)",
    ),
    Check(
        "head-list",
        &[],
        When::Asked("a tiled log does not list the heads that it signed"),
        "the log's own list has every signed head that is held here",
    ),
    Check(
        "verification-bundles",
        &[],
        When::Asked("a tiled log serves no verification bundles"),
        "what verifiers of one approval are given is what is in the log (a sample; with --full all)",
    ),
    Check(
        "leaf-form",
        &[C::LeafMalformed, C::LeafNotCanonical],
        When::Always,
        "every leaf is one entry in canonical form",
    ),
    Check("entry-origin", &[C::OriginMismatch], When::Always, "every entry names this log"),
    Check("entry-times", &[C::TimeOrder], When::Always, "requested, decided and expiry times are in order"),
    Check(
        "entry-encoding",
        &[C::EncodingInvalid],
        When::Always,
        "every value is in its one exact encoding and size",
    ),
    Check("sizes", &[C::EncodingInvalid], When::Always, "every part of an assertion has a possible size"),
    Check(
        "assertion-presence",
        &[C::AssertionMissing, C::AssertionUnexpected],
        When::Always,
        "approvals, and only they, carry an assertion",
    ),
    Check("client-data", &[C::ClientDataMalformed], When::Always, "the client data is strict JSON"),
    Check("client-data-type", &[C::ClientDataType], When::Always, "it is of an assertion"),
    Check(
        "challenge",
        &[C::ChallengeMismatch],
        When::Always,
        "what was signed is this nonce and this payload hash",
    ),
    Check("origin", &[C::OriginNotAllowed], When::Origin, "it was signed on an allowed web origin"),
    Check(
        "cross-origin",
        &[C::CrossOrigin, C::TopOriginNotAllowed],
        When::Always,
        "it was not signed inside a stranger's frame",
    ),
    Check(
        "rp-id",
        &[C::RpIdMismatch],
        When::RpId,
        "approvals were signed for the pinned relying party; the rpId of other entries is not judged",
    ),
    Check("user-present", &[C::UserNotPresent], When::Always, "the authenticator saw a person"),
    Check("user-verified", &[C::UserNotVerified], When::Always, "the authenticator verified the person"),
    Check("backup-flags", &[C::BackupFlags], When::Always, "the backup flags are possible"),
    Check(
        "authenticator-data",
        &[C::AuthDataMalformed, C::AttestedDataPresent],
        When::Always,
        "the authenticator data is well formed",
    ),
    Check(
        "key",
        &[C::KeyMalformed, C::KeyUnsupported, C::KeyEncodingOdd],
        When::Always,
        "the passkey's public key is valid",
    ),
    Check(
        "signature",
        &[C::SignatureMalformed, C::SignatureInvalid],
        When::Always,
        "the passkey's signature verifies",
    ),
    Check(
        "pinned-keys",
        &[C::KeyNotPinned],
        When::Asked("pin keys under [approvers] in the config"),
        "approvers sign with their pinned keys only",
    ),
    Check("unique-id", &[C::IdDuplicate], When::Always, "no id stands twice"),
    Check("unique-nonce", &[C::NonceReused], When::Always, "no nonce stands twice"),
    Check("unique-assertion", &[C::AssertionReused], When::Always, "no assertion stands twice"),
    Check("key-ownership", &[C::KeyShared], When::Always, "no passkey signs for two approvers"),
    Check(
        "key-history",
        &[C::CredentialRelabelled, C::BackupEligibilityChanged, C::SignCountRegression],
        When::Always,
        "each passkey's history is plausible",
    ),
    Check(
        "decided-before-head",
        &[C::DecidedAfterHead],
        When::Asked("the log serves no STH, and a checkpoint has no time"),
        "entries were decided before the head that covers them",
    ),
    Check(
        "reveals",
        &[C::RevealMismatch, C::PayloadMismatch, C::EmailMismatch],
        When::Asked("no verification bundle that was asked for had one"),
        "public reveals are what the entries commit to",
    ),
    Check("anchors", &[], When::Asked("not part of this version"), "heads are anchored in time"),
    Check(
        "witnesses",
        &[C::WitnessQuorum],
        When::Asked(NEED_POLICY),
        "the newest checkpoint has the cosignatures that the policy asks for",
    ),
    Check("peers", &[], When::Asked(NEED_PEERS), "the heads that peers were shown were held against ours"),
];

/// Checks of what a JSON API alone answers.
const ONLY_API: [&str; 3] = ["served-proofs", "head-list", "verification-bundles"];

const NO_QUORUM: &str = "the policy asks for no cosignatures (quorum none)";

const NEED_RP_ID: &str = "give the relying party id with --rp-id";
const NEED_POLICY: &str = "give a witness policy with --policy";
const NEED_PEERS: &str = "name others who watch this log with [[peer]] in the config";
const NEED_ORIGIN: &str = "give the allowed web origins with --allow-origin";

/// The check of what only a JSON API answers that a finding is about: its subject begins with what was
/// asked for.
fn about_answers(finding: &Finding) -> Option<&'static str> {
    match finding.subject.split(' ').next() {
        Some("heads") => Some("head-list"),
        Some("consistency" | "inclusion") => Some("served-proofs"),
        Some("verification") => Some("verification-bundles"),
        _ => None,
    }
}

/// All checks, in the order of the specification.
pub(super) fn lines(input: &Input) -> Vec<CheckLine> {
    TABLE.iter().map(|check| line(check, input)).collect()
}

/// What is known of a check before any audit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Foreseen {
    /// It will be made.
    Made,
    /// It will be made if the log has what it is about.
    IfThere,
    /// It will not be made: this is missing.
    NotMade(&'static str),
}

/// Before any audit: what each check would say, and whether it will be made. `api`: of a JSON API.
pub fn foreseen(asked: Asked, api: bool) -> Vec<(&'static str, Foreseen)> {
    let needs = |given: bool, how| if given { Foreseen::Made } else { Foreseen::NotMade(how) };
    let one = |Check(name, _, when, _): &Check| match when {
        _ if asked.heads_only && heads_only::leaves_out(name) => Foreseen::NotMade(heads_only::WHY),
        When::Always => Foreseen::Made,
        When::RpId => needs(asked.rp_id, NEED_RP_ID),
        When::Origin => needs(asked.origins, NEED_ORIGIN),
        When::Asked(how) => match *name {
            "pinned-keys" => needs(asked.pinned_keys, how),
            "witnesses" if asked.quorum == Some(false) => Foreseen::NotMade(NO_QUORUM),
            "witnesses" => needs(asked.quorum.is_some(), NEED_POLICY),
            "peers" => needs(asked.peers, how),
            "head-age" if !asked.head_age => Foreseen::NotMade(how),
            "anchors" => Foreseen::NotMade(how),
            "tiles" if api => Foreseen::NotMade(how),
            name if ONLY_API.contains(&name) && !api => Foreseen::NotMade(how),
            _ => Foreseen::IfThere,
        },
    };
    TABLE.iter().map(|check| (says(check, asked), one(check))).collect()
}

fn says(Check(name, _, _, what): &Check, asked: Asked) -> &'static str {
    if asked.heads_only { heads_only::says(name, what) } else { what }
}

fn line(check: &Check, input: &Input) -> CheckLine {
    let Check(name, codes, when, what) = check;
    let count = input.tally.get(name);
    let applied = count.passed.saturating_add(count.failed);
    let failed = input.findings.iter().any(|f| {
        let belongs = match about_answers(&f.finding) {
            Some(check) => check == *name,
            None => codes.contains(&f.finding.code),
        };
        belongs && f.finding.severity > Severity::Info
    });
    // A head that contradicts the tree does so for ever, under whichever finding it was reported.
    let failed = failed || (*name == "head-against-tree" && count.failed > 0);
    if input.asked.heads_only && heads_only::leaves_out(name) {
        return heads_only::line(name, what, failed);
    }
    let missing = match when {
        When::RpId if !input.asked.rp_id => Some(NEED_RP_ID),
        When::Origin if !input.asked.origins => Some(NEED_ORIGIN),
        _ => None,
    };
    // Never applied: that is a pass only where there was nothing to apply it to, because all entries
    // of the head were checked and none is of the kind (an empty log has none at all).
    let entries = &input.entries;
    let vacuous =
        count.not_checked == 0 && input.log.tree_size == Some(entries.total) && entries.approved == 0;
    let api = input.log.source.starts_with("api+");
    let only_api = ONLY_API.contains(name);
    // The list is either read to its end and complete, or nothing is known of what it lacks; heads of which one is not
    // proved are not all of one history; and it is no pass that one of two peers was compared with.
    let linking = input.asked.heads_only && *name == "head-against-tree";
    let undecided = (["head-list", "peers"].contains(name) || linking) && count.not_checked > 0;
    let made = match when {
        _ if undecided => false,
        When::Always | When::RpId | When::Origin => missing.is_none() && (applied > 0 || vacuous),
        When::Asked(_) => applied > 0,
    };
    let result = match (failed, made && !input.nothing_judged) {
        (true, _) => CheckResult::Failed,
        (false, true) => CheckResult::Passed,
        (false, false) => CheckResult::NotChecked,
    };
    // The first head of a log can be compared with nothing; where one could and was not, the run says so.
    let alone = linking && applied == 0 && count.not_checked == 0;
    // What was asked for and could not be made must not read as if nobody had asked.
    let hint = match when {
        _ if alone => Some(heads_only::ONE_TREE),
        _ if linking && result == CheckResult::NotChecked => Some("not all signed heads could be proved"),
        When::Asked(_)
            if *name == "head-age" && input.asked.head_age && result == CheckResult::NotChecked =>
        {
            Some("the log serves no STH, and a checkpoint has no time")
        }
        When::Asked(_) if *name == "witnesses" && result == CheckResult::NotChecked => {
            Some(match input.asked.quorum {
                None => NEED_POLICY,
                Some(false) => NO_QUORUM,
                Some(true) => "no checkpoint could be held against the policy",
            })
        }
        When::Asked(_) if *name == "pinned-keys" && input.asked.pinned_keys && applied == 0 => {
            Some("none of the approvers with pinned keys has approved anything")
        }
        When::Asked(_) if *name == "peers" && input.asked.peers && result == CheckResult::NotChecked => {
            Some("not every peer could be compared with")
        }
        // What the source could have answered, but the audit did not get to ask.
        When::Asked(_) if api && input.asked.heads_only && *name == "served-proofs" => {
            Some("no head was left to be proved")
        }
        When::Asked(_) if api && only_api => None,
        When::Asked(_) if *name == "decided-before-head" && entries.total == 0 => None,
        When::Asked(how) if result == CheckResult::NotChecked => Some(*how),
        _ => None,
    };
    let asked = match *name {
        "witnesses" => input.asked.quorum == Some(true),
        "peers" => input.asked.peers,
        _ => false,
    };
    let required = asked || !(alone || matches!(when, When::Asked(_)));
    CheckLine { name, what: says(check, input.asked), result, count: applied, required, missing, hint }
}
