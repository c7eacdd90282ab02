//! Assertions as a browser and an authenticator make them (WebAuthn sections 5.8.1 and 6.1).

use super::keys::Passkey;
use crate::error::TestlogError;
use countersign::core::encoding::encode_base64url;
use countersign::core::hash::sha256;

/// A member that browsers sometimes add, so that verifiers do not compare the JSON with a template.
const OTHER_KEYS: &str = ",\"other_keys_can_be_added_here\":\"do not compare clientDataJSON against a template. \
                          See https://goo.gl/yabPex\"";

/// The site of the approvals.
#[derive(Clone, Debug)]
pub struct Site {
    pub rp_id: String,
    pub origin: String,
}

/// The three parts of an assertion.
#[derive(Clone, Debug)]
pub struct SignedAssertion {
    pub authenticator_data: Vec<u8>,
    pub client_data_json: Vec<u8>,
    pub signature: Vec<u8>,
}

/// Signs `challenge` at `site` for entry `index`.
///
/// # Errors
/// As [`super::keys::Signer::sign`].
pub fn make(
    site: &Site,
    passkey: &Passkey,
    challenge: &[u8],
    index: u64,
    other_keys: bool,
) -> Result<SignedAssertion, TestlogError> {
    let challenge = encode_base64url(challenge);
    let more = if other_keys { OTHER_KEYS } else { "" };
    let client_data_json = format!(
        "{{\"type\":\"webauthn.get\",\"challenge\":\"{challenge}\",\"origin\":\"{}\",\"crossOrigin\":false{more}}}",
        site.origin
    )
    .into_bytes();
    let rp_id_hash = sha256(site.rp_id.as_bytes());
    let count = passkey.kind.sign_count(index).to_be_bytes();
    let authenticator_data = [rp_id_hash.as_bytes().as_slice(), &[passkey.kind.flags()], &count].concat();
    let client_data_hash = sha256(&client_data_json);
    let signed = [authenticator_data.as_slice(), client_data_hash.as_bytes()].concat();
    let signature = passkey.signer.sign(&signed)?;
    Ok(SignedAssertion { authenticator_data, client_data_json, signature })
}
