//! Checks the cosignatures of one checkpoint against a policy.

use super::{TlogPolicy, display_name};
use crate::core::checkpoint::CheckpointBody;
use crate::core::crypto::SignatureError;
use crate::core::limits;
use crate::core::note::{Note, SignedTime};
use crate::core::time::UnixSeconds;
use std::fmt;

/// The times at which a cosignature is fresh, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FreshnessWindow {
    /// The earliest time.
    pub not_before: UnixSeconds,
    /// The latest time.
    pub not_after: UnixSeconds,
}

impl FreshnessWindow {
    /// A time of 0 means "no statement" (C2SP tlog-cosignature), so no window contains it.
    fn contains(self, time: UnixSeconds) -> bool {
        time != NO_STATEMENT && (self.not_before..=self.not_after).contains(&time)
    }
}

/// The time of a cosignature that states none.
const NO_STATEMENT: UnixSeconds = UnixSeconds::new(0);

/// A witness of the policy that cosigned the checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cosignature {
    /// Its name in the policy, safe to display.
    pub witness: String,
    /// The time of its newest fresh cosignature, or of its newest one if none is fresh. `None` if it states only that
    /// the tree is consistent, not when this was the largest tree that it had seen.
    pub time: Option<UnixSeconds>,
    /// Whether it is fresh; `None` if no window was given.
    pub fresh: Option<bool>,
}

/// The result of checking a checkpoint against a policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuorumResult {
    /// The witnesses that cosigned, each once, in the order of the policy.
    pub by: Vec<Cosignature>,
    /// The number of witnesses in the policy.
    pub of: usize,
    /// Whether the quorum is reached, counting cosignatures of any age. Always true for a policy with `quorum none`; see
    /// [`TlogPolicy::has_quorum`].
    pub quorum: bool,
    /// Whether fresh cosignatures alone reach the quorum; `None` if no window was given.
    pub fresh_quorum: Option<bool>,
}

/// Why a checkpoint could not be checked against a policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CosignError {
    /// It is not a checkpoint.
    Malformed(String),
    /// A line has the key name and key id of a witness of the policy, but is not its signature. C2SP signed-note requires
    /// that the whole note is rejected.
    BadCosignature {
        /// The witness's name in the policy, safe to display.
        witness: String,
        /// What is wrong with the line.
        why: String,
    },
    /// Two implementations disagree: a local fault, and nobody is accused.
    Disagreement(String),
}

impl fmt::Display for CosignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CosignError::Malformed(why) | CosignError::Disagreement(why) => f.write_str(why),
            CosignError::BadCosignature { witness, why } => {
                write!(f, "a signature line that names witness {witness} is not by that witness: {why}")
            }
        }
    }
}

impl std::error::Error for CosignError {}

impl TlogPolicy {
    /// Verifies every line of the checkpoint that names a witness of this policy, and evaluates the quorum. Other lines,
    /// including the log's own, are ignored.
    ///
    /// The caller must have verified the log's signature on these same bytes with
    /// [`Head::verify_checkpoint`](crate::core::head::Head::verify_checkpoint): cosignatures under a checkpoint that the log
    /// did not sign mean nothing.
    ///
    /// # Errors
    /// [`CosignError`]. If one line is forged and the libraries disagree about another, the error names the forged one,
    /// which both libraries refused.
    pub fn check_cosignatures(
        &self,
        checkpoint: &[u8],
        fresh: Option<FreshnessWindow>,
    ) -> Result<QuorumResult, CosignError> {
        if checkpoint.len() > limits::MAX_CHECKPOINT {
            return Err(CosignError::Malformed("the checkpoint is too long".to_owned()));
        }
        let note = Note::parse(checkpoint).map_err(|error| CosignError::Malformed(error.to_string()))?;
        CheckpointBody::parse(note.text())
            .map_err(|why| CosignError::Malformed(format!("not a checkpoint: {why}")))?;
        let mut times: Vec<Option<UnixSeconds>> = vec![None; self.witnesses.len()];
        let mut disputed = None;
        for line in note.signatures() {
            let mut witnesses = self.witnesses.iter().zip(times.iter_mut());
            let found = witnesses
                .find(|(witness, _)| witness.key.name() == line.name && witness.key.id() == line.key_id);
            let Some((witness, newest)) = found else { continue };
            match witness.key.verify(note.text(), &line.signature) {
                // Both kinds of witness keys state a time in seconds. Each witness counts once, with its best line.
                Ok(Some(SignedTime::Cosignature(time))) => *newest = Some(better(*newest, time, fresh)),
                Ok(Some(SignedTime::TreeHead(_)) | None) => {
                    *newest = Some(better(*newest, NO_STATEMENT, fresh));
                }
                Err(SignatureError::Disagreement(what)) => disputed = disputed.or(Some(what.to_string())),
                Err(error) => {
                    let (witness, why) = (display_name(&witness.name), error.to_string());
                    return Err(CosignError::BadCosignature { witness, why });
                }
            }
        }
        match disputed {
            Some(what) => Err(CosignError::Disagreement(what)),
            None => Ok(self.count(&times, fresh)),
        }
    }

    fn count(&self, times: &[Option<UnixSeconds>], fresh: Option<FreshnessWindow>) -> QuorumResult {
        let is_fresh = |time: UnixSeconds| fresh.map(|fresh| fresh.contains(time));
        let cosigned: Vec<bool> = times.iter().map(Option::is_some).collect();
        let freshly = |time: &Option<UnixSeconds>| time.and_then(is_fresh).unwrap_or(false);
        let by = self.witnesses.iter().zip(times).filter_map(|(witness, time)| {
            let time = (*time)?;
            Some(Cosignature {
                witness: display_name(&witness.name),
                time: Some(time).filter(|time| *time != NO_STATEMENT),
                fresh: is_fresh(time),
            })
        });
        QuorumResult {
            by: by.collect(),
            of: self.witnesses.len(),
            quorum: self.holds(&cosigned),
            fresh_quorum: fresh.map(|_| self.holds(&times.iter().map(freshly).collect::<Vec<bool>>())),
        }
    }
}

/// The better of two times of one witness: a fresh one before one that is not, then the later one.
fn better(known: Option<UnixSeconds>, time: UnixSeconds, fresh: Option<FreshnessWindow>) -> UnixSeconds {
    let rank = |time: UnixSeconds| (fresh.is_some_and(|fresh| fresh.contains(time)), time);
    known.filter(|known| rank(*known) > rank(time)).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::crypto::PublicKey;
    use crate::core::encoding::{encode_base64, encode_hex};
    use crate::core::note::{KeyKind, derive_key_id};
    use ed25519_dalek::{Signer as _, SigningKey};

    const TEXT: &str = "log.example/1\n1\nqINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=\n";

    fn witness(seed: u8) -> (SigningKey, String, Vec<u8>) {
        let (key, name) = (SigningKey::from_bytes(&[seed; 32]), format!("w.example/{seed}"));
        let public = key.verifying_key().to_bytes();
        let id = derive_key_id(&name, KeyKind::CosignatureV1, &public);
        let typed = encode_base64(&[&[4][..], &public].concat());
        (key, format!("witness w{seed} {name}+{}+{typed}\n", encode_hex(&id)), id.to_vec())
    }

    /// A line that names the witness `seed`, signed with any key.
    fn line(seed: u8, by: &SigningKey) -> String {
        let signature = by.sign(format!("cosignature/v1\ntime 7\n{TEXT}").as_bytes()).to_bytes();
        let blob = [&witness(seed).2[..], &7_u64.to_be_bytes(), &signature].concat();
        format!("\u{2014} w.example/{seed} {}\n", encode_base64(&blob))
    }

    #[test]
    fn an_unconfirmed_rejection_is_a_disagreement() {
        let (one, two) = (witness(1), witness(2));
        let text = format!("{}{}group g any w1 w2\nquorum g\n", one.1, two.1);
        let mut policy = TlogPolicy::parse(text.as_bytes()).unwrap();
        let mismatched = PublicKey::mismatched(one.0.verifying_key(), two.0.verifying_key());
        policy.witnesses[0].key = policy.witnesses[0].key.clone().with_key(mismatched);
        let check = |lines: &[String]| {
            policy.check_cosignatures(format!("{TEXT}\n{}", lines.concat()).as_bytes(), None)
        };
        assert!(check(&[line(2, &two.0)]).unwrap().quorum);
        let (disputed, good, forged) = (line(1, &two.0), line(2, &two.0), line(2, &one.0));
        // A quorum of other lines does not help, because the validity of the disputed line is unknown.
        for lines in
            [vec![disputed.clone()], vec![good.clone(), disputed.clone()], vec![disputed.clone(), good]]
        {
            assert!(matches!(check(&lines), Err(CosignError::Disagreement(_))));
        }
        for lines in [[forged.clone(), disputed.clone()], [disputed, forged]] {
            assert!(matches!(check(&lines), Err(CosignError::BadCosignature { .. })));
        }
    }
}
