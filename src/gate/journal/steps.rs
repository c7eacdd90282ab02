//! The steps of a confirmation. Each is one transaction: it is durable when the function returns, and after an error
//! nothing of it is there, except where the error is of the commit or the mark itself.
//!
//! Several processes may work on one row. A step that finds that another process was faster changes nothing, and returns
//! what the row says.

use super::db::Change;
use super::error::{JournalError, Result};
use super::handle::{Journal, by_id, by_key, by_nonce};
use super::keys::{self, ApproverKey, Compared, Trusted};
use super::rows;
use super::seal::{Sealed, Table};
use crate::core::entry::Decision;
use crate::core::time::UnixMillis;
use crate::gate::reason::Refusal;
use crate::gate::row::{Asked, Consumption, Decided, Ended, Ending, NewRow, Row};

/// The result of a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recorded {
    /// This call recorded it. The row as it is now.
    New(Row),
    /// Nothing was changed: an earlier call, of this process or another, made the row what it is.
    Known(Row),
}

/// The result of recording the service's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Noted {
    /// This call recorded it. The row as it is now.
    New(Row),
    /// Nothing was changed: the row has an answer or a refusal already, which counts.
    Known(Row),
    /// Nothing was changed: another row has this id. The service answered with a confirmation that is not of this
    /// request (gate specification section 5.3).
    IdTaken,
}

/// The result of consuming an approval.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Consumed {
    /// The action may run, once, and is to be started by whoever got this.
    Fresh,
    /// The row or the nonce was consumed before: the action does not run.
    Replayed,
    /// The passkey is another one than the one that stands for this person: the action does not run, and the row is not
    /// consumed. [`Journal::trust`] accepts the passkey for later requests.
    OtherKey {
        /// The one that stands.
        stands: ApproverKey,
    },
    /// The row was refused before: the action does not run.
    Refused(Refusal),
}

/// Asking.
impl Journal {
    /// Records a request before anybody is asked. [`Recorded::New`] is for the process that is to ask;
    /// [`Recorded::Known`] has the row of this idempotency key as it was begun before, which may be of another request:
    /// see [`NewRow::asks_the_same_as`].
    ///
    /// # Errors
    /// [`JournalError`] if the journal cannot be used. Nobody may be asked then.
    pub fn begin(&mut self, request: &NewRow) -> Result<Recorded> {
        self.db.write(|change| {
            if let Some((_, row)) = by_key(change.view(), &request.key)? {
                return Ok(Recorded::Known(row));
            }
            let row = Row::new(request.clone());
            let values = columns(change, &row)?;
            change.insert(Table::Confirmations, values)?;
            Ok(Recorded::New(row))
        })
    }

    /// Records, on the user's word, that the request is sent again although the outcome of the earlier one is unknown.
    /// [`Recorded::Known`]: it is not to be sent, because another process may be sending it, or because there is an
    /// answer or a refusal by now.
    ///
    /// # Errors
    /// [`JournalError`] if there is no such row, or the journal cannot be used. Nobody may be asked then.
    pub fn ask_again(&mut self, key: &str, now: UnixMillis, post_until: UnixMillis) -> Result<Recorded> {
        self.step(key, |_, row| {
            if row.asked.is_some() || row.refusal.is_some() || row.may_be_being_asked(now) {
                return Ok(false);
            }
            row.request.asked_at = now;
            row.request.post_until = post_until;
            Ok(true)
        })
    }

    /// Records that the request reached nobody, so that a later run may make it again.
    ///
    /// # Errors
    /// [`JournalError`] if there is no such row, or the journal cannot be used. The outcome counts as unknown then.
    pub fn not_asked(&mut self, key: &str) -> Result<Recorded> {
        self.step(key, |_, row| {
            if row.asked.is_some() || row.refusal.is_some() {
                return Ok(false);
            }
            row.request.post_until = UnixMillis::EPOCH;
            Ok(true)
        })
    }

    /// Records the service's answer to the request.
    ///
    /// # Errors
    /// [`JournalError`] if there is no such row, or the journal cannot be used.
    pub fn asked(&mut self, key: &str, asked: &Asked) -> Result<Noted> {
        let mut is_taken = false;
        let recorded = self.step(key, |change, row| {
            if row.asked.is_some() || row.refusal.is_some() {
                return Ok(false);
            }
            is_taken = by_id(change.view(), &asked.id)?.is_some();
            row.asked = Some(asked.clone());
            Ok(!is_taken)
        })?;
        Ok(match recorded {
            _ if is_taken => Noted::IdTaken,
            Recorded::New(row) => Noted::New(row),
            Recorded::Known(row) => Noted::Known(row),
        })
    }
}

/// Deciding.
impl Journal {
    /// Records what the service says that the person decided. [`Recorded::Known`] has the decision that was recorded
    /// first, which may be another one.
    ///
    /// # Errors
    /// [`JournalError`] if there is no such row, if it has no answer yet, or if the journal cannot be used.
    pub fn decided(&mut self, key: &str, decision: Decision, now: UnixMillis) -> Result<Recorded> {
        self.step(key, |change, row| {
            if row.asked.is_none() {
                return Err(out_of_order(change, key, "a decision was made on a request that has no answer"));
            }
            if row.decided.is_some() {
                return Ok(false);
            }
            row.decided = Some(Decided { decision, at: now });
            Ok(true)
        })
    }

    /// Records a final refusal, which each later run with this key gives again. [`Recorded::Known`]: the row was refused
    /// or consumed before, and stays so.
    ///
    /// # Errors
    /// [`JournalError`] if the refusal is not final, if there is no such row, or if the journal cannot be used.
    pub fn refused(&mut self, key: &str, refusal: &Refusal) -> Result<Recorded> {
        self.step(key, |change, row| {
            if refusal.reason.may_go_on() {
                return Err(out_of_order(change, key, "a refusal that is not final is not recorded"));
            }
            if row.refusal.is_some() || row.consumed.is_some() {
                return Ok(false);
            }
            row.refusal = Some(refusal.clone());
            Ok(true)
        })
    }
}

/// Acting.
impl Journal {
    /// Consumes a verified approval. Only after [`Consumed::Fresh`] its action may be started, and once.
    ///
    /// A passkey that is not pinned is compared with the one that stands for the person, in the same transaction: the
    /// first one stands from now on, and another one is not consumed.
    ///
    /// # Errors
    /// [`JournalError`] if there is no such row, if it is not approved, or if the journal cannot be used. The action does
    /// not run then; the approval may be used up.
    pub fn consume(&mut self, key: &str, approval: &Consumption) -> Result<Consumed> {
        self.db.write(|change| {
            let (before, mut row) = known(change, key)?;
            if row.consumed.is_some() || by_nonce(change.view(), &approval.nonce)?.is_some() {
                return Ok(Consumed::Replayed);
            }
            if let Some(refusal) = row.refusal {
                return Ok(Consumed::Refused(refusal));
            }
            if row.decided.is_none_or(|decided| decided.decision != Decision::Approved) {
                return Err(out_of_order(change, key, "it is not approved"));
            }
            if !approval.key_pinned {
                let passkey = ApproverKey {
                    origin: row.request.origin.clone(),
                    username: row.request.username.clone(),
                    key: approval.credential.clone(),
                    since: approval.at,
                };
                if let Compared::Other(stands) = keys::compare(change, &passkey)? {
                    return Ok(Consumed::OtherKey { stands });
                }
            }
            row.consumed = Some(approval.clone());
            replace(change, &before, &row)?;
            Ok(Consumed::Fresh)
        })
    }

    /// Records how the action of a consumed approval ended, once.
    ///
    /// # Errors
    /// [`JournalError`] if there is no such row, if it was not consumed, if an end was recorded before, or if the journal
    /// cannot be used.
    pub fn ended(&mut self, key: &str, ending: &Ending, now: UnixMillis) -> Result<Row> {
        self.db.write(|change| {
            let (before, mut row) = known(change, key)?;
            if row.consumed.is_none() {
                return Err(out_of_order(change, key, "no action was permitted with it, so none has ended"));
            }
            if row.ended.is_some() {
                return Err(out_of_order(change, key, "it has how its action ended already, and that stays"));
            }
            row.ended = Some(Ended { ending: ending.clone(), at: now });
            replace(change, &before, &row)?;
            Ok(row)
        })
    }

    /// Accepts, on the user's word, the passkey of a person that was refused last as the one that stands for them. Where
    /// passkeys were refused under several logs, `origin` says which.
    ///
    /// # Errors
    /// [`JournalError`] if the journal cannot be used.
    pub fn trust(&mut self, origin: Option<&str>, username: &str, now: UnixMillis) -> Result<Trusted> {
        self.db.write(|change| keys::accept(change, origin, username, now))
    }

    /// Changes the row with this key by `act`, which returns whether it changed it.
    fn step(
        &mut self,
        key: &str,
        act: impl FnOnce(&Change<'_>, &mut Row) -> Result<bool>,
    ) -> Result<Recorded> {
        self.db.write(|change| {
            let (before, row) = known(change, key)?;
            let mut after = row.clone();
            if !act(change, &mut after)? {
                return Ok(Recorded::Known(row));
            }
            replace(change, &before, &after)?;
            Ok(Recorded::New(after))
        })
    }
}

fn known(change: &Change<'_>, key: &str) -> Result<(Sealed, Row)> {
    let none = || JournalError::NoRow(change.view().path().to_owned(), key.to_owned());
    by_key(change.view(), key)?.ok_or_else(none)
}

fn out_of_order(change: &Change<'_>, key: &str, why: &'static str) -> JournalError {
    JournalError::OutOfOrder(change.view().path().to_owned(), key.to_owned(), why)
}

fn columns(change: &Change<'_>, row: &Row) -> Result<Vec<rusqlite::types::Value>> {
    rows::columns(row).map_err(|why| JournalError::TooLarge(change.view().path().to_owned(), why))
}

fn replace(change: &mut Change<'_>, before: &Sealed, row: &Row) -> Result<()> {
    let values = columns(change, row)?;
    change.replace(Table::Confirmations, before, values)
}
