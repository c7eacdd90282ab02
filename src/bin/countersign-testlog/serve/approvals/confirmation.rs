//! Confirmations in memory: each is decided once, and those who wait for it hear of it.

use super::ask::Ask;
use crate::error::TestlogError;
use countersign::core::hash::Hash;
use countersign::core::time::UnixMillis;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The most confirmations: with bodies of 64 KiB they take a gigabyte.
const MAX_CONFIRMATIONS: usize = 16_384;

/// What became of a confirmation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Pending,
    Approved,
    Rejected,
    Expired,
}

impl Status {
    /// Its name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Approved => "approved",
            Status::Rejected => "rejected",
            Status::Expired => "expired",
        }
    }
}

/// A request that a person decides on.
pub struct Confirmation {
    pub id: String,
    pub ask: Ask,
    pub nonce: Vec<u8>,
    /// What a new passkey is made over on this page.
    pub registration_challenge: [u8; 32],
    pub requested_at: UnixMillis,
    pub expires_at: UnixMillis,
    /// Held while a decision is recorded.
    deciding: Mutex<()>,
    status: watch::Sender<Status>,
}

impl Confirmation {
    /// A confirmation that nobody decided yet.
    pub fn new(
        id: String,
        ask: Ask,
        nonce: Vec<u8>,
        registration_challenge: [u8; 32],
        [requested_at, expires_at]: [UnixMillis; 2],
    ) -> Confirmation {
        let status = watch::Sender::new(Status::Pending);
        let deciding = Mutex::default();
        Confirmation { id, ask, nonce, registration_challenge, requested_at, expires_at, deciding, status }
    }

    pub fn status(&self) -> Status {
        *self.status.borrow()
    }

    /// The status, at the latest after `wait`.
    pub async fn decided(&self, wait: Duration) -> Status {
        let mut status = self.status.subscribe();
        let _ = tokio::time::timeout(wait, status.wait_for(|status| *status != Status::Pending)).await;
        self.status()
    }

    /// Decides it, if nobody has. `record` puts the decision into the log, before anybody hears of it: a gate that hears
    /// `approved` asks for the entry at once. Whether this was the decision.
    ///
    /// # Errors
    /// That of `record`; then nothing was decided.
    pub fn decide(
        &self,
        status: Status,
        record: impl FnOnce() -> Result<(), TestlogError>,
    ) -> Result<bool, TestlogError> {
        let _deciding = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        if self.status() != Status::Pending {
            return Ok(false);
        }
        record()?;
        self.status.send_replace(status);
        Ok(true)
    }
}

/// What became of a request to make a confirmation.
pub enum Created {
    New(Arc<Confirmation>),
    /// The idempotency key is that of this confirmation, of the same request.
    Known(Arc<Confirmation>),
    /// The idempotency key is that of another request.
    KeyTaken,
    /// There are too many.
    Full,
}

/// All confirmations.
#[derive(Default)]
pub struct Confirmations(Mutex<All>);

#[derive(Default)]
struct All {
    by_id: HashMap<String, Arc<Confirmation>>,
    /// Idempotency keys, each with the fingerprint of its request and its confirmation.
    by_key: HashMap<String, (Hash, Arc<Confirmation>)>,
}

impl Confirmations {
    /// Keeps a new confirmation, unless there is one for this idempotency key.
    pub fn create(&self, key: Option<&str>, made: Confirmation) -> Created {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fingerprint = made.ask.fingerprint();
        match key.and_then(|key| all.by_key.get(key)) {
            Some((known, there)) if *known == fingerprint => return Created::Known(Arc::clone(there)),
            Some(_) => return Created::KeyTaken,
            None => {}
        }
        if all.by_id.len() >= MAX_CONFIRMATIONS {
            return Created::Full;
        }
        let made = Arc::new(made);
        if let Some(key) = key {
            all.by_key.insert(key.to_owned(), (fingerprint, Arc::clone(&made)));
        }
        all.by_id.insert(made.id.clone(), Arc::clone(&made));
        Created::New(made)
    }

    pub fn get(&self, id: &str) -> Option<Arc<Confirmation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_id.get(id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confirmation(id: &str, action: &str) -> Confirmation {
        let ask = Ask {
            username: "alex".to_owned(),
            action: action.to_owned(),
            payload: "1".to_owned(),
            payload_hash: [0; 32],
        };
        Confirmation::new(id.to_owned(), ask, vec![1; 16], [2; 32], [UnixMillis::EPOCH, UnixMillis::new(1)])
    }

    #[test]
    fn it_is_decided_once_and_only_if_it_was_recorded() {
        let made = confirmation("a", "Deploy");
        assert!(made.decide(Status::Approved, || Err("no".into())).is_err());
        assert_eq!(made.status(), Status::Pending);
        assert_eq!(made.decide(Status::Rejected, || Ok(())), Ok(true));
        let recorded = made.decide(Status::Approved, || Err("recorded a second time".into()));
        assert_eq!((recorded, made.status()), (Ok(false), Status::Rejected));
    }

    #[test]
    fn one_idempotency_key_makes_one_confirmation() {
        let all = Confirmations::default();
        assert!(matches!(all.create(Some("k"), confirmation("a", "Deploy")), Created::New(_)));
        match all.create(Some("k"), confirmation("b", "Deploy")) {
            Created::Known(there) => assert_eq!(there.id, "a"),
            _ => panic!("made again"),
        }
        assert!(matches!(all.create(Some("k"), confirmation("c", "Delete")), Created::KeyTaken));
        assert!(matches!(all.create(None, confirmation("d", "Deploy")), Created::New(_)));
        assert!(matches!(all.create(Some("l"), confirmation("e", "Deploy")), Created::New(_)));
        assert!(all.get("b").is_none() && all.get("c").is_none());
        assert!(all.get("a").is_some() && all.get("d").is_some() && all.get("e").is_some());
    }

    #[tokio::test]
    async fn who_waits_hears_of_the_decision() {
        let made = Arc::new(confirmation("a", "Deploy"));
        assert_eq!(made.decided(Duration::from_millis(1)).await, Status::Pending);
        let waits = tokio::spawn({
            let made = Arc::clone(&made);
            async move { made.decided(Duration::from_secs(3600)).await }
        });
        assert_eq!(made.decide(Status::Expired, || Ok(())), Ok(true));
        assert_eq!(waits.await.ok(), Some(Status::Expired));
    }
}
