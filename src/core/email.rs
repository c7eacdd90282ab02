//! The email in a reveal (specification section 6): a slow hash of an address, to be compared with an address that the
//! caller provides.
//!
//! A match proves that the log committed to this address for the approver. Only the log states it: no passkey signs it.

use crate::core::encoding::{decode_base64url, decode_hex_exact};
use crate::core::jcs::Json;
use aws_lc_rs::pbkdf2;
use std::fmt;
use std::num::NonZeroU32;
use unicode_normalization::UnicodeNormalization as _;

/// Accepted iterations, both ends included (specification section 6). Fewer protect nobody, and more would take minutes.
/// Others are refused without being evaluated.
pub const ITERATIONS: std::ops::RangeInclusive<u32> = 100_000..=5_000_000;

/// The hash of an address in a reveal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EmailHash {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    hash: [u8; 32],
}

/// Why the `email` of a reveal is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EmailHashError {
    /// Not strict JSON, or nested.
    NotPlainObject,
    /// Not an object with the members of the specification.
    Members,
    /// Another hash function or another normalisation.
    Algorithm,
    /// The number of iterations is outside [`ITERATIONS`].
    Iterations,
    /// The salt or the hash is not in its exact encoding.
    Encoding,
}

impl fmt::Display for EmailHashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EmailHashError::NotPlainObject => "the email in the reveal is not an object of plain members",
            EmailHashError::Members => "the email in the reveal does not have the members of an email",
            EmailHashError::Algorithm => {
                "the email in the reveal is not hashed with PBKDF2-HMAC-SHA256 and email-v1"
            }
            EmailHashError::Iterations => {
                "the email's iterations are not 100,000 to 5,000,000: not evaluated"
            }
            EmailHashError::Encoding => "the email's salt or hash is not in its exact encoding",
        })
    }
}

impl std::error::Error for EmailHashError {}

impl EmailHash {
    /// Reads the `email` member of a reveal as JSON text. It must not be `null`.
    ///
    /// # Errors
    /// [`EmailHashError`].
    pub fn read(json: &[u8]) -> Result<EmailHash, EmailHashError> {
        const MEMBERS: usize = 5;
        let json = Json::parse(json, 1).map_err(|_| EmailHashError::NotPlainObject)?;
        let text = |name: &str| json.get(name).and_then(Json::as_str);
        if json.as_object().map(<[_]>::len) != Some(MEMBERS) {
            return Err(EmailHashError::Members);
        }
        if text("kdf") != Some("PBKDF2-HMAC-SHA256") || text("norm") != Some("email-v1") {
            return Err(EmailHashError::Algorithm);
        }
        let iterations = json.get("iterations").and_then(Json::as_integer);
        let iterations = iterations.and_then(|n| u32::try_from(n).ok()).filter(|n| ITERATIONS.contains(n));
        let iterations = iterations.and_then(NonZeroU32::new);
        let salt = text("salt").and_then(decode_base64url);
        let hash = text("hash").and_then(decode_hex_exact::<32>);
        match (iterations, salt, hash) {
            (Some(iterations), Some(salt), Some(hash)) => Ok(EmailHash { iterations, salt, hash }),
            (None, ..) => Err(EmailHashError::Iterations),
            _ => Err(EmailHashError::Encoding),
        }
    }

    /// Whether this is the hash of the address. It takes up to seconds, by design.
    pub fn matches(&self, address: &str) -> bool {
        let address = normalize(address);
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::verify(algorithm, self.iterations, &self.salt, address.as_bytes(), &self.hash).is_ok()
    }
}

/// `email-v1`: trim, NFC, ASCII-lowercase.
fn normalize(address: &str) -> String {
    address.trim().nfc().collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::encoding::encode_hex;

    fn json(iterations: &str, hash: &str) -> String {
        format!(
            r#"{{"kdf":"PBKDF2-HMAC-SHA256","norm":"email-v1","iterations":{iterations},"salt":"c2FsdA","hash":"{hash}"}}"#
        )
    }

    fn read(text: &str) -> Result<EmailHash, EmailHashError> {
        EmailHash::read(text.as_bytes())
    }

    #[test]
    fn addresses_are_normalised_before_comparison() {
        assert_eq!(normalize("  Ada.Löv@Example.COM\n"), "ada.löv@example.com");
        assert_eq!(normalize("o\u{308}@x"), "ö@x");
        // Only ASCII is lowercased.
        assert_eq!(normalize("Ö@X"), "Ö@x");
        let mut hash = [0; 32];
        let iterations = NonZeroU32::new(100_000).unwrap();
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            b"salt",
            "ö@example.com".as_bytes(),
            &mut hash,
        );
        let email = read(&json("100000", &encode_hex(&hash))).unwrap();
        assert!(email.matches(" o\u{308}@EXAMPLE.com "));
        assert!(!email.matches("o@example.com"));
        assert!(!email.matches(""));
    }

    #[test]
    fn excessive_iterations_and_other_forms_are_refused() {
        let hash = "00".repeat(32);
        for iterations in ["99999", "5000001", "4294967296", "1e300", "-1", "100000.5", "\"100000\"", "null"]
        {
            assert!(read(&json(iterations, &hash)).is_err(), "{iterations}");
        }
        for iterations in ["100000", "5000000"] {
            assert!(read(&json(iterations, &hash)).is_ok(), "{iterations}");
        }
        let good = json("100000", &hash);
        for (from, to) in
            [("SHA256", "SHA512"), ("email-v1", "email-v2"), ("c2FsdA", "c2FsdA="), ("0000", "000")]
        {
            assert!(read(&good.replacen(from, to, 1)).is_err(), "{to}");
        }
        assert!(read(&good.replace("\"norm\"", "\"more\":1,\"norm\"")).is_err());
        assert!(read("{}").is_err() && read("[]").is_err());
    }
}
