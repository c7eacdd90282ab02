//! The page on which a person decides, and what it sends.
//!
//! The page itself is the same for every confirmation: its script asks for what it shows, and puts it on the page as text.

use super::super::super::assertion::SignedAssertion;
use super::super::super::entry::SignedBy;
use super::super::super::output;
use super::super::reply::Reply;
use super::confirmation::{Confirmation, Status};
use super::decision::NotTaken;
use super::route::PageRoute;
use super::verify::{self, RegisteredPasskey, Registration};
use super::{Approvals, Call, MAX_PEOPLE, api};
use countersign::core::encoding::{decode_base64url, encode_base64url};
use countersign::core::hash::sha256;
use countersign::core::text;
use countersign::core::time::UnixMillis;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};

const HTML: &str = include_str!("page/approve.html");
const SCRIPT: &str = include_str!("page/approve.js");
const STYLE: &str = include_str!("page/approve.css");

/// Nothing from elsewhere, nothing inline, and in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// What the page shows and signs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    id: &'a str,
    username: &'a str,
    action: &'a str,
    payload: &'a RawValue,
    payload_encoding: &'static str,
    payload_hash: String,
    nonce: String,
    expires_at: UnixMillis,
    status: &'static str,
    rp_id: &'a str,
    web_origin: &'a str,
    /// The credential id of the person's passkey, if they registered one.
    credential_id: Option<String>,
    registration_challenge: String,
    user_id: String,
}

/// A new passkey as the page sends it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SentRegistration {
    credential_id: String,
    #[serde(rename = "clientDataJSON")]
    client_data_json: String,
    authenticator_data: String,
}

/// An assertion as the page sends it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SentAssertion {
    credential_id: String,
    #[serde(rename = "clientDataJSON")]
    client_data_json: String,
    authenticator_data: String,
    signature: String,
}

impl Approvals {
    /// Answers the page.
    pub fn page(&self, route: PageRoute, call: &Call) -> Reply {
        let reply = match &route {
            PageRoute::Script => Reply::new(200, "text/javascript; charset=utf-8", SCRIPT.into()),
            PageRoute::Style => Reply::new(200, "text/css; charset=utf-8", STYLE.into()),
            PageRoute::Html(id)
            | PageRoute::Request(id)
            | PageRoute::Register(id)
            | PageRoute::Approve(id)
            | PageRoute::Reject(id) => match self.confirmations.get(id) {
                Some(confirmation) => self.about(&confirmation, &route, call),
                None => api::error(404, "there is no such confirmation"),
            },
        };
        with_policy(reply)
    }

    fn about(&self, confirmation: &Confirmation, route: &PageRoute, call: &Call) -> Reply {
        let answered = match route {
            PageRoute::Register(_) => {
                self.is_from_the_page(call).and_then(|()| self.register(confirmation, &call.body))
            }
            PageRoute::Approve(_) => {
                self.is_from_the_page(call).and_then(|()| self.approved_by(confirmation, &call.body))
            }
            PageRoute::Reject(_) => {
                self.is_from_the_page(call).and_then(|()| self.reject(confirmation).map_err(refused))
            }
            PageRoute::Html(_) | PageRoute::Script | PageRoute::Style => {
                return Reply::new(200, "text/html; charset=utf-8", HTML.into());
            }
            PageRoute::Request(_) => Ok(()),
        };
        match answered.and_then(|()| self.shown(confirmation)) {
            Ok(body) => Reply::new(200, "application/json", body),
            Err(reply) => reply,
        }
    }

    fn people(&self) -> MutexGuard<'_, HashMap<String, RegisteredPasskey>> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self, confirmation: &Confirmation) -> Result<Vec<u8>, Reply> {
        let ask = &confirmation.ask;
        let no_json = |why: serde_json::Error| api::error(500, &why.to_string());
        let passkey = self.people().get(&ask.username).cloned();
        let shown = Shown {
            id: &confirmation.id,
            username: &ask.username,
            action: &ask.action,
            payload: serde_json::from_str(&ask.payload).map_err(no_json)?,
            payload_encoding: self.payload_encoding,
            payload_hash: self.told_hash(confirmation),
            nonce: encode_base64url(&confirmation.nonce),
            expires_at: confirmation.expires_at,
            status: confirmation.status().as_str(),
            rp_id: &self.site.rp_id,
            web_origin: &self.site.origin,
            credential_id: passkey.map(|passkey| encode_base64url(&passkey.credential_id)),
            registration_challenge: encode_base64url(&confirmation.registration_challenge),
            user_id: encode_base64url(sha256(ask.username.as_bytes()).as_bytes()),
        };
        serde_json::to_vec(&shown).map_err(no_json)
    }

    /// A page of another site can send a request, but not with this header and this content type.
    fn is_from_the_page(&self, call: &Call) -> Result<(), Reply> {
        if call.header("origin") != Some(self.site.origin.as_str()) {
            Err(api::error(403, "only the page of this service decides"))
        } else if call.header("content-type") != Some("application/json") {
            Err(api::error(400, "the body is application/json"))
        } else {
            Ok(())
        }
    }

    /// Registers the first passkey of a person.
    fn register(&self, confirmation: &Confirmation, body: &[u8]) -> Result<(), Reply> {
        let sent: SentRegistration = read(body)?;
        let [credential_id, client_data_json, authenticator_data] =
            decoded([&sent.credential_id, &sent.client_data_json, &sent.authenticator_data])?;
        if confirmation.status() != Status::Pending {
            return Err(refused(NotTaken::TooLate));
        }
        let made = Registration {
            credential_id: &credential_id,
            client_data_json: &client_data_json,
            authenticator_data: &authenticator_data,
        };
        let passkey = verify::registration(&self.site, &confirmation.registration_challenge, &made)
            .map_err(|why| api::error(400, &why))?;
        let cose = encode_base64url(&passkey.cose);
        let username = &confirmation.ask.username;
        let mut people = self.people();
        if people.contains_key(username) {
            return Err(api::error(409, "this person has a passkey already"));
        }
        if people.len() >= MAX_PEOPLE {
            return Err(api::error(503, "there are too many people"));
        }
        people.insert(username.clone(), passkey);
        drop(people);
        output::note(&format!("{} registered a passkey, to be pinned: {cose}", text::quoted(username)));
        Ok(())
    }

    /// Approves with an assertion of the person's passkey.
    fn approved_by(&self, confirmation: &Confirmation, body: &[u8]) -> Result<(), Reply> {
        let sent: SentAssertion = read(body)?;
        let [credential_id, client_data_json, authenticator_data, signature] = decoded([
            &sent.credential_id,
            &sent.client_data_json,
            &sent.authenticator_data,
            &sent.signature,
        ])?;
        let passkey = self.people().get(&confirmation.ask.username).cloned();
        let passkey = passkey.filter(|passkey| passkey.credential_id == credential_id);
        let passkey = passkey.ok_or_else(|| api::error(400, "this is no passkey of this person"))?;
        let assertion = SignedAssertion { authenticator_data, client_data_json, signature };
        let signed = SignedBy { credential_id, cose: passkey.cose, assertion };
        self.approve(confirmation, signed).map_err(refused)
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Reply> {
    serde_json::from_slice(body).map_err(|why| api::error(400, &why.to_string()))
}

fn decoded<const N: usize>(texts: [&String; N]) -> Result<[Vec<u8>; N], Reply> {
    let parts: Option<Vec<Vec<u8>>> = texts.into_iter().map(|text| decode_base64url(text)).collect();
    let parts = parts.and_then(|parts| parts.try_into().ok());
    parts.ok_or_else(|| api::error(400, "a part is not base64url"))
}

fn refused(why: NotTaken) -> Reply {
    match why {
        NotTaken::TooLate => api::error(409, "it was decided, or has expired"),
        NotTaken::Unverified(why) => api::error(400, &why),
        NotTaken::Fault(why) => api::error(500, &why.to_string()),
    }
}

fn with_policy(mut reply: Reply) -> Reply {
    let headers = [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    reply.headers.extend(headers.map(|(name, value)| (name, value.to_owned())));
    reply
}
