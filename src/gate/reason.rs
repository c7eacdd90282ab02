//! Why an action does not run (gate specification section 3).

use crate::audit::conclusion::Conclusion;

/// Why the gate refused. There is no reason that permits an action.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// The person said no.
    Rejected,
    /// Nobody decided before the confirmation expired.
    Expired,
    /// Nobody decided in the caller's time. The same idempotency key goes on waiting.
    TimedOut,
    /// What was approved is not what was asked for: another payload, action, person or id, or an earlier approval.
    Mismatch,
    /// The nonce was consumed before.
    Replayed,
    /// A check of the receipt failed, or a check that is needed was not made.
    Unverified,
    /// The service says approved, and the log did not have the entry in time.
    NotLogged,
    /// The log signed two histories. The proof was saved.
    Violation,
    /// The service or the log is out of reach, the outcome of a request is unknown, or a status is not known.
    Unavailable,
    /// A signal or the caller ended the wait. The same idempotency key goes on waiting.
    Interrupted,
    /// The service refused the API key or the request.
    Denied,
    /// A fault on this side, such as a journal that is missing or damaged.
    LocalFault,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Reason; 12] = [
        Reason::Rejected,
        Reason::Expired,
        Reason::TimedOut,
        Reason::Mismatch,
        Reason::Replayed,
        Reason::Unverified,
        Reason::NotLogged,
        Reason::Violation,
        Reason::Unavailable,
        Reason::Interrupted,
        Reason::Denied,
        Reason::LocalFault,
    ];

    /// Its word in JSON, in the journal and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Rejected => "rejected",
            Reason::Expired => "expired",
            Reason::TimedOut => "timed-out",
            Reason::Mismatch => "mismatch",
            Reason::Replayed => "replayed",
            Reason::Unverified => "unverified",
            Reason::NotLogged => "not-logged",
            Reason::Violation => "violation",
            Reason::Unavailable => "unavailable",
            Reason::Interrupted => "interrupted",
            Reason::Denied => "denied",
            Reason::LocalFault => "local-fault",
        }
    }

    /// The reason with this word.
    pub fn from_word(word: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// The exit code of a gate without a command. With one it is 125, because any other code is the command's.
    pub fn exit_code(self) -> u8 {
        match self {
            Reason::Rejected | Reason::Expired | Reason::Mismatch | Reason::Replayed | Reason::Unverified => {
                Conclusion::Invalid.exit_code()
            }
            Reason::Denied => 2,
            Reason::TimedOut | Reason::NotLogged | Reason::Unavailable | Reason::Interrupted => {
                Conclusion::Incomplete.exit_code()
            }
            Reason::Violation => Conclusion::Violation.exit_code(),
            Reason::LocalFault => Conclusion::LocalFault.exit_code(),
        }
    }

    /// Whether another run with the same idempotency key may still end in an approval. Otherwise it gives the same
    /// refusal again (gate specification section 5.4).
    pub fn may_go_on(self) -> bool {
        matches!(
            self,
            Reason::TimedOut
                | Reason::NotLogged
                | Reason::Unavailable
                | Reason::Interrupted
                | Reason::LocalFault
        )
    }
}

/// A refusal: the reason, and a user-facing message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// What happened and what to do: one sentence, escaped, without secrets.
    pub message: String,
}

impl Refusal {
    /// A refusal for this reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Refusal {
        Refusal { reason, message: message.into() }
    }
}
