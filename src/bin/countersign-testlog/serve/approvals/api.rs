//! The answers to a gate (gate specification section 1). The names of this wire are here.

use super::super::lies::{ServiceLie, ServiceRequest};
use super::super::reply::Reply;
use super::super::signing::now;
use super::ask::Ask;
use super::confirmation::{Confirmation, Created, Status};
use super::{Approvals, Call, lying};
use crate::error::TestlogError;
use crate::seed::{random, uuid};
use countersign::core::api::write_error;
use countersign::core::encoding::encode_hex;
use countersign::core::hash::sha256;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// The longest that an answer is held back.
const MAX_WAIT: u64 = 60;

/// The longest idempotency key.
const MAX_KEY: usize = 255;

/// A delay that is longer than any client waits.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// An error response.
pub fn error(status: u16, message: &str) -> Reply {
    Reply::new(status, "application/json", write_error(message))
}

impl Approvals {
    /// `POST /api/confirmations`
    pub fn ask(self: &Arc<Approvals>, call: &Call) -> Reply {
        if let Err(refused) = self.check_key(call) {
            return refused;
        }
        if self.lies(ServiceLie::Redirect(ServiceRequest::Ask)) {
            return self.redirect(call);
        }
        let ask = match Ask::read(&call.body, self.payload_encoding) {
            Ok(ask) => ask,
            Err(why) => return error(400, &why),
        };
        let key = call.header("idempotency-key");
        let there = call.headers.contains_key("idempotency-key");
        let fits =
            |key: &str| (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        if there && !key.is_some_and(fits) {
            return error(400, "Idempotency-Key has 1 to 255 visible ASCII characters");
        }
        let made = match self.confirmation(ask) {
            Ok(made) => made,
            Err(why) => return error(500, &why.to_string()),
        };
        let (status, confirmation) = match self.confirmations.create(key, made) {
            Created::New(confirmation) => {
                self.attend(&confirmation);
                (201, confirmation)
            }
            Created::Known(confirmation) => (200, confirmation),
            Created::KeyTaken => return error(409, "this Idempotency-Key was used for another request"),
            Created::Full => return error(503, "there are too many confirmations"),
        };
        let mut reply = Reply::json(status, &self.described(&confirmation, confirmation.status()));
        if self.lies(ServiceLie::NeverAnswers(ServiceRequest::Ask)) {
            reply.delay = NEVER;
        }
        reply
    }

    fn confirmation(&self, ask: Ask) -> Result<Confirmation, TestlogError> {
        let requested_at = now();
        let nonce = match self.lies(ServiceLie::NonceTwice) {
            true => self.seed.bytes("the only nonce", 0),
            false => random()?,
        };
        let times = [requested_at, requested_at.saturating_add(self.open_for)];
        Ok(Confirmation::new(uuid(random()?), ask, nonce.to_vec(), random()?, times))
    }

    /// `GET /api/confirmations/{id}?wait=N`
    pub async fn wait(&self, id: &str, query: &str, call: &Call) -> Reply {
        if let Err(refused) = self.check_key(call) {
            return refused;
        }
        if self.lies(ServiceLie::Redirect(ServiceRequest::Wait)) {
            return self.redirect(call);
        }
        let Some(confirmation) = self.confirmations.get(id) else {
            return error(404, "there is no such confirmation");
        };
        let Some(wait) = seconds(query) else { return error(400, "wait is a number of seconds") };
        if self.lies(ServiceLie::NeverAnswers(ServiceRequest::Wait)) {
            return Reply { delay: NEVER, ..error(503, "never answered") };
        }
        let status = confirmation.decided(Duration::from_secs(wait.min(MAX_WAIT))).await;
        Reply::json(200, &self.described(&confirmation, status))
    }

    /// A confirmation as both answers describe it.
    fn described(&self, confirmation: &Confirmation, status: Status) -> serde_json::Value {
        let granted = status == Status::Approved && self.lies(ServiceLie::UnknownStatus);
        json!({
            "id": confirmation.id,
            "url": format!("{}/approve/{}", self.site.origin, confirmation.id),
            "status": if granted { "granted" } else { status.as_str() },
            "payloadHash": self.told_hash(confirmation),
            "expiresAt": confirmation.expires_at,
        })
    }

    /// The hash that the service says the payload has.
    pub fn told_hash(&self, confirmation: &Confirmation) -> String {
        let hash = &confirmation.ask.payload_hash;
        match self.lies(ServiceLie::OtherHash) {
            true => encode_hex(&lying::another_hash(hash)),
            false => encode_hex(hash),
        }
    }

    fn check_key(&self, call: &Call) -> Result<(), Reply> {
        // Hashes are compared, so how long it takes says nothing about the key.
        match call.header("x-api-key") {
            Some(key) if sha256(key.as_bytes()) == self.api_key => Ok(()),
            Some(_) => Err(error(401, "this is not the API key")),
            None => Err(error(401, "X-Api-Key is missing")),
        }
    }

    /// To this server under another name, where it shows in the statistics whether somebody followed.
    fn redirect(&self, call: &Call) -> Reply {
        let mut reply = error(307, "moved");
        reply.headers.push(("location", format!("{}/redirected{}", self.site.origin, call.target)));
        reply
    }
}

/// The seconds of a query; 0 where it does not say. Other parameters are ignored.
fn seconds(query: &str) -> Option<u64> {
    let mut waits = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "wait");
    let Some((_, value)) = waits.next() else { return Some(0) };
    let digits = (1..=6).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
    if digits && waits.next().is_none() { value.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_to_wait() {
        for (query, expected) in [
            ("", Some(0)),
            ("wait=25", Some(25)),
            ("a=b&wait=0", Some(0)),
            ("wait=", None),
            ("wait=-1", None),
            ("wait=1.5", None),
            ("wait=1&wait=2", None),
            ("wait=99999999999999999999", None),
        ] {
            assert_eq!(seconds(query), expected, "{query}");
        }
    }
}
