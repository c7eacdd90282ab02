//! Assertions and their parts (WebAuthn Level 3).

use crate::vectors::case::{Case, Failure, Verdict, claim, refused};
use countersign::core::check::Check;
use countersign::core::crypto::{Algorithm, PublicKey};
use countersign::core::encoding::{decode_base64url, encode_hex};
use countersign::core::hash::sha256;
use countersign::core::jcs::canonicalize;
use countersign::core::webauthn::cbor::{Reader, check_one_item};
use countersign::core::webauthn::{
    Assertion, AuthenticatorData, ClientData, CosePublicKey, KeyCache, Outcome, RelyingParty, check_assertion,
};
use serde_json::{Map, Value, json};

pub fn base64url(case: &Case<'_>) -> Verdict {
    let bytes = decode_base64url(case.text("text")?).ok_or_else(|| refused("not strict base64url"))?;
    case.compare("bytes", &json!(encode_hex(&bytes)))
}

/// The reader has no values; what it can read alone is compared with the diagnostic notation.
pub fn cbor(case: &Case<'_>) -> Verdict {
    let bytes = case.hex("cbor")?;
    check_one_item(&bytes).map_err(refused)?;
    let Some(diagnostic) = case.get("diagnostic").and_then(Value::as_str) else { return Ok(()) };
    let mut reader = Reader::new(&bytes);
    let same = if let Ok(number) = diagnostic.parse::<i64>() {
        reader.integer() == Ok(number)
    } else if let Some(hex) = diagnostic.strip_prefix("h'").and_then(|rest| rest.strip_suffix('\'')) {
        reader.bytes().is_ok_and(|bytes| encode_hex(bytes) == hex)
    } else if let Ok(text) = serde_json::from_str::<String>(diagnostic) {
        reader.text() == Ok(text.as_str())
    } else if let Ok(map) = serde_json::from_str::<Map<String, Value>>(diagnostic) {
        reader.map() == Ok(map.len() as u64)
    } else {
        true
    };
    if same { Ok(()) } else { Err(Failure::Wrong(format!("not {diagnostic}"))) }
}

fn parse_key(cose: &[u8]) -> Result<PublicKey, Failure> {
    match CosePublicKey::parse(cose) {
        Ok(key) => key.map_err(|finding| refused(format!("{}: {}", finding.code, finding.why))),
        Err(disagreement) => Err(Failure::Broken(disagreement.to_string())),
    }
}

fn cose_json(cose: &[u8]) -> Result<Value, Failure> {
    let key = CosePublicKey::decode(cose).map_err(|finding| refused(finding.why))?;
    Ok(match key {
        CosePublicKey::Es256 { x, y } => {
            json!({"kty": 2, "alg": -7, "crv": 1, "x": encode_hex(x), "y": encode_hex(y)})
        }
        CosePublicKey::Es384 { x, y } => {
            json!({"kty": 2, "alg": -35, "crv": 2, "x": encode_hex(x), "y": encode_hex(y)})
        }
        CosePublicKey::Rs256 { n, e } => {
            json!({"kty": 3, "alg": -257, "n": encode_hex(n), "e": encode_hex(e)})
        }
        CosePublicKey::EdDsa { x } => json!({"kty": 1, "alg": -8, "crv": 6, "x": encode_hex(x)}),
    })
}

pub fn cose_key(case: &Case<'_>) -> Verdict {
    let cose = case.hex("cose_key")?;
    parse_key(&cose)?;
    case.compare("parsed", &cose_json(&cose)?)
}

fn authenticator_json(bytes: &[u8]) -> Result<Value, Failure> {
    let data = AuthenticatorData::parse(bytes).map_err(refused)?;
    let flags = data.flags;
    claim(flags.backup_consistent(), "backed up, yet not eligible for backup")?;
    Ok(json!({
        "rp_id_hash": data.rp_id_hash.to_string(),
        "flags": flags.0,
        "up": flags.user_present(),
        "uv": flags.user_verified(),
        "be": flags.backup_eligible(),
        "bs": flags.backed_up(),
        "at": flags.attested(),
        "ed": flags.extensions(),
        "sign_count": data.sign_count,
        "aaguid": data.attested.map(|attested| encode_hex(&attested.aaguid)),
        "credential_id": data.attested.map(|attested| encode_hex(attested.credential_id)),
        "cose_key": data.attested.map(|attested| encode_hex(attested.public_key)),
        "extensions": data.extensions.map(encode_hex),
    }))
}

pub fn authenticator_data(case: &Case<'_>) -> Verdict {
    case.compare("parsed", &authenticator_json(&case.hex("authenticator_data")?)?)
}

fn client_json(bytes: &[u8]) -> Result<Value, Failure> {
    let client = ClientData::parse(bytes).map_err(refused)?;
    let challenge = client.challenge_bytes().ok_or_else(|| refused("the challenge is not base64url"))?;
    Ok(json!({
        "type": client.ceremony,
        "challenge": encode_hex(&challenge),
        "origin": client.origin,
        "cross_origin": client.cross_origin,
        "top_origin": client.top_origin,
    }))
}

pub fn client_data(case: &Case<'_>) -> Verdict {
    case.compare("parsed", &client_json(&case.hex("client_data_json")?)?)
}

/// `expected`: what the relying party knows.
struct Expected {
    challenge: Vec<u8>,
    policy: RelyingParty,
    stored_sign_count: Option<u64>,
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn expected(case: &Case<'_>, rp_id_hash: Option<&str>) -> Result<Expected, Failure> {
    const KNOWN: [&str; 7] = [
        "challenge",
        "origins",
        "rp_ids",
        "require_uv",
        "allow_cross_origin",
        "top_origins",
        "stored_sign_count",
    ];
    let expected = case.get("expected").and_then(Value::as_object);
    let expected = expected.ok_or_else(|| Failure::NoSuchField("expected".to_owned()))?;
    for name in expected.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
        println!("note: {}: expected.{name} is not looked at", case.id());
    }
    let challenge = expected.get("challenge").and_then(Value::as_str);
    let challenge = challenge.and_then(countersign::core::encoding::decode_hex);
    let challenge = challenge.ok_or_else(|| Failure::NoSuchField("expected.challenge".to_owned()))?;
    // Any of the relying party ids may be the one; the profile pins one.
    let rp_ids = texts(expected.get("rp_ids"));
    let fits = |id: &&String| rp_id_hash == Some(sha256(id.as_bytes()).to_string().as_str());
    let rp_id = rp_ids.iter().find(fits).or(rp_ids.first()).cloned();
    let flag = |name: &str, default| expected.get(name).and_then(Value::as_bool).unwrap_or(default);
    Ok(Expected {
        challenge,
        policy: RelyingParty {
            rp_id: Some(rp_id.ok_or_else(|| Failure::NoSuchField("expected.rp_ids".to_owned()))?),
            allowed_origins: Some(texts(expected.get("origins"))),
            allow_cross_origin: flag("allow_cross_origin", false),
            allowed_top_origins: texts(expected.get("top_origins")),
            require_user_verification: flag("require_uv", true),
        },
        stored_sign_count: expected.get("stored_sign_count").and_then(Value::as_u64),
    })
}

fn cose_algorithm(algorithm: Algorithm) -> i64 {
    match algorithm {
        Algorithm::Es256 => -7,
        Algorithm::EdDsa => -8,
        Algorithm::Es384 => -35,
        Algorithm::Rs256 => -257,
        Algorithm::MlDsa44 => panic!("no passkey of this profile has ML-DSA-44"),
    }
}

/// What the source gives beside the assertion: the recorded algorithm, the key in another form, and the
/// object whose canonical hash is the challenge.
fn check_surroundings(case: &Case<'_>, cose: &[u8], challenge: &[u8]) -> Verdict {
    let key = parse_key(cose)?;
    if let Some(alg) = case.get("alg") {
        claim(alg.as_i64() == Some(cose_algorithm(key.algorithm())), "the recorded algorithm is another")?;
    }
    if case.get("public_key_spki").is_some() {
        let same = PublicKey::from_spki(&case.hex("public_key_spki")?).map_err(refused)? == key;
        claim(same, "the two forms of the key are of two keys")?;
    }
    if let Some(context) = case.get("context") {
        let canonical = canonicalize(context.to_string().as_bytes(), 64).map_err(refused)?;
        claim(sha256(&canonical).as_bytes() == challenge, "the challenge is of another context")?;
    }
    Ok(())
}

pub fn assertion(case: &Case<'_>) -> Verdict {
    let authenticator_data = case.hex("authenticator_data")?;
    let client_data_json = case.hex("client_data_json")?;
    let (signature, public_key) = (case.hex("signature")?, case.hex("public_key_cose")?);
    let parsed = authenticator_json(&authenticator_data);
    let rp_id_hash = parsed.as_ref().ok().and_then(|data| data.get("rp_id_hash")?.as_str());
    let Expected { challenge, policy, stored_sign_count } = expected(case, rp_id_hash)?;
    let assertion = Assertion {
        client_data_json: &client_data_json,
        authenticator_data: &authenticator_data,
        signature: &signature,
        public_key: &public_key,
        credential_id: &[0],
        challenge: Some(&challenge),
        rp_id: policy.rp_id.as_deref().unwrap_or_default(),
    };
    let result = check_assertion(&assertion, &policy, &mut KeyCache::new())
        .map_err(|disagreement| Failure::Broken(disagreement.to_string()))?;
    for (check, outcome) in result.outcomes() {
        let excused = check == Check::UserVerified && !policy.require_user_verification;
        claim(outcome == Outcome::Passed || excused, &format!("{}: {:?}", check.as_str(), result.findings))?;
    }
    claim(result.signature_valid && result.nothing_failed(), "not accepted as a whole")?;
    check_surroundings(case, &public_key, &challenge)?;
    let count = result.authenticator.map_or(0, |facts| u64::from(facts.sign_count));
    if let Some(stored) = stored_sign_count {
        claim(count > stored || (count == 0 && stored == 0), "the signature counter did not grow")?;
    }
    let (Value::Object(mut ours), Value::Object(client)) = (parsed?, client_json(&client_data_json)?) else {
        return Err(Failure::Broken("no object".to_owned()));
    };
    ours.extend(client);
    case.compare("parsed", &Value::Object(ours))
}
