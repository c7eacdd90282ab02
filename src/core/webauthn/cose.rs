//! COSE_Key, the encoding of a credential's public key (RFC 9052 section 7, RFC 9053 section 7, RFC 8230 for RSA, RFC 8152
//! section 13 as restricted by WebAuthn section 5.8.5; specification section 9.12).
//!
//! Bytes that parse are one key of one of the four algorithms, with matching `kty`, `alg` and `crv`, and nothing after it.
//! Unknown labels are allowed. Repeated labels are not, because two parsers could then see two keys. Some authenticators
//! write the name of `kty` instead of its number; this is the same key, but causes a warning.

use super::cbor::{CborError, CborReader};
use crate::core::crypto::{Disagreement, KeyError, PublicKey};
use crate::core::finding::Code;
use crate::core::limits::RSA_BITS;

/// What is wrong with a key that the log published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyFinding {
    /// [`Code::KeyMalformed`] or [`Code::KeyUnsupported`]; [`Code::SignatureInvalid`] for a weak key.
    pub code: Code,
    /// The reason.
    pub why: String,
}

impl KeyFinding {
    fn malformed(why: impl Into<String>) -> KeyFinding {
        KeyFinding { code: Code::KeyMalformed, why: why.into() }
    }
}

impl From<CborError> for KeyFinding {
    fn from(error: CborError) -> KeyFinding {
        KeyFinding::malformed(error.to_string())
    }
}

/// The members of a COSE_Key, with the right lengths. Not yet checked to be a point of the curve or a valid modulus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CosePublicKey<'a> {
    /// kty 2, alg −7, crv 1.
    Es256 {
        /// The x coordinate.
        x: &'a [u8; 32],
        /// The y coordinate.
        y: &'a [u8; 32],
    },
    /// kty 2, alg −35, crv 2.
    Es384 {
        /// The x coordinate.
        x: &'a [u8; 48],
        /// The y coordinate.
        y: &'a [u8; 48],
    },
    /// kty 3, alg −257.
    Rs256 {
        /// The modulus, big-endian.
        n: &'a [u8],
        /// The exponent, big-endian.
        e: &'a [u8],
    },
    /// kty 1, alg −8, crv 6 (Ed25519).
    EdDsa {
        /// The public key.
        x: &'a [u8; 32],
    },
}

/// The result of parsing a COSE_Key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ParsedKey {
    /// The key, or what is wrong with it.
    pub key: Result<PublicKey, KeyFinding>,
    /// Whether `kty` is a name that agrees with `alg` and `crv`.
    pub has_named_kty: bool,
}

/// A map label (RFC 9052 section 1.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Label<'a> {
    Number(i64),
    Text(&'a str),
}

/// The used values, each the exact bytes of one item.
#[derive(Default)]
struct Members<'a> {
    kty: Option<&'a [u8]>,
    alg: Option<&'a [u8]>,
    minus_1: Option<&'a [u8]>,
    minus_2: Option<&'a [u8]>,
    minus_3: Option<&'a [u8]>,
}

impl<'a> Members<'a> {
    fn read(bytes: &'a [u8]) -> Result<Members<'a>, KeyFinding> {
        let mut reader = CborReader::new(bytes);
        let pairs = reader.map()?;
        let (mut members, mut labels) = (Members::default(), Vec::new());
        // Each pair takes at least two bytes, so the loop ends with the input, for any announced count.
        for _ in 0..pairs {
            let label = label(reader.item()?)?;
            let value = Some(reader.item()?);
            match label {
                Label::Number(1) => members.kty = value,
                Label::Number(3) => members.alg = value,
                Label::Number(-1) => members.minus_1 = value,
                Label::Number(-2) => members.minus_2 = value,
                Label::Number(-3) => members.minus_3 = value,
                _ => {}
            }
            labels.push(label);
        }
        if !reader.rest().is_empty() {
            return Err(KeyFinding::malformed("bytes after the COSE key"));
        }
        labels.sort_unstable();
        if labels.iter().zip(labels.iter().skip(1)).any(|(a, b)| a == b) {
            return Err(KeyFinding::malformed("a label is repeated in the COSE key"));
        }
        Ok(members)
    }
}

fn label(item: &[u8]) -> Result<Label<'_>, KeyFinding> {
    if let Ok(number) = CborReader::new(item).integer() {
        Ok(Label::Number(number))
    } else if let Ok(text) = CborReader::new(item).text() {
        Ok(Label::Text(text))
    } else {
        Err(KeyFinding::malformed("a label of the COSE key is neither a number nor text"))
    }
}

fn integer(item: Option<&[u8]>, name: &str) -> Result<i64, KeyFinding> {
    let item = item.ok_or_else(|| KeyFinding::malformed(format!("{name} is missing")))?;
    CborReader::new(item).integer().map_err(|_| KeyFinding::malformed(format!("{name} is not an integer")))
}

/// How `kty` is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum KtyForm {
    Number,
    Name,
}

/// The number of a key type, and how it was written (RFC 9053 section 7: OKP, EC2; RFC 8230 section 4: RSA).
fn key_type(item: Option<&[u8]>) -> Result<(i64, KtyForm), KeyFinding> {
    let Some(Ok(name)) = item.map(|item| CborReader::new(item).text()) else {
        return Ok((integer(item, "kty")?, KtyForm::Number));
    };
    match name {
        "OKP" => Ok((1, KtyForm::Name)),
        "EC2" => Ok((2, KtyForm::Name)),
        "RSA" => Ok((3, KtyForm::Name)),
        _ => Err(KeyFinding::malformed("kty is text that names no key type of this profile")),
    }
}

fn bytes<'a>(item: Option<&'a [u8]>, name: &str) -> Result<&'a [u8], KeyFinding> {
    let item = item.ok_or_else(|| KeyFinding::malformed(format!("{name} is missing")))?;
    CborReader::new(item).bytes().map_err(|_| KeyFinding::malformed(format!("{name} is not a byte string")))
}

fn exactly<'a, const N: usize>(item: Option<&'a [u8]>, name: &str) -> Result<&'a [u8; N], KeyFinding> {
    bytes(item, name)?
        .try_into()
        .map_err(|_| KeyFinding::malformed(format!("{name} does not have {N} bytes")))
}

fn agree(found: i64, expected: i64, name: &str) -> Result<(), KeyFinding> {
    if found == expected {
        Ok(())
    } else {
        Err(KeyFinding::malformed(format!("{name} is {found}, which does not agree with alg")))
    }
}

impl<'a> CosePublicKey<'a> {
    /// Decodes the members. The caller must bound the size.
    ///
    /// # Errors
    /// [`Code::KeyUnsupported`] for another `alg`, [`Code::KeyMalformed`] for anything else.
    pub fn decode(cose: &'a [u8]) -> Result<CosePublicKey<'a>, KeyFinding> {
        CosePublicKey::decode_with_form(cose).map(|(key, _)| key)
    }

    fn decode_with_form(cose: &'a [u8]) -> Result<(CosePublicKey<'a>, KtyForm), KeyFinding> {
        let members = Members::read(cose)?;
        let (kty, form) = key_type(members.kty)?;
        CosePublicKey::from_members(&members, kty).map(|key| (key, form))
    }

    fn from_members(members: &Members<'a>, kty: i64) -> Result<CosePublicKey<'a>, KeyFinding> {
        let alg = integer(members.alg, "alg")?;
        let crv = || integer(members.minus_1, "crv");
        match alg {
            -7 => {
                agree(kty, 2, "kty")?;
                agree(crv()?, 1, "crv")?;
                Ok(CosePublicKey::Es256 {
                    x: exactly(members.minus_2, "x")?,
                    y: exactly(members.minus_3, "y")?,
                })
            }
            -35 => {
                agree(kty, 2, "kty")?;
                agree(crv()?, 2, "crv")?;
                Ok(CosePublicKey::Es384 {
                    x: exactly(members.minus_2, "x")?,
                    y: exactly(members.minus_3, "y")?,
                })
            }
            -8 => {
                agree(kty, 1, "kty")?;
                agree(crv()?, 6, "crv")?;
                Ok(CosePublicKey::EdDsa { x: exactly(members.minus_2, "x")? })
            }
            -257 => {
                agree(kty, 3, "kty")?;
                Ok(CosePublicKey::Rs256 { n: bytes(members.minus_1, "n")?, e: bytes(members.minus_2, "e")? })
            }
            _ => Err(KeyFinding { code: Code::KeyUnsupported, why: format!("COSE algorithm {alg}") }),
        }
    }

    /// Parses a COSE_Key and validates its key.
    ///
    /// # Errors
    /// Inner: what is wrong with the key. Outer: the implementations disagree about it, so there is no result.
    pub fn parse(cose: &[u8]) -> Result<Result<PublicKey, KeyFinding>, Disagreement> {
        CosePublicKey::parse_with_form(cose).map(|parsed| parsed.key)
    }

    /// Like [`CosePublicKey::parse`], with the form of `kty`.
    pub(super) fn parse_with_form(cose: &[u8]) -> Result<ParsedKey, Disagreement> {
        let (decoded, form) = match CosePublicKey::decode_with_form(cose) {
            Ok(decoded) => decoded,
            Err(finding) => return Ok(ParsedKey { key: Err(finding), has_named_kty: false }),
        };
        let key = CosePublicKey::classify(decoded.validate())?;
        Ok(ParsedKey { key, has_named_kty: form == KtyForm::Name })
    }

    fn classify(key: Result<PublicKey, KeyError>) -> Result<Result<PublicKey, KeyFinding>, Disagreement> {
        match key {
            Ok(key) => Ok(Ok(key)),
            Err(KeyError::Malformed(why)) => Ok(Err(KeyFinding::malformed(why))),
            // The key is on the curve, so step 12 passes; under the strict rules of step 13 no signature is valid.
            Err(KeyError::Weak(why)) => {
                Ok(Err(KeyFinding { code: Code::SignatureInvalid, why: why.to_owned() }))
            }
            Err(KeyError::Unsupported(why)) => {
                Ok(Err(KeyFinding { code: Code::KeyUnsupported, why: why.to_owned() }))
            }
            Err(KeyError::Disagreement(disagreement)) => Err(disagreement),
        }
    }

    /// The validated key: a point of its curve, or a valid modulus and exponent.
    ///
    /// # Errors
    /// As the constructors of [`PublicKey`].
    pub fn validate(&self) -> Result<PublicKey, KeyError> {
        match self {
            CosePublicKey::Es256 { x, y } => {
                let mut point = [4; 65];
                fill(&mut point, *x, *y);
                PublicKey::p256(&point)
            }
            CosePublicKey::Es384 { x, y } => {
                let mut point = [4; 97];
                fill(&mut point, *x, *y);
                PublicKey::p384(&point)
            }
            CosePublicKey::Rs256 { n, e } => PublicKey::rsa(n, e),
            CosePublicKey::EdDsa { x } => PublicKey::ed25519(*x),
        }
    }
}

/// Writes x and y after the first byte, which gives `04 ‖ x ‖ y`.
fn fill(point: &mut [u8], x: &[u8], y: &[u8]) {
    for (to, from) in point.iter_mut().skip(1).zip(x.iter().chain(y)) {
        *to = *from;
    }
}

// The longest key of the profile must fit the limit, with room for extra labels.
const _: () = assert!(*RSA_BITS.end() / 8 + 64 <= crate::core::limits::MAX_COSE_KEY);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::encoding::{decode_hex, encode_hex};

    const X: &str = "a5fd5ce1b1c458c530a54fa61b31bf6b04be8b97afde54dd8cbb69275a8a1be1";
    const Y: &str = "fa3a3231dd9deed9d1897be5a6228c59501e4bcd12975d3dff730f01278ea61c";

    fn parse(hex: &str) -> Result<PublicKey, KeyFinding> {
        CosePublicKey::parse(&decode_hex(hex).unwrap()).unwrap()
    }

    fn code(hex: &str) -> Option<Code> {
        parse(hex).err().map(|finding| finding.code)
    }

    #[test]
    fn one_key_in_many_encodings_is_one_key() {
        let plain = parse(&format!("a5010203262001215820{X}225820{Y}")).unwrap();
        // Another order, a kid, a text label, and heads that are longer than necessary.
        let other = parse(&format!("a76161f5024101225820{Y}215820{X}200103380618011802")).unwrap();
        assert_eq!(plain.identity(), other.identity());
    }

    #[test]
    fn members_must_agree() {
        let key =
            |kty: &str, alg: &str, crv: &str| code(&format!("a501{kty}03{alg}20{crv}215820{X}225820{Y}"));
        assert_eq!(key("02", "26", "01"), None);
        for (kty, alg, crv) in [
            ("01", "26", "01"),
            ("03", "26", "01"),
            ("02", "26", "02"),
            ("02", "26", "06"),
            ("02", "27", "01"),
            ("02", "3822", "02"),
            ("02", "390100", "01"),
            ("02", "6126", "01"),
            ("02", "26", "4101"),
        ] {
            assert_eq!(key(kty, alg, crv), Some(Code::KeyMalformed), "{kty} {alg} {crv}");
        }
        for alg in ["3823", "390101", "25", "00", "382e"] {
            assert_eq!(key("02", alg, "01"), Some(Code::KeyUnsupported), "{alg}");
        }
    }

    #[test]
    fn a_named_key_type_is_the_same_key() {
        let good = "44e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832";
        let modulus = format!("c1{}01", "5a".repeat(254));
        let keys = [
            (format!("a501KTY03262001215820{X}225820{Y}"), "02", "63454332"),
            (format!("a401KTY03272006215820{good}"), "01", "634f4b50"),
            (format!("a401KTY03390100205901 00{modulus}2143010001").replace(' ', ""), "03", "63525341"),
        ];
        let noting = |hex: &str| CosePublicKey::parse_with_form(&decode_hex(hex).unwrap()).unwrap();
        for (key, number, name) in &keys {
            let (ordinary, named) = (noting(&key.replace("KTY", number)), noting(&key.replace("KTY", name)));
            assert_eq!(ordinary.key, named.key, "{key}");
            assert!(named.key.is_ok_and(|key| key.identity() == ordinary.key.unwrap().identity()), "{key}");
            assert_eq!((ordinary.has_named_kty, named.has_named_kty), (false, true));
            // A longer head does not change the text. Bytes, other letters and other types are not the name.
            let longer = format!("7803{}", &name[2..]);
            assert!(noting(&key.replace("KTY", &longer)).has_named_kty);
            let lower = format!("63{}", encode_hex(&decode_hex(&name[2..]).unwrap().to_ascii_lowercase()));
            let others = keys.iter().map(|(_, _, other)| (*other).to_owned()).filter(|other| other != name);
            let none =
                [format!("43{}", &name[2..]), lower, "60".to_owned(), "6131".to_owned(), "f6".to_owned()];
            for wrong in others.chain(none) {
                let wrong = noting(&key.replace("KTY", &wrong));
                assert_eq!(
                    wrong.key.map_err(|finding| finding.code).err(),
                    Some(Code::KeyMalformed),
                    "{key}"
                );
                assert!(!wrong.has_named_kty);
            }
        }
        // The name must be at its own label, which must occur once.
        assert_eq!(code(&format!("a66141634543320326200101 02215820{X}225820{Y}").replace(' ', "")), None);
        assert_eq!(
            code(&format!("a6016345433201020326200121 5820{X}225820{Y}").replace(' ', "")),
            Some(Code::KeyMalformed)
        );
        // An unknown algorithm stays unknown with a name, and a point off the curve is malformed.
        assert_eq!(code(&format!("a501634543320338232001215820{X}225820{Y}")), Some(Code::KeyUnsupported));
        assert_eq!(code(&format!("a5016345433203262001215820{X}225820{X}")), Some(Code::KeyMalformed));
    }

    #[test]
    fn repeated_labels_are_refused() {
        for hex in [
            format!("a60102032620012001215820{X}225820{Y}"),
            format!("a6010203262001180102215820{X}225820{Y}"),
            format!("a7010203262001215820{X}225820{Y}186300186301"),
            format!("a7010203262001215820{X}225820{Y}616101616102"),
        ] {
            assert_eq!(parse(&hex).unwrap_err().why, "a label is repeated in the COSE key", "{hex}");
        }
        assert_eq!(code(&format!("a7010203262001215820{X}225820{Y}186300186401")), None);
    }

    #[test]
    fn missing_short_and_trailing_bytes_are_refused() {
        for hex in [
            format!("a401020326215820{X}225820{Y}"),
            format!("a401022001215820{X}225820{Y}"),
            format!("a4010203262001215820{X}"),
            format!("a5010203262001215820{X}22f5"),
            format!("a501020326200121581f{}225820{Y}", &X[2..]),
            format!("a501020326200121582100{X}225820{Y}"),
            format!("a5010203262001215820{X}225820{Y}00"),
            format!("bf010203262001215820{X}225820{Y}ff"),
            format!("a6010203262001215820{X}225820{Y}f500"),
            format!("a5010203262001215820{X}225820{}", Y.replace("a61c", "a61d")),
            String::new(),
            "a0".to_owned(),
            "bbffffffffffffffff".to_owned(),
        ] {
            assert_eq!(code(&hex), Some(Code::KeyMalformed), "{hex}");
        }
    }

    /// ML-DSA-44, the algorithm of witnesses, is COSE number −48 with key type 7 (AKP). It is not one for passkeys.
    #[test]
    fn ml_dsa_keys_are_unsupported() {
        let public = "00".repeat(1312);
        for kty in ["07", "01", "02", "03"] {
            let key = format!("a301{kty}03382f20590520{public}");
            assert_eq!(code(&key), Some(Code::KeyUnsupported), "{kty}");
        }
    }

    #[test]
    fn ed25519_keys_are_strict() {
        let good = "44e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832";
        assert_eq!(code(&format!("a4010103272006215820{good}")), None);
        assert_eq!(code(&format!("a4010103272007215820{good}")), Some(Code::KeyMalformed));
        // A point of the curve, but of small order, which the strict rule of step 13 refuses.
        let weak = "00".repeat(32);
        assert_eq!(code(&format!("a4010103272006215820{weak}")), Some(Code::SignatureInvalid));
    }
}
