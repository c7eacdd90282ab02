//! The email in a reveal (specification section 6): a slow hash of an address, to be compared with one
//! that the caller brings.
//!
//! A match proves that the log committed to this address for the approver. It is the log's word: no
//! passkey signs it.

use crate::core::encoding::{decode_base64url, decode_hex_exact};
use crate::core::jcs::Json;
use aws_lc_rs::pbkdf2;
use std::num::NonZeroU32;
use unicode_normalization::UnicodeNormalization as _;

/// Iterations that are evaluated, both ends included; others are refused unevaluated
/// (specification section 6): fewer protect nobody, and more would keep us for minutes.
pub const ITERATIONS: std::ops::RangeInclusive<u32> = 100_000..=5_000_000;

/// What a reveal says of an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EmailHash {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    hash: [u8; 32],
}

impl EmailHash {
    /// Reads the `email` member of a reveal that is not `null`, as JSON text.
    ///
    /// # Errors
    /// Why it is refused, in one sentence.
    pub fn read(json: &[u8]) -> Result<EmailHash, &'static str> {
        const MEMBERS: usize = 5;
        let json =
            Json::parse(json, 1).map_err(|_| "the email in the reveal is no object of plain members")?;
        let text = |name: &str| json.get(name).and_then(Json::as_str);
        if json.as_object().map(<[_]>::len) != Some(MEMBERS) {
            return Err("the email in the reveal has not the members of one");
        }
        if text("kdf") != Some("PBKDF2-HMAC-SHA256") || text("norm") != Some("email-v1") {
            return Err(
                "the email in the reveal is hashed in another way than PBKDF2-HMAC-SHA256 and email-v1",
            );
        }
        let iterations = json.get("iterations").and_then(Json::as_integer);
        let iterations = iterations.and_then(|n| u32::try_from(n).ok()).filter(|n| ITERATIONS.contains(n));
        let iterations = iterations.and_then(NonZeroU32::new);
        let salt = text("salt").and_then(decode_base64url);
        let hash = text("hash").and_then(decode_hex_exact::<32>);
        match (iterations, salt, hash) {
            (Some(iterations), Some(salt), Some(hash)) => Ok(EmailHash { iterations, salt, hash }),
            (None, ..) => Err("the email's iterations are not 100,000 to 5,000,000: not evaluated"),
            _ => Err("the email's salt or hash is not in its exact encoding"),
        }
    }

    /// Whether it is the hash of this address. Takes up to seconds, as it is meant to.
    pub fn is_of(&self, address: &str) -> bool {
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

    fn read(text: &str) -> Result<EmailHash, &'static str> {
        EmailHash::read(text.as_bytes())
    }

    #[test]
    fn addresses_are_compared_in_their_normal_form() {
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
        assert!(email.is_of(" o\u{308}@EXAMPLE.com "));
        assert!(!email.is_of("o@example.com"));
        assert!(!email.is_of(""));
    }

    #[test]
    fn what_would_take_for_ever_is_refused_unevaluated() {
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
