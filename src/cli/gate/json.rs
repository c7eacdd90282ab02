//! What a gate says, as JSON. Fields are stable: fields may be added, but none changes its meaning.
//!
//! Every character that a terminal would act on is written as an escape, so that a text is safe to show and still exactly
//! what it was.

use crate::core::jcs::canonicalize;
use crate::core::text::is_invisible;
use crate::core::time::UnixMillis;
use crate::gate::Approval;
use crate::gate::reason::Refusal;
use crate::gate::request::Request;
use crate::gate::row::{Ending, Row};
use serde::Serialize;
use serde_json::value::RawValue;

/// Nesting of a receipt: an entry, or a payload in a reveal.
const MAX_DEPTH: usize = 127;

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct GateJson<'a> {
    tool: &'static str,
    version: &'static str,
    command: &'static str,
    result: &'static str,
    exit_code: u8,
    reason: Option<&'static str>,
    message: Option<&'a str>,
    key: &'a str,
    id: Option<&'a str>,
    url: Option<&'a str>,
    nonce: Option<&'a str>,
    username: &'a str,
    action: &'a str,
    payload: Option<Box<RawValue>>,
    payload_hash: String,
    payload_encoding: Option<&'static str>,
    approver: Option<&'a str>,
    requested_at: Option<UnixMillis>,
    decided_at: Option<UnixMillis>,
    expires_at: Option<UnixMillis>,
    key_pinned: Option<bool>,
    action_signed: Option<bool>,
    receipt: Option<Box<RawValue>>,
}

/// An approval, as one line.
///
/// # Errors
/// A part is no JSON.
pub fn approved(key: &str, request: &Request, approval: &Approval) -> Result<String, serde_json::Error> {
    let (asked, checked) = (&approval.asked, &approval.checked);
    line(&GateJson {
        result: "approved",
        id: Some(&asked.id),
        url: Some(&asked.url),
        nonce: Some(&checked.nonce),
        payload: Some(RawValue::from_string(request.payload().to_owned())?),
        payload_hash: request.hash(asked.encoding).to_string(),
        payload_encoding: Some(asked.encoding.as_str()),
        approver: Some(&checked.approver),
        requested_at: Some(checked.requested_at),
        decided_at: Some(checked.decided_at),
        expires_at: Some(asked.expires_at),
        key_pinned: Some(checked.key_pinned),
        action_signed: Some(checked.action_signed),
        receipt: Some(raw(&checked.receipt)?),
        ..named(key, request)
    })
}

/// A refusal, as one line, with what is known.
///
/// # Errors
/// A part is no JSON.
pub fn refused(
    key: &str,
    request: &Request,
    refusal: &Refusal,
    exit_code: u8,
    row: Option<&Row>,
) -> Result<String, serde_json::Error> {
    let asked = row.and_then(|row| row.asked.as_ref());
    let hash = asked.map_or(request.payload_hash(), |asked| request.hash(asked.encoding));
    line(&GateJson {
        result: "refused",
        exit_code,
        reason: Some(refusal.reason.as_str()),
        message: Some(&refusal.message),
        id: asked.map(|asked| asked.id.as_str()),
        url: asked.map(|asked| asked.url.as_str()),
        payload_hash: hash.to_string(),
        payload_encoding: asked.map(|asked| asked.encoding.as_str()),
        decided_at: row.and_then(|row| row.decided).map(|decided| decided.at),
        expires_at: asked.map(|asked| asked.expires_at),
        ..named(key, request)
    })
}

fn named<'a>(key: &'a str, request: &'a Request) -> GateJson<'a> {
    GateJson {
        tool: "countersign",
        version: env!("CARGO_PKG_VERSION"),
        command: "gate",
        key,
        username: request.username(),
        action: request.action(),
        ..GateJson::default()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RowJson<'a> {
    key: &'a str,
    state: &'a str,
    service: &'a str,
    origin: &'a str,
    id: Option<&'a str>,
    url: Option<&'a str>,
    username: &'a str,
    action: &'a str,
    payload_hash: String,
    payload_encoding: Option<&'static str>,
    asked_at: UnixMillis,
    expires_at: Option<UnixMillis>,
    decision: Option<&'static str>,
    decided_at: Option<UnixMillis>,
    reason: Option<&'static str>,
    message: Option<&'a str>,
    nonce: Option<&'a str>,
    credential: Option<&'a str>,
    key_pinned: Option<bool>,
    action_signed: Option<bool>,
    consumed_at: Option<UnixMillis>,
    ended_at: Option<UnixMillis>,
    ending: Option<&'static str>,
    failure: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Box<RawValue>>,
}

/// A row of the journal, as one line; with its receipt, if it is asked for and there is one.
///
/// # Errors
/// A part is no JSON.
pub fn row(row: &Row, state: &str, with_receipt: bool) -> Result<String, serde_json::Error> {
    let Row { request, asked, decided, refusal, consumed, ended } = row;
    let (asked, consumed) = (asked.as_ref(), consumed.as_ref());
    let receipt = consumed.filter(|_| with_receipt).map(|consumed| raw(&consumed.receipt)).transpose()?;
    line(&RowJson {
        key: &request.key,
        state,
        service: &request.service,
        origin: &request.origin,
        id: asked.map(|asked| asked.id.as_str()),
        url: asked.map(|asked| asked.url.as_str()),
        username: &request.username,
        action: &request.action,
        payload_hash: request.payload_hash.to_string(),
        payload_encoding: asked.map(|asked| asked.encoding.as_str()),
        asked_at: request.asked_at,
        expires_at: asked.map(|asked| asked.expires_at),
        decision: decided.map(|decided| decided.decision.as_str()),
        decided_at: decided.map(|decided| decided.at),
        reason: refusal.as_ref().map(|refusal| refusal.reason.as_str()),
        message: refusal.as_ref().map(|refusal| refusal.message.as_str()),
        nonce: consumed.map(|consumed| consumed.nonce.as_str()),
        credential: consumed.map(|consumed| consumed.credential.as_str()),
        key_pinned: consumed.map(|consumed| consumed.key_pinned),
        action_signed: consumed.map(|consumed| consumed.action_signed),
        consumed_at: consumed.map(|consumed| consumed.at),
        ended_at: ended.as_ref().map(|ended| ended.at),
        ending: ended.as_ref().map(|ended| match ended.ending {
            Ending::Ok => "ok",
            Ending::Failed(_) => "failed",
        }),
        failure: ended.as_ref().and_then(|ended| match &ended.ending {
            Ending::Ok => None,
            Ending::Failed(why) => Some(why.as_str()),
        }),
        receipt,
    })
}

/// The canonical form of JSON: a receipt in it is the same receipt, and has no line breaks.
fn raw(json: &[u8]) -> Result<Box<RawValue>, serde_json::Error> {
    use serde::de::Error as _;
    let canonical = canonicalize(json, MAX_DEPTH).map_err(serde_json::Error::custom)?;
    RawValue::from_string(String::from_utf8(canonical).map_err(serde_json::Error::custom)?)
}

fn line(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let json = serde_json::to_string(value)?;
    let mut line = String::with_capacity(json.len().saturating_add(1));
    for character in json.chars() {
        // Outside its texts, JSON without white space has no such character.
        match is_invisible(character) {
            true => {
                let mut units = [0; 2];
                character
                    .encode_utf16(&mut units)
                    .iter()
                    .for_each(|unit| line.push_str(&format!("\\u{unit:04x}")));
            }
            false => line.push(character),
        }
    }
    line.push('\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_safe_and_says_the_same() {
        let text = "a\u{202e}\u{e0041}\n\u{1b}é\u{7f}";
        let encoded = line(&[text]).unwrap();
        assert_eq!(encoded, "[\"a\\u202e\\udb40\\udc41\\n\\u001bé\\u007f\"]\n");
        assert_eq!(serde_json::from_str::<[String; 1]>(&encoded).unwrap(), [text]);
        assert_eq!(raw(b" {\"b\": 1,\n\"a\": []}").unwrap().get(), r#"{"a":[],"b":1}"#);
    }
}
