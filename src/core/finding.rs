//! Finding codes and their severity (specification section 10).
//!
//! A finding says that the *log* did something; it is never used for "could not tell" (that is an
//! error with its cause) nor for a fault of ours.
//!
//! What a new code needs besides its line here is under "Add a finding code" in `src/docs/contributing.md`.

use super::check::Check;
use std::fmt;

/// How bad a finding is. Ordered: a later variant is worse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Severity {
    /// Worth knowing, and normal in an honest log.
    Info,
    /// Deserves a look; alone no proof that anything is wrong.
    Warning,
    /// The log committed to something that must not be there, or serves what it did not sign.
    Invalid,
    /// The log key signed contradictory statements; portable proof exists.
    Violation,
}

impl Severity {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Invalid => "invalid",
            Severity::Violation => "violation",
        }
    }

    /// The severity with this word.
    pub fn from_text(text: &str) -> Option<Severity> {
        [Severity::Info, Severity::Warning, Severity::Invalid, Severity::Violation]
            .into_iter()
            .find(|severity| severity.as_str() == text)
    }
}

/// What a finding speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Scope {
    /// What the log signed, or committed to under a signed head.
    Committed,
    /// How the log serves now, rather than what it committed to.
    Served,
    /// What an entry's reveal says, which is no part of its leaf.
    Reveal,
    /// What the log has, against the journal of a gate.
    Journal,
    /// What a watch rule of the auditor's own looks for. It says nothing against the log.
    Watch,
}

/// A finding that ends where it is seen not to hold any more.
const ENDS: bool = true;

/// A finding that stands for ever.
const STANDS: bool = false;

macro_rules! codes {
    ($($variant:ident $text:literal $severity:ident $scope:ident $ends:ident [$($check:ident),*] $meaning:literal,)*) => {
        /// A stable finding code. Its text, severity and meaning are those of
        /// specification section 10.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the specification.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The code as it stands in reports.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }

            /// The severity that specification section 10 gives the code.
            pub fn severity(self) -> Severity {
                match self { $(Code::$variant => Severity::$severity,)* }
            }

            /// What a finding with this code speaks of.
            pub fn scope(self) -> Scope {
                match self { $(Code::$variant => Scope::$scope,)* }
            }

            /// Whether a finding with this code ends, and is listed as ended, once it is seen not to hold any more. All
            /// others stand for ever: a log cannot take back what it signed.
            pub fn ends(self) -> bool {
                match self { $(Code::$variant => $ends,)* }
            }

            /// The checks of an audit that fail where there is a finding with this code, unless its subject is an answer
            /// that has a check of its own.
            pub fn checks(self) -> &'static [Check] {
                match self { $(Code::$variant => &[$(Check::$check),*],)* }
            }

            /// What the code means, for a first-time reader.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning,)* }
            }

            /// The code with this text.
            pub fn from_text(text: &str) -> Option<Code> {
                match text { $($text => Some(Code::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    SameSizeFork "same-size-fork" Violation Committed STANDS [HeadAgainstHeads] "the log signed two different trees of one size",
    InconsistentHeads "inconsistent-heads" Violation Committed STANDS [HeadAgainstTree] "a signed head is not a prefix of a larger signed head: history was rewritten",
    SthTimeContradiction "sth-time-contradiction" Violation Committed STANDS [HeadAgainstHeads] "the log signed a later head (by more than 60 s) with a smaller size",
    SthTimeDisorder "sth-time-disorder" Warning Committed STANDS [HeadTime] "the log signed a later head (by at most 60 s) with a smaller size: its signers' clocks differ",
    HeadSignatureInvalid "head-signature-invalid" Invalid Served ENDS [HeadSignature] "a head that the pinned key did not sign, or of another origin",
    HeadMalformed "head-malformed" Invalid Served ENDS [HeadSignature] "a head that does not parse",
    RootMismatch "root-mismatch" Invalid Served ENDS [Root] "the entries served do not hash to the signed root",
    TileMismatch "tile-mismatch" Invalid Served ENDS [Tiles] "a served Merkle tile differs from the entries",
    ProofInvalid "proof-invalid" Invalid Served ENDS [ServedProofs] "a served consistency or inclusion proof does not verify",
    Gap "gap" Invalid Served ENDS [Root] "an entry that a signed head commits to is refused, missing or skipped",
    HeadRollback "head-rollback" Invalid Served ENDS [HeadRollback] "the log now serves a head smaller than one that it signed earlier",
    HeadStale "head-stale" Warning Served ENDS [HeadAge] "the newest head is older than the policy allows",
    HeadInFuture "head-in-future" Warning Served ENDS [HeadTime] "a head's time is ahead of the clock",
    LeafMalformed "leaf-malformed" Invalid Committed STANDS [LeafForm] "a leaf that is not an entry of this profile",
    LeafNotCanonical "leaf-not-canonical" Invalid Committed STANDS [LeafForm] "a leaf that is not its own canonical JSON form",
    OriginMismatch "origin-mismatch" Invalid Committed STANDS [EntryOrigin] "the entry names another log",
    TimeOrder "time-order" Invalid Committed STANDS [EntryTimes] "requested, decided and expiry times are out of order",
    AssertionMissing "assertion-missing" Invalid Committed STANDS [AssertionPresence] "approved, but no passkey assertion or credential",
    AssertionUnexpected "assertion-unexpected" Invalid Committed STANDS [AssertionPresence] "not approved, yet with an assertion or credential",
    EncodingInvalid "encoding-invalid" Invalid Committed STANDS [EntryEncoding, Sizes] "base64url, hex or a size limit violated",
    ClientDataMalformed "client-data-malformed" Invalid Committed STANDS [ClientData] "the client data is not one well-formed JSON object",
    ClientDataType "client-data-type" Invalid Committed STANDS [ClientDataType] "the client data is not of an assertion (webauthn.get)",
    ChallengeMismatch "challenge-mismatch" Invalid Committed STANDS [Challenge] "the passkey signed another challenge: not this nonce and payload",
    OriginNotAllowed "origin-not-allowed" Invalid Committed STANDS [Origin] "signed on a web origin that is not allowed",
    CrossOrigin "cross-origin" Invalid Committed STANDS [CrossOrigin] "signed inside a frame of another origin",
    TopOriginNotAllowed "top-origin-not-allowed" Invalid Committed STANDS [CrossOrigin] "signed under a top-level origin that is not allowed",
    RpIdMismatch "rp-id-mismatch" Invalid Committed STANDS [RpId] "signed for another relying party",
    UserNotPresent "user-not-present" Invalid Committed STANDS [UserPresent] "the authenticator did not see a person",
    UserNotVerified "user-not-verified" Invalid Committed STANDS [UserVerified] "the authenticator did not verify the person (PIN, biometric)",
    BackupFlags "backup-flags" Invalid Committed STANDS [BackupFlags] "backed up, yet not eligible for backup",
    AuthDataMalformed "auth-data-malformed" Invalid Committed STANDS [AuthenticatorData] "the authenticator data is malformed",
    KeyMalformed "key-malformed" Invalid Committed STANDS [Key] "the passkey's public key is malformed",
    KeyUnsupported "key-unsupported" Invalid Committed STANDS [Key] "the passkey's algorithm is not one of this profile",
    SignatureMalformed "signature-malformed" Invalid Committed STANDS [Signature] "the assertion signature is malformed",
    SignatureInvalid "signature-invalid" Invalid Committed STANDS [Signature] "the assertion signature does not verify",
    IdDuplicate "id-duplicate" Invalid Committed STANDS [UniqueId] "an id that an earlier entry has",
    NonceReused "nonce-reused" Invalid Committed STANDS [UniqueNonce] "a nonce that an earlier entry has",
    AssertionReused "assertion-reused" Invalid Committed STANDS [UniqueAssertion] "an assertion that an earlier entry has: a replay",
    KeyShared "key-shared" Invalid Committed STANDS [KeyOwnership] "one public key, two approvers",
    CredentialRelabelled "credential-relabelled" Warning Committed STANDS [KeyHistory] "one public key, two credential ids",
    CredentialNew "credential-new" Info Committed STANDS [] "a further key for a known approver",
    KeyNotPinned "key-not-pinned" Invalid Committed STANDS [PinnedKeys] "this approver has pinned keys, and this is not one of them",
    BackupEligibilityChanged "backup-eligibility-changed" Warning Committed STANDS [KeyHistory] "a passkey's backup eligibility changed, which must not happen",
    SignCountRegression "sign-count-regression" Warning Committed STANDS [KeyHistory] "a passkey's signature counter did not grow: it may have been cloned",
    AttestedDataPresent "attested-data-present" Warning Committed STANDS [AuthenticatorData] "attested data in an assertion (some authenticators do this)",
    KeyEncodingOdd "key-encoding-odd" Warning Committed STANDS [Key] "the passkey's public key is written as some authenticators do: its type as text",
    DecidedAfterHead "decided-after-head" Warning Committed STANDS [DecidedBeforeHead] "decided later than the head that already covers it",
    RevealMismatch "reveal-mismatch" Invalid Reveal ENDS [Reveals] "the reveal is not what the entry commits to",
    PayloadMismatch "payload-mismatch" Invalid Reveal STANDS [Reveals] "the payload does not hash to the entry's payload hash",
    EmailMismatch "email-mismatch" Invalid Reveal STANDS [Reveals] "the email does not match the reveal's hash",
    WitnessQuorum "witness-quorum" Invalid Served ENDS [Witnesses] "the checkpoint does not have the cosignatures that the policy asks for",
    ApprovalOmitted "approval-omitted" Invalid Journal ENDS [Journal] "the approval service answered approved, and an hour later the log did not have it, or had it with another decision",
    ApprovalUnasked "approval-unasked" Warning Journal STANDS [Journal] "an approval that the journal, which is to have all that this person is asked, never asked for",
    ActionWithoutApproval "action-without-approval" Invalid Journal STANDS [Journal] "a gate acted on an approval that the log does not have, though its receipt has a head of the log",
    WatchList "watch-list" Warning Watch STANDS [] "an entry that matches a watch rule of yours; it says nothing against the log",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
