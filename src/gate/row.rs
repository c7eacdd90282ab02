//! A row of the journal: one confirmation, from the request to how the action ended (gate specification section 4).
//! Pure.
//!
//! A row is what this gate did and learnt. What the service said is in it as the service's word. A row that is consumed
//! says that its action was permitted to run once, not that it ran.

use crate::core::entry::Decision;
use crate::core::hash::Hash;
use crate::core::time::UnixMillis;
use crate::gate::reason::Refusal;

/// The encodings of a payload that a gate accepts (gate specification section 5.2). `raw-payload` is none of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accepted {
    /// The hash of the canonical payload.
    JcsPayload,
    /// The hash of the canonical object of action and payload.
    JcsActionPayload,
}

impl Accepted {
    /// The name that an entry of the log has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Accepted::JcsPayload => "jcs-payload",
            Accepted::JcsActionPayload => "jcs-action-payload",
        }
    }

    /// The encoding with this name.
    pub fn from_word(word: &str) -> Option<Accepted> {
        [Accepted::JcsPayload, Accepted::JcsActionPayload]
            .into_iter()
            .find(|encoding| encoding.as_str() == word)
    }
}

/// What is known before anybody is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewRow {
    /// The idempotency key.
    pub key: String,
    /// The service's URL.
    pub service: String,
    /// The origin of the log key under which the answer will be verified.
    pub origin: String,
    /// Who is asked.
    pub username: String,
    /// The action's text.
    pub action: String,
    /// SHA-256 of the canonical payload.
    pub payload_hash: Hash,
    /// When the request was fixed. An approval that was asked for more than 60 s before is another one's (gate
    /// specification section 5.3).
    pub asked_at: UnixMillis,
    /// Until when a process may be sending the request; [`UnixMillis::EPOCH`] where it is known that it reached nobody.
    pub post_until: UnixMillis,
}

impl NewRow {
    /// Whether both ask the same thing of the same person and service. Only the times may differ.
    pub fn asks_the_same_as(&self, other: &NewRow) -> bool {
        let epoch = UnixMillis::EPOCH;
        let times = |row: &NewRow| NewRow { asked_at: epoch, post_until: epoch, ..row.clone() };
        times(self) == times(other)
    }
}

/// The service's answer to the request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The confirmation's id, of the grammar of the log's ids.
    pub id: String,
    /// Where the person decides.
    pub url: String,
    /// The encoding of which the service answered with the right hash.
    pub encoding: Accepted,
    /// Until when the person can decide.
    pub expires_at: UnixMillis,
}

/// What the service says that the person decided. Nothing of it is verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decided {
    /// The decision.
    pub decision: Decision,
    /// When the gate learnt it.
    pub at: UnixMillis,
}

/// An approval that was verified, and with which its action may run once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Consumption {
    /// The nonce that the passkey signed, as it is in the entry: base64url, which has one text for each value.
    pub nonce: String,
    /// The identity of the passkey that signed, as hex.
    pub credential: String,
    /// Whether this passkey was pinned. One that is not is compared with the first one that this journal saw.
    pub key_pinned: bool,
    /// Whether the passkey signed the action's text, or only the payload.
    pub action_signed: bool,
    /// The receipt, verbatim.
    pub receipt: Vec<u8>,
    /// When it was consumed.
    pub at: UnixMillis,
}

/// How an action ended, in the words of whoever ran it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It did what it should.
    Ok,
    /// It failed, and how.
    Failed(String),
}

/// The end of an action.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// How.
    pub ending: Ending,
    /// When it was recorded.
    pub at: UnixMillis,
}

/// A row. A later step fills one more part, and never changes an earlier one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// What was asked. The times in it are those of the last time that it was asked.
    pub request: NewRow,
    /// The service's answer; `None` while the outcome of the request is unknown.
    pub asked: Option<Asked>,
    /// What the service says that the person decided.
    pub decided: Option<Decided>,
    /// The final refusal, which each later run gives again.
    pub refusal: Option<Refusal>,
    /// The approval with which the action was permitted.
    pub consumed: Option<Consumption>,
    /// How the action ended. A row that is consumed and has none: unknown.
    pub ended: Option<Ended>,
}

impl Row {
    /// A row before anybody was asked.
    pub fn new(request: NewRow) -> Row {
        Row { request, asked: None, decided: None, refusal: None, consumed: None, ended: None }
    }

    /// Whether another process may be sending the request at this time.
    pub fn may_be_being_asked(&self, now: UnixMillis) -> bool {
        self.asked.is_none() && self.refusal.is_none() && now < self.request.post_until
    }

    /// Whether it is known that the request reached nobody, so that it may be made again.
    pub fn was_not_asked(&self) -> bool {
        self.asked.is_none() && self.request.post_until == UnixMillis::EPOCH
    }

    /// Whether the action was permitted and nobody said how it ended.
    pub fn is_end_unknown(&self) -> bool {
        self.consumed.is_some() && self.ended.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::hash::sha256;

    fn new_row() -> NewRow {
        NewRow {
            key: "deploy-7".to_owned(),
            service: "https://service.example".to_owned(),
            origin: "log.example/1".to_owned(),
            username: "alex".to_owned(),
            action: "Deploy".to_owned(),
            payload_hash: sha256(b"{}"),
            asked_at: UnixMillis::new(1),
            post_until: UnixMillis::new(2),
        }
    }

    #[test]
    fn all_but_the_times_makes_a_request_another_one() {
        let row = new_row();
        assert!(row.asks_the_same_as(&NewRow {
            asked_at: UnixMillis::new(5),
            post_until: UnixMillis::new(6),
            ..new_row()
        }));
        let other = || "other".to_owned();
        for another in [
            NewRow { key: other(), ..new_row() },
            NewRow { service: other(), ..new_row() },
            NewRow { origin: other(), ..new_row() },
            NewRow { username: other(), ..new_row() },
            NewRow { action: other(), ..new_row() },
            NewRow { payload_hash: sha256(b"[]"), ..new_row() },
        ] {
            assert!(!row.asks_the_same_as(&another), "{another:?}");
        }
    }

    #[test]
    fn a_request_may_be_under_way_until_its_time_or_an_answer() {
        let mut row = Row::new(new_row());
        assert!(row.may_be_being_asked(UnixMillis::new(1)));
        assert!(!row.may_be_being_asked(UnixMillis::new(2)));
        row.asked = Some(Asked {
            id: "a".to_owned(),
            url: "https://service.example/a".to_owned(),
            encoding: Accepted::JcsPayload,
            expires_at: UnixMillis::new(9),
        });
        assert!(!row.may_be_being_asked(UnixMillis::new(1)));
    }

    #[test]
    fn each_encoding_has_the_word_of_the_log() {
        for encoding in [Accepted::JcsPayload, Accepted::JcsActionPayload] {
            assert_eq!(Accepted::from_word(encoding.as_str()), Some(encoding));
        }
        assert_eq!(Accepted::from_word("raw-payload"), None);
    }
}
