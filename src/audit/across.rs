//! Checks across the log (specification section 9, last paragraph): what shows only in comparison with earlier
//! entries.
//!
//! The memory has one fixed-size row per id, nonce and assertion and one per passkey. It is kept in the mirror, so
//! these checks work across runs and need no more RAM for a longer log.
//!
//! Keys are learned only from assertions whose signature verified: an entry that merely names a key, without having
//! used it, cannot make the key's owner look like an impostor. If the signature verified, the key was used, even if
//! the assertion fails other checks. If the authenticator data does not parse, only the key's use is learned. For an
//! assertion in an entry that is not an approval, the key is remembered, but the entry is not judged by it.

use crate::audit::finding::Finding;
use crate::core::check::Check;
use crate::core::finding::Code;
use crate::core::hash::Hash;
use crate::core::text;
use crate::core::webauthn::AuthenticatorFacts;

/// A digest that stands for one value in one namespace: 128 bits of SHA-256. Equal values have equal fingerprints;
/// different values have different ones except with negligible probability.
pub type Fingerprint = [u8; 16];

/// The three kinds of value that must be unique.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unique {
    /// Entry ids.
    Id,
    /// Nonces.
    Nonce,
    /// SHA-256(authenticatorData ‖ clientDataJSON).
    Assertion,
}

impl Unique {
    /// The check that no value of this kind occurs twice.
    pub fn check(self) -> Check {
        match self {
            Unique::Id => Check::UniqueId,
            Unique::Nonce => Check::UniqueNonce,
            Unique::Assertion => Check::UniqueAssertion,
        }
    }

    fn code(self) -> Code {
        match self {
            Unique::Id => Code::IdDuplicate,
            Unique::Nonce => Code::NonceReused,
            Unique::Assertion => Code::AssertionReused,
        }
    }

    fn tag(self) -> u8 {
        match self {
            Unique::Id => b'i',
            Unique::Nonce => b'n',
            Unique::Assertion => b'a',
        }
    }

    /// The fingerprint of a value of this kind.
    pub fn fingerprint(self, value: &[u8]) -> Fingerprint {
        let digest = crate::core::hash::sha256_pair(&[self.tag()], value);
        let (first, _) = digest.0.split_at(16);
        first.try_into().unwrap_or_default()
    }
}

/// What is remembered of one passkey.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownKey {
    /// Where it was first used.
    pub first_index: u64,
    /// The approver who used it first.
    pub approver: String,
    /// SHA-256 of the credential id at its first use.
    pub credential: Hash,
    /// Its backup eligibility at the first use with readable authenticator data.
    pub backup_eligible: Option<bool>,
    /// The last counter that was not 0, and the index of its entry.
    pub last_count: Option<(u32, u64)>,
}

/// The passkey use that one entry shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyUse {
    /// The identity of the public key, independent of its encoding.
    pub key: Hash,
    /// The approver who used it.
    pub approver: String,
    /// SHA-256 of the credential id.
    pub credential: Hash,
    /// BE flag and signature counter (0: not kept by this authenticator), if the authenticator data is well formed.
    pub facts: Option<AuthenticatorFacts>,
}

/// One value seen at one entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// The kind of value.
    pub kind: Unique,
    /// The value's fingerprint.
    pub fingerprint: Fingerprint,
    /// The index of the entry.
    pub index: u64,
}

/// A value that was seen before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Repeat {
    /// The later sighting.
    pub sighting: Sighting,
    /// The index of the entry that had it first.
    pub first: u64,
}

/// State that is kept between entries and runs. The mirror implements it.
pub trait Memory {
    /// Why the memory could not be used: always a local fault.
    type Error;

    /// Remembers values and returns those that an entry with a smaller index already had. Takes a whole batch, so
    /// that an implementation can sort it: single random insertions into a large index cost several times as much.
    ///
    /// # Errors
    /// [`Memory::Error`] if the memory cannot be read or written.
    fn remember(&mut self, sightings: &mut [Sighting]) -> Result<Vec<Repeat>, Self::Error>;

    /// What is known about a key.
    ///
    /// # Errors
    /// [`Memory::Error`] if the memory cannot be read.
    fn key(&mut self, key: &Hash) -> Result<Option<KnownKey>, Self::Error>;

    /// Stores what is known about a key.
    ///
    /// # Errors
    /// [`Memory::Error`] if the memory cannot be written.
    fn set_key(&mut self, key: &Hash, known: &KnownKey) -> Result<(), Self::Error>;

    /// Records that an approver used a key; `true` if this key is new for an approver who used another one before.
    ///
    /// # Errors
    /// [`Memory::Error`] if the memory cannot be read or written.
    fn note_approver_key(&mut self, approver: &str, key: &Hash) -> Result<bool, Self::Error>;
}

/// The finding for a repeated value. It is about the later entry and names the first.
pub fn repeat_finding(repeat: &Repeat, id: Option<&str>) -> Finding {
    let code = repeat.sighting.kind.code();
    let message = format!("{}: first at entry {}", code.meaning(), repeat.first);
    Finding::of_entry(code, repeat.sighting.index, id, message)
}

/// Checks one use of a passkey against all earlier ones.
///
/// # Errors
/// [`Memory::Error`] if the memory cannot be read or written. Nothing was concluded about the entry.
pub fn check_key_use<M: Memory>(
    memory: &mut M,
    used: &KeyUse,
    index: u64,
    id: Option<&str>,
) -> Result<Vec<Finding>, M::Error> {
    let mut findings = Vec::new();
    let mut add = |code: Code, message: String| findings.push(Finding::of_entry(code, index, id, message));
    let Some(mut known) = memory.key(&used.key)? else {
        let further = memory.note_approver_key(&used.approver, &used.key)?;
        memory.set_key(&used.key, &first_use(used, index))?;
        if further {
            add(Code::CredentialNew, further_key(used));
        }
        return Ok(findings);
    };
    // A key that was remembered without being judged has not been reported yet.
    if known.approver == used.approver
        && known.backup_eligible.is_none()
        && memory.note_approver_key(&used.approver, &used.key)?
    {
        add(Code::CredentialNew, further_key(used));
    }
    if known.approver != used.approver {
        let (first, now) = (text::quoted(&known.approver), text::quoted(&used.approver));
        let at = known.first_index;
        add(Code::KeyShared, format!("the key of {first} (since entry {at}) signs for {now}"));
    }
    if known.credential != used.credential {
        add(
            Code::CredentialRelabelled,
            format!("at entry {} the key had another credential id", known.first_index),
        );
    }
    let Some(facts) = used.facts else { return Ok(findings) };
    let before = known.clone();
    let (was, is) = (*known.backup_eligible.get_or_insert(facts.backup_eligible), facts.backup_eligible);
    if was != is {
        add(Code::BackupEligibilityChanged, format!("backup eligible was {was} and is {is}"));
    }
    if facts.sign_count != 0 {
        if let Some((count, at)) = known.last_count
            && facts.sign_count <= count
        {
            let message = format!("counter {} after {count} at entry {at}", facts.sign_count);
            add(Code::SignCountRegression, message);
        }
        known.last_count = Some((facts.sign_count, index));
    }
    if known != before {
        memory.set_key(&used.key, &known)?;
    }
    Ok(findings)
}

fn further_key(used: &KeyUse) -> String {
    format!("{} signs with a further passkey {}", text::quoted(&used.approver), used.key)
}

/// Remembers a key use by which its entry is not judged, unless the key is already known.
///
/// # Errors
/// [`Memory::Error`] if the memory cannot be read or written.
pub fn remember_key_use<M: Memory>(memory: &mut M, used: &KeyUse, index: u64) -> Result<(), M::Error> {
    match memory.key(&used.key)? {
        Some(_) => Ok(()),
        None => memory.set_key(&used.key, &first_use(used, index)),
    }
}

fn first_use(used: &KeyUse, index: u64) -> KnownKey {
    KnownKey {
        first_index: index,
        approver: used.approver.clone(),
        credential: used.credential,
        backup_eligible: used.facts.map(|facts| facts.backup_eligible),
        last_count: used.facts.filter(|facts| facts.sign_count != 0).map(|facts| (facts.sign_count, index)),
    }
}
