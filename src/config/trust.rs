//! Settings of trust: log keys, the relying party, pinned keys.

use super::error::Error;
use crate::audit::trust::key_identity;
use crate::core::hash::Hash;
use crate::core::head::LogKey;
use crate::core::text;
use crate::core::tlog_policy::TlogPolicy;
use std::collections::BTreeMap;

/// Returns the given key, or else the keys in the policy. If the policy lists logs and the given key is not one of
/// them, one of the two is a mistake.
pub(super) fn log_keys(given: Option<LogKey>, policy: Option<&TlogPolicy>) -> Result<Vec<LogKey>, Error> {
    let listed = policy.map(TlogPolicy::logs).unwrap_or_default();
    let Some(given) = given else { return Ok(listed.to_vec()) };
    let is_given = |key: &LogKey| key.verifier().to_string() == given.verifier().to_string();
    if listed.is_empty() || listed.iter().any(is_given) {
        return Ok(vec![given]);
    }
    Err("--log-key is not the key of a log that the policy lists: correct the key or the policy".into())
}

/// Checks that a relying party id is a domain name. Anything else is a mistake (an empty variable, a URL), and would
/// make every entry of an honest log look wrong.
pub(super) fn check_rp_id(rp_id: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    let well =
        !rp_id.is_empty() && rp_id.chars().all(allowed) && !rp_id.starts_with('.') && !rp_id.ends_with('.');
    if well {
        return Ok(());
    }
    Err(format!("--rp-id {}: write the domain name alone, such as approvals.example", text::quoted(rp_id))
        .into())
}

/// Checks the form of an origin. Origins are compared byte for byte, so one that no browser sends would reject every
/// entry.
pub(super) fn check_origin(origin: &str) -> Result<(), Error> {
    let wrong = |why: &str| Err(format!("origin {}: {why}", text::quoted(origin)).into());
    if origin == "null" || origin.starts_with("android:apk-key-hash:") || origin.starts_with("ios:bundle-id:")
    {
        return Ok(());
    }
    let Some((scheme, host)) = origin.split_once("://") else {
        return wrong("write it as a browser sends it, such as https://approvals.example");
    };
    if scheme.is_empty()
        || host.is_empty()
        || host.contains(['/', '?', '#', '@', '*'])
        || host.contains(char::is_whitespace)
    {
        return wrong("an origin is scheme, host and port only, with no path, slash or wildcard");
    }
    if origin.chars().any(|c| c.is_ascii_uppercase() || !c.is_ascii_graphic()) {
        return wrong("browsers send origins in lower case, and other scripts as xn--...");
    }
    if (scheme == "https" && host.ends_with(":443")) || (scheme == "http" && host.ends_with(":80")) {
        return wrong("browsers leave out the default port");
    }
    Ok(())
}

/// Resolves `[approvers]`: approver → identities of their keys.
pub(super) fn pinned(approvers: BTreeMap<String, Vec<String>>) -> Result<BTreeMap<String, Vec<Hash>>, Error> {
    let mut pinned = BTreeMap::new();
    for (approver, keys) in approvers {
        let identities = keys.iter().map(|key| key_identity(key).map_err(|why| (key, why)));
        let identities = identities.collect::<Result<Vec<Hash>, _>>().map_err(|(key, why)| {
            format!("[approvers] {}: key {}: {why}", text::quoted(&approver), text::quoted(key))
        })?;
        pinned.insert(approver, identities);
    }
    Ok(pinned)
}
