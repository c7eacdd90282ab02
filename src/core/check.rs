//! Every check of a log or of a receipt, by name.
//!
//! The names are stable: reports, receipts' verdicts and the mirror contain them. This is the only place that defines them.
//! The table of codes says which findings belong to which check ([`Code::checks`]).
//!
//! [`Code::checks`]: super::finding::Code::checks

use std::fmt;

macro_rules! checks {
    ($($variant:ident $text:literal $claim:literal,)*) => {
        /// A check. The checks of an audit come first, in the order of its report, followed by those of receipts alone.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
        pub enum Check {
            $(#[doc = $claim] $variant,)*
        }

        impl Check {
            /// Every check.
            pub const ALL: &'static [Check] = &[$(Check::$variant,)*];

            /// The name in reports.
            pub fn as_str(self) -> &'static str {
                match self { $(Check::$variant => $text,)* }
            }

            /// What a pass shows: of a log, or of a receipt for the checks of receipts alone.
            pub fn claim(self) -> &'static str {
                match self { $(Check::$variant => $claim,)* }
            }

            /// The check with this name.
            pub fn from_text(text: &str) -> Option<Check> {
                match text { $($text => Some(Check::$variant),)* _ => None }
            }
        }
    };
}

checks! {
    HeadSignature "head-signature" "every served head is signed by the pinned log key",
    HeadAgainstHeads "head-against-heads" "no two signed heads contradict each other",
    HeadAgainstTree "head-against-tree" "every signed head is a prefix of the rebuilt tree",
    HeadRollback "head-rollback" "the log does not serve a smaller head than one that it signed earlier",
    HeadTime "head-time" "no head is dated in the future, or later than a larger one",
    HeadAge "head-age" "the newest head is fresh enough",
    Root "root" "the entries hash to the signed root, with none missing",
    Tiles "tiles" "the served Merkle tiles are those of the entries",
    ServedProofs "served-proofs" "the proofs that the log serves verify (a sample of them; with --full all)",
    HeadList "head-list" "the log's own list has every signed head that is stored here",
    VerificationBundles "verification-bundles" "the verification bundles that the log serves match the log (a sample; with --full all)",
    LeafForm "leaf-form" "every leaf is one entry in canonical form",
    EntryOrigin "entry-origin" "every entry names this log",
    EntryTimes "entry-times" "requested, decided and expiry times are in order",
    EntryEncoding "entry-encoding" "every value is in its one exact encoding and size",
    Sizes "sizes" "every part of an assertion has a possible size",
    AssertionPresence "assertion-presence" "approvals, and only they, carry an assertion",
    ClientData "client-data" "the client data is strict JSON",
    ClientDataType "client-data-type" "its type is that of an assertion",
    Challenge "challenge" "what was signed is this nonce and this payload hash",
    Origin "origin" "it was signed on an allowed web origin",
    CrossOrigin "cross-origin" "it was not signed inside a frame of a foreign origin",
    RpId "rp-id" "approvals were signed for the pinned relying party; the rpId of other entries is not judged",
    UserPresent "user-present" "the authenticator saw a person",
    UserVerified "user-verified" "the authenticator verified the person",
    BackupFlags "backup-flags" "the backup flags are possible",
    AuthenticatorData "authenticator-data" "the authenticator data is well formed",
    Key "key" "the passkey's public key is valid",
    Signature "signature" "the passkey's signature verifies",
    PinnedKeys "pinned-keys" "approvers sign with their pinned keys only",
    UniqueId "unique-id" "no id occurs twice",
    UniqueNonce "unique-nonce" "no nonce occurs twice",
    UniqueAssertion "unique-assertion" "no assertion occurs twice",
    KeyOwnership "key-ownership" "no passkey signs for two approvers",
    KeyHistory "key-history" "each passkey's history is plausible",
    DecidedBeforeHead "decided-before-head" "entries were decided before the head that covers them",
    Reveals "reveals" "public reveals are what the entries commit to",
    Anchors "anchors" "heads are anchored in time",
    Witnesses "witnesses" "the newest checkpoint has the cosignatures that the policy asks for",
    Peers "peers" "the heads that peers were shown were compared with ours",
    Journal "journal" "the log has what the gate's journal was told and acted on, and no approval that it lacks",
    Leaf "leaf" "it is a receipt for one entry in canonical form",
    Inclusion "inclusion" "the entry is in the tree of a head that the log's key signed",
    Sth "sth" "the STH is signed by the log's key, and of the checkpoint's tree",
    Checkpoint "checkpoint" "the checkpoint is signed by the log's key",
    Decision "decision" "the decision is the expected one",
    Id "id" "the id is the expected one",
    Approver "approver" "the approver is an expected one",
    ApproverKey "approver-key" "the passkey is pinned for the approver",
    Payload "payload" "the payload is the one that was signed",
    Action "action" "the action text is signed together with the payload",
    Reveal "reveal" "the reveal is the one that the entry commits to",
    Email "email" "the address is the one that the log attests",
    Age "age" "it was decided recently enough",
}

impl Check {
    /// The checks of an audit, in the order of its report.
    pub fn of_audit() -> impl Iterator<Item = Check> {
        Check::ALL.iter().copied().filter(|check| *check <= Check::Journal)
    }

    /// The checks on the entry itself.
    pub const OF_LEAF: [Check; 5] = [
        Check::LeafForm,
        Check::EntryOrigin,
        Check::EntryTimes,
        Check::AssertionPresence,
        Check::EntryEncoding,
    ];

    /// The checks on an assertion: steps 1 to 13 of specification section 9, in its order.
    pub const OF_ASSERTION: [Check; 13] = [
        Check::Sizes,
        Check::ClientData,
        Check::ClientDataType,
        Check::Challenge,
        Check::Origin,
        Check::CrossOrigin,
        Check::RpId,
        Check::UserPresent,
        Check::UserVerified,
        Check::BackupFlags,
        Check::AuthenticatorData,
        Check::Key,
        Check::Signature,
    ];

    /// The checks of a receipt, in the order of its verdict.
    pub const OF_RECEIPT: [Check; 31] = [
        Check::Leaf,
        Check::Inclusion,
        Check::Sth,
        Check::Checkpoint,
        Check::Witnesses,
        Check::EntryOrigin,
        Check::EntryTimes,
        Check::EntryEncoding,
        Check::AssertionPresence,
        Check::Sizes,
        Check::ClientData,
        Check::ClientDataType,
        Check::Challenge,
        Check::Origin,
        Check::CrossOrigin,
        Check::RpId,
        Check::UserPresent,
        Check::UserVerified,
        Check::BackupFlags,
        Check::AuthenticatorData,
        Check::Key,
        Check::Signature,
        Check::Decision,
        Check::Id,
        Check::Approver,
        Check::ApproverKey,
        Check::Payload,
        Check::Action,
        Check::Reveal,
        Check::Email,
        Check::Age,
    ];
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_its_own_name() {
        for (place, check) in Check::ALL.iter().enumerate() {
            assert_eq!(Check::from_text(check.as_str()), Some(*check));
            assert_eq!(*check as usize, place);
        }
        assert_eq!(Check::from_text("heads"), None);
        assert_eq!(format!("{:<6}|", Check::Root), "root  |");
    }

    #[test]
    fn every_check_belongs_to_an_audit_or_a_receipt() {
        assert!(Check::ALL.iter().all(|check| *check <= Check::Journal || Check::OF_RECEIPT.contains(check)));
        assert!(Check::OF_ASSERTION.iter().all(|check| Check::OF_RECEIPT.contains(check)));
    }
}
