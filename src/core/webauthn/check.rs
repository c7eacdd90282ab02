//! The named checks of an assertion and their outcomes.

/// One check of specification section 9, in the order of the specification.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Check {
    /// Step 1: the sizes of the assertion's parts.
    Sizes,
    /// Step 2: the client data is one strict JSON object with the required members.
    ClientData,
    /// Step 3: the client data says `webauthn.get`.
    ClientDataType,
    /// Step 4: the challenge is this entry's nonce and payload hash.
    Challenge,
    /// Step 5: the web origin is allowed.
    Origin,
    /// Step 6: not framed by another origin, or framed as the policy allows.
    CrossOrigin,
    /// Step 7: the relying party is the pinned one.
    RpId,
    /// Step 8: the authenticator saw a person.
    UserPresent,
    /// Step 9: the authenticator verified the person.
    UserVerified,
    /// Step 10: backed up only if eligible for backup.
    BackupFlags,
    /// Step 11: the authenticator data has the structure that its flags announce.
    AuthenticatorData,
    /// Step 12: the public key is a valid key of a known algorithm.
    Key,
    /// Step 13: the key made the signature.
    Signature,
}

impl Check {
    /// Every check, in the order of the specification.
    pub const ALL: [Check; 13] = [
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

    /// What a pass shows.
    pub fn holds(self) -> &'static str {
        match self {
            Check::Sizes => "every part of the assertion has a possible size",
            Check::ClientData => "the client data is strict JSON",
            Check::ClientDataType => "it is of an assertion",
            Check::Challenge => "what was signed is this nonce and this payload hash",
            Check::Origin => "it was signed on an allowed web origin",
            Check::CrossOrigin => "it was not signed inside a stranger's frame",
            Check::RpId => "it was signed for the pinned relying party",
            Check::UserPresent => "the authenticator saw a person",
            Check::UserVerified => "the authenticator verified the person",
            Check::BackupFlags => "the backup flags are possible",
            Check::AuthenticatorData => "the authenticator data has the form that its flags announce",
            Check::Key => "the public key is a valid key of a known algorithm",
            Check::Signature => "this key made the signature",
        }
    }

    /// The stable name of the check in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Check::Sizes => "sizes",
            Check::ClientData => "client-data",
            Check::ClientDataType => "client-data-type",
            Check::Challenge => "challenge",
            Check::Origin => "origin",
            Check::CrossOrigin => "cross-origin",
            Check::RpId => "rp-id",
            Check::UserPresent => "user-present",
            Check::UserVerified => "user-verified",
            Check::BackupFlags => "backup-flags",
            Check::AuthenticatorData => "authenticator-data",
            Check::Key => "key",
            Check::Signature => "signature",
        }
    }
}

/// The outcome of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum CheckOutcome {
    /// It passed.
    Passed,
    /// It failed; a finding says why.
    Failed,
    /// It was not made: the policy pins no value to compare with, or the input did not parse.
    NotChecked,
}

impl CheckOutcome {
    /// The name used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            CheckOutcome::Passed => "passed",
            CheckOutcome::Failed => "failed",
            CheckOutcome::NotChecked => "not checked",
        }
    }
}
