//! The trust policy: provided by the user who runs the audit, never by a log.

use crate::core::hash::{Hash, sha256};
use crate::core::head::LogKey;
use crate::core::tlog_policy::TlogPolicy;
use crate::core::webauthn::RelyingParty;
use std::collections::BTreeMap;
use std::time::Duration;

/// Everything that the verdict depends on besides the log's bytes and the time.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The pinned log key; its name is the origin.
    pub log_key: LogKey,
    /// Relying party id and web origins; a field that is `None` is not checked.
    pub relying_party: RelyingParty,
    /// Approver → identities of the only keys that may sign for them. Others are not pinned.
    pub pinned_keys: BTreeMap<String, Vec<Hash>>,
    /// The age beyond which a head is `head-stale`; `None` if not asked for.
    pub max_head_age: Option<Duration>,
    /// The witnesses that must have cosigned the newest checkpoint; `None`, or a policy without a quorum, if
    /// not asked for.
    pub witnesses: Option<TlogPolicy>,
}

impl Policy {
    /// The witness policy, if it requires any cosignature.
    pub fn quorum(&self) -> Option<&TlogPolicy> {
        self.witnesses.as_ref().filter(|policy| policy.has_quorum())
    }

    /// Changes whenever a change of policy could change the findings of an entry. Entries that were checked
    /// under another fingerprint have to be checked again. Witnesses cosign heads, not entries, so they are
    /// not part of it. The version number counts changes to this program that lead to different findings for
    /// the same entry.
    pub fn entry_fingerprint(&self) -> Hash {
        let party = &self.relying_party;
        let text = format!(
            "entry checks 3\n{}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
            self.log_key.verifier(),
            party.rp_id,
            party.allowed_origins,
            party.allow_cross_origin,
            party.allowed_top_origins,
            party.require_user_verification,
            self.pinned_keys,
        );
        sha256(text.as_bytes())
    }
}
