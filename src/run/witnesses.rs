//! Do witnesses vouch for the newest checkpoint (C2SP tlog-policy), and is the newest head recent
//! (specification section 10, `head-stale`)?
//!
//! The witnesses' word is about the checkpoint that is served now: that the log shows them the same tree.
//! Heads that were kept earlier are not judged by it, and no entry is.

use super::{Fault, Run};
use crate::audit::subject::Subject;
use crate::core::check::Check;
use crate::core::finding::Code;
use crate::core::head::{Head, HeadFormat};
use crate::core::tlog_policy::{CosignError, Cosigned, Fresh, TlogPolicy};
use crate::core::{limits, text};

impl Run<'_> {
    /// Whether a line of this checkpoint says that it is by a witness, and is not.
    pub(super) fn is_forged(&self, checkpoint: &[u8]) -> bool {
        let judged = self.policy.quorum().map(|policy| policy.judge(checkpoint, None));
        matches!(judged, Some(Err(CosignError::BadCosignature { .. })))
    }

    /// Holds the served checkpoint against the witness policy. Gives whether the cosignatures are fresh,
    /// where that was asked for and the quorum holds.
    pub(super) fn check_witnesses(&mut self, served: &[Head]) -> Result<Option<bool>, Fault> {
        let Some(policy) = self.policy.quorum() else {
            self.summary.tally.add(Check::Witnesses, 0, 0, 1);
            self.withdraw_unjudged(Code::WitnessQuorum, None, "no witness policy was given (--policy)")?;
            self.withdraw_unjudged(
                Code::HeadStale,
                Some(&Subject::Cosignatures),
                "no witness policy was given (--policy)",
            )?;
            return Ok(None);
        };
        let Some(checkpoint) = served.iter().find(|head| head.format() == HeadFormat::Checkpoint) else {
            self.witnesses_undecided(
                "the policy asks for witness cosignatures, but no checkpoint of the log could be judged, and only a \
                 checkpoint carries them"
                    .to_owned(),
            );
            return Ok(None);
        };
        let cosigned = match policy.judge(checkpoint.raw().as_bytes(), self.fresh()) {
            Ok(cosigned) => cosigned,
            Err(CosignError::Disagreement(what)) => return Err(Fault::Disagreement(what)),
            // The same bytes were a checkpoint a moment ago.
            Err(CosignError::Malformed(why)) => {
                self.witnesses_undecided(format!("the checkpoint's cosignatures could not be judged: {why}"));
                return Ok(None);
            }
            Err(forged @ CosignError::BadCosignature { .. }) => {
                let message = format!("the checkpoint of size {}: {forged}", checkpoint.size());
                return self.quorum_fails(message).map(|()| None);
            }
        };
        let said = said(policy, checkpoint, &cosigned);
        if !cosigned.quorum {
            return self.quorum_fails(said).map(|()| None);
        }
        self.end_findings_of(Code::WitnessQuorum)?;
        let cosigned_text = checkpoint.clone();
        self.mirror.transact(|mirror, _| mirror.keep_cosigned(&cosigned_text))?;
        if self.checkpoint_lags(checkpoint)? {
            return Ok(None);
        }
        self.summary.tally.record(Check::Witnesses, true);
        if cosigned.fresh_quorum == Some(false) {
            self.find_of_log(
                Code::HeadStale,
                Subject::Cosignatures,
                format!("{said}; of those, too few are recent enough"),
            )?;
        } else {
            self.end_finding_about(Code::HeadStale, &Subject::Cosignatures)?;
        }
        self.summary.notes.push(said);
        if let Some(sth) = served.iter().find(|head| head.size() > checkpoint.size()) {
            let note = format!(
                "the STH of size {} is newer than the checkpoint that witnesses vouch for: a later audit will see \
                 whether they saw it too",
                sth.size()
            );
            self.summary.notes.push(note);
        }
        Ok(cosigned.fresh_quorum)
    }

    fn quorum_fails(&mut self, message: String) -> Result<(), Fault> {
        self.summary.tally.record(Check::Witnesses, false);
        self.find_of_log(Code::WitnessQuorum, Subject::Whole, message)
    }

    fn witnesses_undecided(&mut self, cause: String) {
        self.summary.tally.add(Check::Witnesses, 0, 0, 1);
        self.summary.incomplete.push(cause);
    }

    /// Whether the log has long signed a larger tree than the one that the witnesses saw. A log that shows
    /// witnesses an old checkpoint for ever, and everybody else its STHs, must not pass; one whose
    /// checkpoint is a little behind its STH must not be accused.
    fn checkpoint_lags(&mut self, checkpoint: &Head) -> Result<bool, Fault> {
        let before = text::time(self.options.now.0.saturating_sub(limits::LAG_MS));
        let known = self.mirror.largest_seen_before(&before, &self.policy.log_key)?;
        let Some(larger) = known.filter(|known| known.head.size() > checkpoint.size()) else {
            return Ok(false);
        };
        self.witnesses_undecided(format!(
            "the witnesses vouch for the checkpoint of size {}, but the log has signed a tree of size {}, seen here \
             {}: whether they saw that one is not known",
            checkpoint.size(),
            larger.head.size(),
            larger.first_seen
        ));
        Ok(true)
    }

    /// The times that are fresh under `--max-head-age`, by a clock that may be a little wrong.
    fn fresh(&self) -> Option<Fresh> {
        let limit = self.policy.max_head_age?;
        Some(Fresh {
            not_before: self.options.now.0.saturating_sub(limit).div_ceil(1000),
            not_after: self.latest_time() / 1000,
        })
    }

    /// An STH has a time, and so have cosignatures (`cosigned`: whether they are fresh). Where an age limit is
    /// asked for and there is neither, that is said.
    pub(super) fn check_age(&mut self, served: &[Head], cosigned: Option<bool>) -> Result<(), Fault> {
        let Some(limit) = self.policy.max_head_age else {
            self.summary.tally.add(Check::HeadAge, 0, 0, 1);
            return self.withdraw_unjudged(Code::HeadStale, None, "no age was given (--max-head-age)");
        };
        if let Some(fresh) = cosigned {
            self.summary.tally.record(Check::HeadAge, fresh);
        }
        let Some(time) = served.iter().filter_map(Head::timestamp).max() else {
            if cosigned.is_none() {
                self.summary.tally.add(Check::HeadAge, 0, 0, 1);
                let cause =
                    "--max-head-age was asked for, but the log serves no STH, and a checkpoint has no time";
                self.summary.incomplete.push(cause.to_owned());
            }
            return Ok(());
        };
        let age = self.options.now.0.saturating_sub(time);
        self.summary.tally.record(Check::HeadAge, age <= limit);
        if age > limit {
            let message = format!(
                "the newest STH is dated {}, {} ago; the limit is {}",
                text::time(time),
                text::duration(age),
                text::duration(limit)
            );
            return self.find_of_log(Code::HeadStale, Subject::Whole, message);
        }
        self.end_finding_about(Code::HeadStale, &Subject::Whole)
    }
}

/// Who cosigned, when, and what was asked for.
fn said(policy: &TlogPolicy, checkpoint: &Head, cosigned: &Cosigned) -> String {
    let by = cosigned.by.iter().map(|by| match by.time {
        Some(time) => format!("{} at {}", by.witness, text::time(time.saturating_mul(1000))),
        None => format!("{} at no stated time", by.witness),
    });
    let by: Vec<String> = by.collect();
    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    format!(
        "the checkpoint of size {} has cosignatures of {} of the {} witnesses of the policy{by}; asked for: {}",
        checkpoint.size(),
        cosigned.by.len(),
        cosigned.of,
        policy.quorum_text()
    )
}
