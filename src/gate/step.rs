//! What to do next, given what the journal knows about a key (gate specification sections 2 and 5.4).
//!
//! A pure function, so that every state can be tried: nobody is asked twice, what was refused is refused again, and an
//! approval that was consumed is never one again.

use super::reason::{Reason, Refusal};
use super::request::Request;
use super::row::{Asked, Row};
use crate::core::entry::Decision;
use crate::core::text::quoted;
use crate::core::time::UnixMillis;

/// What is wanted, and where.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// What is asked.
    pub request: &'a Request,
    /// The base URL of the service.
    pub service: &'a str,
    /// The origin of the log.
    pub origin: &'a str,
    /// Whether a request whose outcome is unknown may be made again.
    pub ask_again: bool,
}

/// The next step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nobody was asked under this key: ask.
    Ask,
    /// An earlier request reached nobody; or its outcome is unknown, and the caller wants it made again.
    AskAgain,
    /// Another process may be asking now, and until this moment.
    AwaitAsker(UnixMillis),
    /// The person was asked: wait for what they decide.
    Wait(Asked),
    /// The service says that they approved: get the receipt.
    Fetch(Asked),
    /// Refuse.
    Refuse(Refusal),
}

/// The next step, given the row of the key, if there is one, and the time.
pub fn next(row: Option<&Row>, wanted: &Wanted<'_>, now: UnixMillis) -> Step {
    let Some(row) = row else { return Step::Ask };
    if let Some(what) = difference(row, wanted) {
        let key = quoted(&row.request.key);
        let why = format!(
            "the idempotency key {key} was used for {what} before, so nobody is asked now: run again as before, or \
             with another --key"
        );
        return Step::Refuse(Refusal::new(Reason::Mismatch, why));
    }
    if row.consumed.is_some() {
        let key = quoted(&row.request.key);
        let why = format!(
            "the approval under the idempotency key {key} was used before, and an action runs once: to ask anew, use another \
             --key"
        );
        return Step::Refuse(Refusal::new(Reason::Replayed, why));
    }
    if let Some(refusal) = &row.refusal {
        let why = format!(
            "{}; this is the recorded answer, and nobody was asked now: to ask anew, use another --key",
            refusal.message
        );
        return Step::Refuse(Refusal::new(refusal.reason, why));
    }
    match (&row.asked, row.decided.map(|decided| decided.decision)) {
        (Some(asked), None) => Step::Wait(asked.clone()),
        (Some(asked), Some(Decision::Approved)) => Step::Fetch(asked.clone()),
        // A decision is recorded before the refusal that follows from it.
        (_, Some(Decision::Rejected)) => Step::Refuse(rejected(wanted.request)),
        (_, Some(Decision::Expired)) => Step::Refuse(expired(wanted.request)),
        (None, _) if row.may_be_being_asked(now) => Step::AwaitAsker(row.request.post_until),
        (None, _) if wanted.ask_again || row.was_not_asked() => Step::AskAgain,
        (None, _) => Step::Refuse(unknown_outcome(&row.request.key)),
    }
}

/// In what the row differs from what is wanted now (gate specification section 5.4).
fn difference(row: &Row, wanted: &Wanted<'_>) -> Option<&'static str> {
    let (row, request) = (&row.request, wanted.request);
    if row.username != request.username() {
        Some("another person")
    } else if row.action != request.action() {
        Some("another action")
    } else if row.payload_hash != request.payload_hash() {
        Some("another payload")
    } else if row.service != wanted.service {
        Some("another service")
    } else if row.origin != wanted.origin {
        Some("another log")
    } else {
        None
    }
}

/// The person said no.
pub fn rejected(request: &Request) -> Refusal {
    Refusal::new(Reason::Rejected, format!("{} rejected it", quoted(request.username())))
}

/// Nobody decided in time.
pub fn expired(request: &Request) -> Refusal {
    Refusal::new(Reason::Expired, format!("{} did not decide in time", quoted(request.username())))
}

/// It may have been asked, or not: it is not asked again unless a person looked.
pub fn unknown_outcome(key: &str) -> Refusal {
    let why = format!(
        "it is unknown whether an earlier run with the idempotency key {} asked somebody: look at the service, and if nobody \
         was asked, run again with the same --key and --ask-again",
        quoted(key)
    );
    Refusal::new(Reason::Unavailable, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::TICK;
    use crate::gate::row::{Accepted, Consumption, Decided, Ended, Ending, NewRow};

    const SERVICE: &str = "https://service.example/";
    const ORIGIN: &str = "log.example/1";
    const POST_UNTIL: UnixMillis = UnixMillis::new(1000);

    fn request() -> Request {
        Request::new("alex", "Deploy", b"{}").unwrap()
    }

    fn asked_now() -> Asked {
        let url = "https://service.example/c-1".to_owned();
        Asked { id: "c-1".to_owned(), url, encoding: Accepted::JcsPayload, expires_at: UnixMillis::new(5000) }
    }

    fn row() -> Row {
        Row::new(NewRow {
            key: "k".to_owned(),
            service: SERVICE.to_owned(),
            origin: ORIGIN.to_owned(),
            username: "alex".to_owned(),
            action: "Deploy".to_owned(),
            payload_hash: request().payload_hash(),
            asked_at: UnixMillis::EPOCH,
            post_until: POST_UNTIL,
        })
    }

    fn consumption() -> Consumption {
        Consumption {
            nonce: "n".to_owned(),
            credential: "c".to_owned(),
            key_pinned: false,
            action_signed: false,
            receipt: Vec::new(),
            at: UnixMillis::new(3),
        }
    }

    fn step(row: Option<&Row>, ask_again: bool, now: UnixMillis) -> Step {
        let request = request();
        next(row, &Wanted { request: &request, service: SERVICE, origin: ORIGIN, ask_again }, now)
    }

    fn reason(step: &Step) -> Option<Reason> {
        if let Step::Refuse(refusal) = step { Some(refusal.reason) } else { None }
    }

    /// Every combination of what a row can hold, at each side of the time until which somebody may be asking.
    #[test]
    fn every_state_has_one_step() {
        let decisions = [None, Some(Decision::Approved), Some(Decision::Rejected), Some(Decision::Expired)];
        let mut tried = 0;
        for bits in 0..(1_u32 << 6) {
            let has = |bit: u32| bits & (1 << bit) != 0;
            for decision in decisions {
                let row = Row {
                    asked: has(0).then(asked_now),
                    decided: decision.map(|decision| Decided { decision, at: UnixMillis::new(2) }),
                    refusal: has(1).then(|| Refusal::new(Reason::Unverified, "as before")),
                    consumed: has(2).then(consumption),
                    ended: has(3).then_some(Ended { ending: Ending::Ok, at: UnixMillis::new(4) }),
                    ..row()
                };
                let (ask_again, now) =
                    (has(4), if has(5) { POST_UNTIL } else { POST_UNTIL.saturating_sub(TICK) });
                let found = step(Some(&row), ask_again, now);
                let expected = match (has(2), has(1), decision, has(0)) {
                    (true, ..) => Some(Reason::Replayed),
                    (_, true, ..) => Some(Reason::Unverified),
                    (_, _, Some(Decision::Rejected), _) => Some(Reason::Rejected),
                    (_, _, Some(Decision::Expired), _) => Some(Reason::Expired),
                    (_, _, _, false) if has(5) && !ask_again => Some(Reason::Unavailable),
                    _ => None,
                };
                assert_eq!(reason(&found), expected, "{row:?}: {found:?}");
                if expected.is_none() {
                    let right = match (has(0), decision, has(5)) {
                        (true, None, _) => found == Step::Wait(asked_now()),
                        (true, Some(_), _) => found == Step::Fetch(asked_now()),
                        (false, _, false) => found == Step::AwaitAsker(POST_UNTIL),
                        (false, _, true) => found == Step::AskAgain,
                    };
                    assert!(right, "{row:?}: {found:?}");
                }
                // Whatever the row says: nobody is asked for the first time, and what ended is not gone on with.
                assert_ne!(found, Step::Ask);
                tried += 1;
            }
        }
        assert_eq!(tried, 256);
        let mut unasked = row();
        unasked.request.post_until = UnixMillis::EPOCH;
        assert_eq!(step(Some(&unasked), false, POST_UNTIL), Step::AskAgain);
        let answered = Row { asked: Some(asked_now()), ..unasked };
        assert_eq!(step(Some(&answered), false, POST_UNTIL), Step::Wait(asked_now()));
        assert_eq!(step(None, false, UnixMillis::EPOCH), Step::Ask);
        assert_eq!(step(None, true, UnixMillis::EPOCH), Step::Ask);
    }

    #[test]
    fn one_key_is_for_one_request() {
        let base = row();
        assert_eq!(step(Some(&base), false, UnixMillis::EPOCH), Step::AwaitAsker(POST_UNTIL));
        for change in [
            (|row: &mut NewRow| row.username.push('x')) as fn(&mut NewRow),
            |row| row.action.push(' '),
            |row| row.payload_hash.0[31] ^= 1,
            |row| row.service.push('x'),
            |row| row.origin.push('x'),
        ] {
            for consumed in [None, Some(consumption())] {
                let mut other = Row { consumed, asked: Some(asked_now()), ..base.clone() };
                change(&mut other.request);
                assert_eq!(
                    reason(&step(Some(&other), true, UnixMillis::EPOCH)),
                    Some(Reason::Mismatch),
                    "{other:?}"
                );
            }
        }
    }
}
