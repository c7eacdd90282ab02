//! CollectedClientData: the browser's description of the ceremony (WebAuthn Level 3 section 5.8.1; specification
//! section 9.2).
//!
//! Only the structure is checked here. The signature covers the hash of the received bytes, which the caller keeps.

use crate::core::encoding::decode_base64url;
use crate::core::jcs::{Json, JsonError};
use crate::core::limits::MAX_JSON_DEPTH;
use std::fmt;

/// The members of clientDataJSON that the checks use. All others are ignored, including `tokenBinding`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientData {
    /// `type`: `webauthn.get` in an assertion.
    pub ceremony: String,
    /// `challenge`, not decoded. It should be base64url.
    pub challenge: String,
    /// `origin` of the page that requested the assertion.
    pub origin: String,
    /// `crossOrigin`, if present.
    pub cross_origin: Option<bool>,
    /// `topOrigin`, if present.
    pub top_origin: Option<String>,
}

/// Why bytes are not client data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientDataError {
    /// Not strict JSON.
    Json(JsonError),
    /// JSON, but not an object.
    NotAnObject,
    /// A required member is missing.
    Missing(&'static str),
    /// A member of the wrong type.
    WrongType(&'static str),
}

impl fmt::Display for ClientDataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientDataError::Json(error) => error.fmt(f),
            ClientDataError::NotAnObject => f.write_str("not a JSON object"),
            ClientDataError::Missing(name) => write!(f, "member {name} is missing"),
            ClientDataError::WrongType(name) => write!(f, "member {name} has the wrong type"),
        }
    }
}

impl std::error::Error for ClientDataError {}

impl ClientData {
    /// Parses clientDataJSON. One leading byte order mark is skipped, as by "UTF-8 decode" in WebAuthn section 7.2 step 5.
    ///
    /// # Errors
    /// [`ClientDataError`].
    pub fn parse(bytes: &[u8]) -> Result<ClientData, ClientDataError> {
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let Json::Object(members) = Json::parse(text, MAX_JSON_DEPTH).map_err(ClientDataError::Json)? else {
            return Err(ClientDataError::NotAnObject);
        };
        let (mut ceremony, mut challenge, mut origin, mut cross_origin, mut top_origin) =
            (None, None, None, None, None);
        for (name, value) in members {
            match name.as_str() {
                "type" => ceremony = Some(string("type", value)?),
                "challenge" => challenge = Some(string("challenge", value)?),
                "origin" => origin = Some(string("origin", value)?),
                "topOrigin" => top_origin = Some(string("topOrigin", value)?),
                "crossOrigin" => match value {
                    Json::Bool(value) => cross_origin = Some(value),
                    _ => return Err(ClientDataError::WrongType("crossOrigin")),
                },
                _ => {}
            }
        }
        Ok(ClientData {
            ceremony: ceremony.ok_or(ClientDataError::Missing("type"))?,
            challenge: challenge.ok_or(ClientDataError::Missing("challenge"))?,
            origin: origin.ok_or(ClientDataError::Missing("origin"))?,
            cross_origin,
            top_origin,
        })
    }

    /// The decoded challenge, if it is strict base64url.
    pub fn challenge_bytes(&self) -> Option<Vec<u8>> {
        decode_base64url(&self.challenge)
    }
}

fn string(name: &'static str, value: Json) -> Result<String, ClientDataError> {
    if let Json::String(text) = value { Ok(text) } else { Err(ClientDataError::WrongType(name)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = r#""type":"webauthn.get","challenge":"AAEC","origin":"https://a.example""#;

    fn parse(text: &str) -> Result<ClientData, ClientDataError> {
        ClientData::parse(text.as_bytes())
    }

    #[test]
    fn reads_the_members_and_ignores_others() {
        let client = parse(&format!(
            "{{{PLAIN},\"crossOrigin\":true,\"topOrigin\":\"https://t\",\"tokenBinding\":7,\"x\":[{{}}]}}"
        ))
        .unwrap();
        assert_eq!(client.cross_origin, Some(true));
        assert_eq!(client.top_origin.as_deref(), Some("https://t"));
        assert_eq!(client.challenge_bytes(), Some(vec![0, 1, 2]));
        assert_eq!(parse(&format!("{{{PLAIN}}}")).unwrap().cross_origin, None);
    }

    #[test]
    fn skips_one_byte_order_mark_only() {
        assert!(parse(&format!("\u{feff}{{{PLAIN}}}")).is_ok());
        assert!(parse(&format!("\u{feff}\u{feff}{{{PLAIN}}}")).is_err());
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "[]".to_owned(),
            "{}".to_owned(),
            format!("{{{PLAIN}}}x"),
            format!("{{{PLAIN},\"\\u0074ype\":\"webauthn.get\"}}"),
            format!("{{{PLAIN},\"crossOrigin\":null}}"),
            format!("{{{PLAIN},\"crossOrigin\":\"false\"}}"),
            format!("{{{PLAIN},\"topOrigin\":null}}"),
            format!("{{{PLAIN},\"deep\":{}{}}}", "[".repeat(16), "]".repeat(16)),
            r#"{"type":1,"challenge":"","origin":""}"#.to_owned(),
            r#"{"type":"","origin":""}"#.to_owned(),
            r#"{"type":"","challenge":""}"#.to_owned(),
        ] {
            assert!(parse(&text).is_err(), "{text}");
        }
        assert!(parse(&format!("{{{PLAIN},\"deep\":{}{}}}", "[".repeat(15), "]".repeat(15))).is_ok());
    }
}
