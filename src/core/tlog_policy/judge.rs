//! Holds the cosignatures of one checkpoint against a policy.

use super::{TlogPolicy, shown};
use crate::core::checkpoint::CheckpointBody;
use crate::core::crypto::SignatureError;
use crate::core::limits;
use crate::core::note::Note;
use std::fmt;

/// The times at which a cosignature counts as fresh: Unix seconds, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fresh {
    /// The earliest.
    pub not_before: u64,
    /// The latest.
    pub not_after: u64,
}

impl Fresh {
    /// A time of 0 is "no statement" (C2SP tlog-cosignature), which no window contains.
    fn contains(self, time: u64) -> bool {
        time != 0 && (self.not_before..=self.not_after).contains(&time)
    }
}

/// One witness of the policy that cosigned the checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cosignature {
    /// Its name in the policy, fit to be shown.
    pub witness: String,
    /// Unix seconds of its newest cosignature, of its newest fresh one where there is one. `None` where it
    /// says only that the tree is consistent, and not when it was the largest seen.
    pub time: Option<u64>,
    /// Whether it counts as fresh; `None` where nobody asked.
    pub fresh: Option<bool>,
}

/// What the witnesses of a policy say of one checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cosigned {
    /// The witnesses that cosigned, each once, in the order of the policy.
    pub by: Vec<Cosignature>,
    /// How many witnesses the policy lists.
    pub of: usize,
    /// Whether the quorum holds, however old the cosignatures are. A policy with `quorum none` asks for
    /// nothing, and this is true: see [`TlogPolicy::has_quorum`].
    pub quorum: bool,
    /// Whether it holds where only fresh cosignatures count; `None` where nobody asked.
    pub fresh_quorum: Option<bool>,
}

/// Why nothing is said about the witnesses of a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CosignError {
    /// It is no checkpoint.
    Malformed(String),
    /// A line has the key name and key id of a witness of the policy, and is not its signature: C2SP
    /// signed-note says that the whole note is to be rejected.
    BadCosignature {
        /// The witness's name in the policy, fit to be shown.
        witness: String,
        /// What is wrong with the line.
        why: String,
    },
    /// Two implementations disagree: a fault of ours, and nobody is accused.
    Disagreement(String),
}

impl fmt::Display for CosignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CosignError::Malformed(why) | CosignError::Disagreement(why) => f.write_str(why),
            CosignError::BadCosignature { witness, why } => {
                write!(f, "a line that says it is by witness {witness} is not: {why}")
            }
        }
    }
}

impl std::error::Error for CosignError {}

impl TlogPolicy {
    /// Verifies every line of the checkpoint that is by a witness of this policy, and says which quorum
    /// they make. Other lines, the log's own included, are not looked at.
    ///
    /// The caller must have verified the log's signature on these same bytes with
    /// [`Head::verify_checkpoint`](crate::core::head::Head::verify_checkpoint): cosignatures under a
    /// checkpoint that the log did not sign are worth nothing.
    ///
    /// # Errors
    /// [`CosignError`]. Where one line is forged and the libraries disagree about another, the forged one
    /// is named, for both of them refused it.
    pub fn judge(&self, checkpoint: &[u8], fresh: Option<Fresh>) -> Result<Cosigned, CosignError> {
        if checkpoint.len() > limits::MAX_CHECKPOINT {
            return Err(CosignError::Malformed("the checkpoint is too long".to_owned()));
        }
        let note = Note::parse(checkpoint).map_err(|error| CosignError::Malformed(error.to_string()))?;
        CheckpointBody::parse(note.text())
            .map_err(|why| CosignError::Malformed(format!("not a checkpoint: {why}")))?;
        let mut times: Vec<Option<u64>> = vec![None; self.witnesses.len()];
        let mut disputed = None;
        for line in note.signatures() {
            let mut witnesses = self.witnesses.iter().zip(times.iter_mut());
            let found = witnesses
                .find(|(witness, _)| witness.key.name() == line.name && witness.key.id() == line.key_id);
            let Some((witness, newest)) = found else { continue };
            match witness.key.verify(note.text(), &line.signature) {
                // Both kinds of witness keys state a time. One witness counts once, by its best line.
                Ok(time) => *newest = Some(better(*newest, time.unwrap_or(0), fresh)),
                Err(SignatureError::Disagreement(what)) => disputed = disputed.or(Some(what.to_string())),
                Err(error) => {
                    let (witness, why) = (shown(&witness.name), error.to_string());
                    return Err(CosignError::BadCosignature { witness, why });
                }
            }
        }
        match disputed {
            Some(what) => Err(CosignError::Disagreement(what)),
            None => Ok(self.count(&times, fresh)),
        }
    }

    fn count(&self, times: &[Option<u64>], fresh: Option<Fresh>) -> Cosigned {
        let is_fresh = |time: u64| fresh.map(|fresh| fresh.contains(time));
        let cosigned: Vec<bool> = times.iter().map(Option::is_some).collect();
        let freshly = |time: &Option<u64>| time.and_then(is_fresh).unwrap_or(false);
        let by = self.witnesses.iter().zip(times).filter_map(|(witness, time)| {
            let time = (*time)?;
            Some(Cosignature {
                witness: shown(&witness.name),
                time: Some(time).filter(|time| *time != 0),
                fresh: is_fresh(time),
            })
        });
        Cosigned {
            by: by.collect(),
            of: self.witnesses.len(),
            quorum: self.holds(&cosigned),
            fresh_quorum: fresh.map(|_| self.holds(&times.iter().map(freshly).collect::<Vec<bool>>())),
        }
    }
}

/// Of two times of one witness a fresh one, and where that does not decide the later.
fn better(known: Option<u64>, time: u64, fresh: Option<Fresh>) -> u64 {
    let rank = |time: u64| (fresh.is_some_and(|fresh| fresh.contains(time)), time);
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

    /// A line of the witness `seed`, signed with any key.
    fn line(seed: u8, by: &SigningKey) -> String {
        let signature = by.sign(format!("cosignature/v1\ntime 7\n{TEXT}").as_bytes()).to_bytes();
        let blob = [&witness(seed).2[..], &7_u64.to_be_bytes(), &signature].concat();
        format!("\u{2014} w.example/{seed} {}\n", encode_base64(&blob))
    }

    #[test]
    fn libraries_that_disagree_accuse_nobody() {
        let (one, two) = (witness(1), witness(2));
        let text = format!("{}{}group g any w1 w2\nquorum g\n", one.1, two.1);
        let mut policy = TlogPolicy::parse(text.as_bytes()).unwrap();
        let torn = PublicKey::torn(one.0.verifying_key(), two.0.verifying_key());
        policy.witnesses[0].key = policy.witnesses[0].key.clone().with_key(torn);
        let judge = |lines: &[String]| policy.judge(format!("{TEXT}\n{}", lines.concat()).as_bytes(), None);
        assert!(judge(&[line(2, &two.0)]).unwrap().quorum);
        let (disputed, good, forged) = (line(1, &two.0), line(2, &two.0), line(2, &one.0));
        // A quorum beside the dispute is no way around it: what the disputed line is, nobody knows.
        for lines in
            [vec![disputed.clone()], vec![good.clone(), disputed.clone()], vec![disputed.clone(), good]]
        {
            assert!(matches!(judge(&lines), Err(CosignError::Disagreement(_))));
        }
        for lines in [[forged.clone(), disputed.clone()], [disputed, forged]] {
            assert!(matches!(judge(&lines), Err(CosignError::BadCosignature { .. })));
        }
    }
}
