//! Signatures alone (Wycheproof, CCTV).

use crate::vectors::case::{Case, Failure, Verdict, claim, refused};
use countersign::core::crypto::{Algorithm, KeyError, PublicKey, SignatureError};

fn point<const N: usize>(bytes: &[u8]) -> Result<&[u8; N], Failure> {
    bytes.try_into().map_err(|_| refused("a point of another length"))
}

fn key(alg: &str, bytes: &[u8]) -> Result<PublicKey, Failure> {
    let (expected, key) = match alg {
        "ES256" => (Algorithm::Es256, PublicKey::p256(point(bytes)?)),
        "ES384" => (Algorithm::Es384, PublicKey::p384(point(bytes)?)),
        "Ed25519" => (Algorithm::EdDsa, PublicKey::ed25519(bytes)),
        "RS256" => (Algorithm::Rs256, PublicKey::from_spki(bytes)),
        other => return Err(refused(format!("algorithm {other} is not supported"))),
    };
    let key = key.map_err(|error| match error {
        KeyError::Disagreement(what) => Failure::Broken(what.to_string()),
        other => refused(other),
    })?;
    claim(key.algorithm() == expected, "a key of another algorithm")?;
    Ok(key)
}

pub fn signature(case: &Case<'_>) -> Verdict {
    let key = key(case.text("alg")?, &case.hex("public_key")?)?;
    let (message, signature) = (case.hex("msg")?, case.hex("sig")?);
    let fixed = match case.get("encoding").and_then(|encoding| encoding.as_str()) {
        Some("p1363") => true,
        None | Some("der" | "raw" | "pkcs1") => false,
        Some(other) => return Err(Failure::Broken(format!("encoding {other:?} is not known"))),
    };
    let outcome =
        if fixed { key.verify_p1363(&message, &signature) } else { key.verify(&message, &signature) };
    outcome.map_err(|error| match error {
        SignatureError::Disagreement(what) => Failure::Broken(what.to_string()),
        other => refused(other),
    })
}
