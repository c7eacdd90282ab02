//! JSON signed tree heads (specification section 3): the same head as a checkpoint, with a time.
//!
//! The Ed25519 signature is over `"approval-log-sth/v1\0" ‖ JCS(the object without "signature")`.
//! The JSON on the wire need not be canonical; the values in it are taken strictly.

use crate::core::encoding;
use crate::core::hash::{Hash, sha256_pair};
use crate::core::jcs::write_canonical_string;
use crate::core::limits;
use crate::core::object;
use serde::Deserialize;

/// `type` of the object, and with a NUL the domain separator of the signature.
pub const STH_TYPE: &str = "approval-log-sth/v1";

const SIGNATURE_DOMAIN: &[u8] = b"approval-log-sth/v1\0";

/// The values of an STH. Nothing in it is authenticated; [`crate::core::head::Head`] is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SthBody {
    /// Which log this is.
    pub origin: String,
    /// Number of leaves, at most 2^53 − 1.
    pub size: u64,
    /// RFC 6962 root of that many leaves.
    pub root: Hash,
    /// Unix milliseconds.
    pub timestamp: u64,
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
    timestamp: u64,
    key_id: String,
    signature: String,
}

impl SthBody {
    /// Parses an STH; the second value is the signature, not yet verified.
    pub fn parse(bytes: &[u8]) -> Result<(SthBody, Vec<u8>), String> {
        let json: SthJson = object::from_slice(bytes).map_err(|error| error.to_string())?;
        if json.r#type != STH_TYPE {
            return Err(format!("type is not {STH_TYPE:?}"));
        }
        if json.origin.is_empty() || json.origin.len() > limits::MAX_ORIGIN {
            return Err("origin is empty or too long".to_owned());
        }
        if json.tree_size > limits::MAX_INTEGER || json.timestamp > limits::MAX_INTEGER {
            return Err("an integer is larger than 2^53 - 1".to_owned());
        }
        let root = Hash::from_hex(&json.root_hash).ok_or("rootHash is not 64 lowercase hex digits")?;
        let key_id =
            encoding::decode_hex_exact::<8>(&json.key_id).ok_or("keyId is not 16 lowercase hex digits")?;
        let signature = encoding::decode_base64url(&json.signature).ok_or("signature is not base64url")?;
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

    /// The STH as JSON with its signature, in canonical form: what a log writes.
    pub fn to_json(&self, signature: &[u8]) -> Vec<u8> {
        self.canonical_members(Some(signature))
    }

    /// Members in the order of RFC 8785, written by hand: the set is closed and known.
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
            format!(",\"timestamp\":{},\"treeSize\":{},\"type\":\"{STH_TYPE}\"}}", self.timestamp, self.size)
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
            timestamp: 1_782_000_045_000,
            key_id: [1; 8],
        }
    }

    #[test]
    fn what_is_written_by_hand_is_canonical() {
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
