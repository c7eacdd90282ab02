//! Trust: what the person who runs the audit brings, and a log can never supply.

use crate::core::hash::{Hash, sha256};
use crate::core::head::LogKey;
use crate::core::tlog_policy::TlogPolicy;
use crate::core::webauthn::RelyingParty;
use std::collections::BTreeMap;

/// Everything that the verdict depends on besides the log's bytes and the time.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The pinned log key; its name is the origin.
    pub log_key: LogKey,
    /// Relying party id and web origins; what is `None` in it is not checked.
    pub relying_party: RelyingParty,
    /// Approver → identities of the only keys that may sign for them. Others are not pinned.
    pub pinned_keys: BTreeMap<String, Vec<Hash>>,
    /// `head-stale` beyond this age in milliseconds; `None`: not asked for.
    pub max_head_age: Option<u64>,
    /// Whose cosignatures the newest checkpoint must have; `None`, or a policy without a quorum: not asked for.
    pub witnesses: Option<TlogPolicy>,
}

impl Policy {
    /// The witness policy, where it asks for any cosignature.
    pub fn quorum(&self) -> Option<&TlogPolicy> {
        self.witnesses.as_ref().filter(|policy| policy.has_quorum())
    }

    /// Changes whenever a change of policy could change what is found in an entry. Entries that
    /// were checked under another fingerprint have to be checked again. Witnesses vouch for heads, and
    /// are not in it. The number counts changes of this program that find something else in the same entry.
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
