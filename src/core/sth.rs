//! JSON signed tree heads (specification section 3): the same head as a checkpoint, with a time.
//!
//! The Ed25519 signature is over `"approval-log-sth/v1\0" ‖ JCS(the object without "signature")`. The JSON on the wire
//! need not be canonical; its values are parsed strictly.

use crate::core::encoding;
use crate::core::hash::{Hash, sha256_pair};
use crate::core::jcs::write_canonical_string;
use crate::core::limits;
use crate::core::object;
use crate::core::time::UnixMillis;
use serde::Deserialize;
use std::fmt;

/// The object's `type`; followed by a NUL, the domain separator of its signature.
pub const STH_TYPE: &str = "approval-log-sth/v1";

const SIGNATURE_DOMAIN: &[u8] = b"approval-log-sth/v1\0";

/// The values of an STH, not authenticated. A verified STH is a [`crate::core::head::Head`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SthBody {
    /// The log's origin.
    pub origin: String,
    /// Number of leaves, at most 2^53 − 1.
    pub size: u64,
    /// RFC 6962 root of that many leaves.
    pub root: Hash,
    /// When it was signed, as the log says.
    pub timestamp: UnixMillis,
    /// First 8 bytes of `SHA-256("approval-log-sth/v1\0" ‖ public key)`.
    pub key_id: [u8; 8],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SthJson {
    r#type: String,
    origin: String,
    tree_size: u64,
    root_hash: String,
    timestamp: UnixMillis,
    key_id: String,
    signature: String,
}

/// Why bytes are not an STH.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SthError {
    /// Not an object with these members. The text may repeat parts of it and is not escaped.
    Json(String),
    /// `type` is not [`STH_TYPE`].
    Type,
    /// `origin` is empty or longer than [`limits::MAX_ORIGIN`].
    Origin,
    /// An integer is larger than [`limits::MAX_INTEGER`].
    LargeInteger,
    /// `rootHash` is not 64 lowercase hex digits.
    RootHash,
    /// `keyId` is not 16 lowercase hex digits.
    KeyId,
    /// `signature` is not base64url.
    Signature,
}

impl fmt::Display for SthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SthError::Json(why) => f.write_str(why),
            SthError::Type => write!(f, "type is not {STH_TYPE:?}"),
            SthError::Origin => f.write_str("origin is empty or too long"),
            SthError::LargeInteger => f.write_str("an integer is larger than 2^53 - 1"),
            SthError::RootHash => f.write_str("rootHash is not 64 lowercase hex digits"),
            SthError::KeyId => f.write_str("keyId is not 16 lowercase hex digits"),
            SthError::Signature => f.write_str("signature is not base64url"),
        }
    }
}

impl std::error::Error for SthError {}

impl SthBody {
    /// Parses an STH. The second value is the signature, not yet verified.
    ///
    /// # Errors
    /// [`SthError`].
    pub fn parse(bytes: &[u8]) -> Result<(SthBody, Vec<u8>), SthError> {
        let json: SthJson = object::from_slice(bytes).map_err(|error| SthError::Json(error.to_string()))?;
        if json.r#type != STH_TYPE {
            return Err(SthError::Type);
        }
        if json.origin.is_empty() || json.origin.len() > limits::MAX_ORIGIN {
            return Err(SthError::Origin);
        }
        if json.tree_size > limits::MAX_INTEGER || json.timestamp.get() > limits::MAX_INTEGER {
            return Err(SthError::LargeInteger);
        }
        let root = Hash::from_hex(&json.root_hash).ok_or(SthError::RootHash)?;
        let key_id = encoding::decode_hex_exact::<8>(&json.key_id).ok_or(SthError::KeyId)?;
        let signature = encoding::decode_base64url(&json.signature).ok_or(SthError::Signature)?;
        let body =
            SthBody { origin: json.origin, size: json.tree_size, root, timestamp: json.timestamp, key_id };
        Ok((body, signature))
    }

    /// The exact bytes that the log signs.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut out = SIGNATURE_DOMAIN.to_vec();
        out.extend_from_slice(&self.canonical_members(None));
        out
    }

    /// The STH as canonical JSON with its signature, as a log writes it.
    pub fn to_json(&self, signature: &[u8]) -> Vec<u8> {
        self.canonical_members(Some(signature))
    }

    /// The members in the order of RFC 8785. The set is closed, so the order is written out here.
    fn canonical_members(&self, signature: Option<&[u8]>) -> Vec<u8> {
        let mut out =
            format!("{{\"keyId\":\"{}\",\"origin\":", encoding::encode_hex(&self.key_id)).into_bytes();
        write_canonical_string(&mut out, &self.origin);
        out.extend_from_slice(format!(",\"rootHash\":\"{}\"", self.root).as_bytes());
        if let Some(signature) = signature {
            out.extend_from_slice(
                format!(",\"signature\":\"{}\"", encoding::encode_base64url(signature)).as_bytes(),
            );
        }
        out.extend_from_slice(
            format!(
                ",\"timestamp\":{},\"treeSize\":{},\"type\":\"{STH_TYPE}\"}}",
                self.timestamp.get(),
                self.size
            )
            .as_bytes(),
        );
        out
    }
}

/// The `keyId` of an Ed25519 log key.
pub fn sth_key_id(public_key: &[u8]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = sha256_pair(SIGNATURE_DOMAIN, public_key).0;
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::jcs;

    fn body() -> SthBody {
        SthBody {
            origin: "log.example/\u{e9}\"\\".to_owned(),
            size: 7,
            root: Hash([9; 32]),
            timestamp: UnixMillis::new(1_782_000_045_000),
            key_id: [1; 8],
        }
    }

    #[test]
    fn written_sths_are_canonical() {
        let json = body().to_json(&[5; 64]);
        assert_eq!(jcs::canonicalize(&json, 2).unwrap(), json);
        let signed = body().signed_bytes();
        let unsigned = signed.strip_prefix(SIGNATURE_DOMAIN).unwrap();
        assert_eq!(jcs::canonicalize(unsigned, 2).unwrap(), unsigned);
        assert_eq!(SthBody::parse(&json).unwrap(), (body(), vec![5; 64]));
    }

    #[test]
    fn numbers_are_integers_and_members_are_closed() {
        let good = String::from_utf8(body().to_json(&[5; 64])).unwrap();
        for (from, to) in [
            ("\"treeSize\":7", "\"treeSize\":7.0"),
            ("\"treeSize\":7", "\"treeSize\":\"7\""),
            ("\"treeSize\":7", "\"treeSize\":07"),
            ("\"treeSize\":7", "\"treeSize\":-7"),
            ("\"treeSize\":7", "\"treeSize\":9007199254740992"),
            ("\"treeSize\":7", "\"treeSize\":7,\"treeSize\":7"),
            ("\"treeSize\":7", "\"treeSize\":7,\"more\":1"),
            ("\"treeSize\":7,", ""),
            ("sth/v1", "sth/v2"),
            ("0909", "09AB"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            assert!(SthBody::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(SthBody::parse(format!("{good} x").as_bytes()).is_err());
    }
}
