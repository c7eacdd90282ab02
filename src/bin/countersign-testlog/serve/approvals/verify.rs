//! What the service checks itself: new passkeys (WebAuthn Level 3 section 7.1) and assertions (specification section 9), the
//! latter as the auditor checks them.
//!
//! Passkeys are registered without attestation: whoever has the link of a confirmation registers in the name that it asks.

use super::super::super::assertion::Site;
use super::super::super::entry::EntryDraft;
use countersign::core::hash::sha256;
use countersign::core::limits::{AUTHENTICATOR_DATA_LEN, CREDENTIAL_ID_LEN, MAX_CLIENT_DATA, MAX_COSE_KEY};
use countersign::core::webauthn::{
    Assertion, AuthenticatorData, CheckOutcome, ClientData, CosePublicKey, KeyCache, RelyingParty,
    check_assertion,
};

/// A person's passkey.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisteredPasskey {
    pub credential_id: Vec<u8>,
    pub cose: Vec<u8>,
}

/// Checks the assertion of an approval.
///
/// # Errors
/// The first check that did not pass, and why.
pub fn approval(site: &Site, draft: &EntryDraft) -> Result<(), String> {
    let signed = draft.signed.as_ref().ok_or("there is no assertion")?;
    let policy = RelyingParty {
        rp_id: Some(site.rp_id.clone()),
        allowed_origins: Some(vec![site.origin.clone()]),
        allow_cross_origin: false,
        allowed_top_origins: Vec::new(),
        require_user_verification: true,
    };
    let challenge = draft.challenge();
    let assertion = Assertion {
        client_data_json: &signed.assertion.client_data_json,
        authenticator_data: &signed.assertion.authenticator_data,
        signature: &signed.assertion.signature,
        public_key: &signed.cose,
        credential_id: &signed.credential_id,
        challenge: Some(&challenge),
        rp_id: &site.rp_id,
    };
    let result =
        check_assertion(&assertion, &policy, &mut KeyCache::new()).map_err(|fault| fault.to_string())?;
    match result.outcomes().find(|(_, outcome)| *outcome != CheckOutcome::Passed) {
        None => Ok(()),
        Some((check, outcome)) => {
            let why = result.findings.first().map_or_else(|| outcome.as_str(), |(_, why)| why.as_str());
            Err(format!("{}: {why}", check.as_str()))
        }
    }
}

/// A new passkey, as the browser made it.
pub struct Registration<'a> {
    pub credential_id: &'a [u8],
    pub client_data_json: &'a [u8],
    pub authenticator_data: &'a [u8],
}

/// Checks a new passkey that was made over `challenge`.
///
/// # Errors
/// What is wrong with it.
pub fn registration(
    site: &Site,
    challenge: &[u8],
    made: &Registration<'_>,
) -> Result<RegisteredPasskey, String> {
    if made.client_data_json.len() > MAX_CLIENT_DATA
        || !AUTHENTICATOR_DATA_LEN.contains(&made.authenticator_data.len())
        || !CREDENTIAL_ID_LEN.contains(&made.credential_id.len())
    {
        return Err("a part of the registration has not the size of one".to_owned());
    }
    let client = ClientData::parse(made.client_data_json).map_err(|why| format!("clientDataJSON: {why}"))?;
    let data = AuthenticatorData::parse(made.authenticator_data)
        .map_err(|why| format!("authenticatorData: {why}"))?;
    let attested = data.attested.as_ref().ok_or("authenticatorData: there is no key in it")?;
    for (holds, why) in [
        (client.ceremony == "webauthn.create", "type is not webauthn.create"),
        (client.challenge_bytes().as_deref() == Some(challenge), "the challenge is not that of this page"),
        (client.origin == site.origin, "the origin is not that of this page"),
        (client.cross_origin != Some(true), "it was made inside a frame of another origin"),
        (data.rp_id_hash == sha256(site.rp_id.as_bytes()), "it is of another relying party"),
        (data.flags.user_present() && data.flags.user_verified(), "the person was not verified"),
        (data.flags.backup_consistent(), "its backup flags are not possible"),
        (attested.credential_id == made.credential_id, "it has two credential ids"),
        (attested.public_key.len() <= MAX_COSE_KEY, "its key is too long"),
    ] {
        if !holds {
            return Err(why.to_owned());
        }
    }
    match CosePublicKey::parse(attested.public_key) {
        Ok(Ok(_)) => Ok(RegisteredPasskey {
            credential_id: made.credential_id.to_vec(),
            cose: attested.public_key.to_vec(),
        }),
        Ok(Err(finding)) => Err(format!("its key: {}", finding.why)),
        Err(fault) => Err(fault.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passkeys::of_person;
    use crate::seed::Seed;
    use countersign::core::encoding::encode_base64url;

    const CHALLENGE: [u8; 32] = [7; 32];

    fn site() -> Site {
        Site { rp_id: "localhost".to_owned(), origin: "http://localhost:8080".to_owned() }
    }

    /// Client data and authenticator data of a new passkey.
    fn made(client: &str, rp_id: &str, flags: u8) -> (Vec<u8>, Vec<u8>) {
        let passkey = of_person(&Seed::new("test"), "alex").unwrap();
        let id = &passkey.credential_id;
        let length = u16::try_from(id.len()).unwrap().to_be_bytes();
        let hash = sha256(rp_id.as_bytes());
        let parts = [hash.as_bytes().as_slice(), &[flags], &[0; 4], &[0; 16], &length, id, &passkey.cose];
        (client.as_bytes().to_vec(), parts.concat())
    }

    fn client(ceremony: &str, challenge: &[u8], origin: &str) -> String {
        let challenge = encode_base64url(challenge);
        format!(
            r#"{{"type":"webauthn.{ceremony}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#
        )
    }

    fn check(
        (client_data_json, authenticator_data): &(Vec<u8>, Vec<u8>),
    ) -> Result<RegisteredPasskey, String> {
        let passkey = of_person(&Seed::new("test"), "alex").unwrap();
        let made =
            Registration { credential_id: &passkey.credential_id, client_data_json, authenticator_data };
        registration(&site(), &CHALLENGE, &made)
    }

    #[test]
    fn a_passkey_of_this_page_is_registered_and_no_other() {
        let good = client("create", &CHALLENGE, "http://localhost:8080");
        let registered = check(&made(&good, "localhost", 0x45)).unwrap();
        assert_eq!(registered.cose, of_person(&Seed::new("test"), "alex").unwrap().cose);
        for (client, rp_id, flags) in [
            (client("get", &CHALLENGE, "http://localhost:8080"), "localhost", 0x45),
            (client("create", &[8; 32], "http://localhost:8080"), "localhost", 0x45),
            (client("create", &CHALLENGE, "http://localhost:8081"), "localhost", 0x45),
            (good.replace("false", "true"), "localhost", 0x45),
            (good.clone(), "elsewhere", 0x45),
            (good.clone(), "localhost", 0x41),
            (good.clone(), "localhost", 0x44),
            (good.clone(), "localhost", 0x55),
            (good.clone(), "localhost", 0x05),
            ("{}".to_owned(), "localhost", 0x45),
        ] {
            assert!(check(&made(&client, rp_id, flags)).is_err(), "{client} {rp_id} {flags:x}");
        }
        let (client, data) = made(&good, "localhost", 0x45);
        let other =
            Registration { credential_id: &[1; 20], client_data_json: &client, authenticator_data: &data };
        assert!(registration(&site(), &CHALLENGE, &other).is_err());
        for end in 0..data.len() {
            assert!(check(&(client.clone(), data[..end].to_vec())).is_err(), "{end}");
        }
    }
}
