//! The approvers and their passkeys.

use super::keys::{AuthenticatorKind, MAX_RSA, Passkey, Signer, with_named_kty};
use super::seed::Seed;
use crate::error::TestlogError;
use countersign::core::crypto::Algorithm;
use std::str::FromStr;

/// Names of people.
pub const NAMES: [&str; 12] =
    ["alex", "bruna", "chidi", "dagny", "emre", "fatima", "gül", "hana", "iñaki", "jürgen", "kofi", "łucja"];

const ALGORITHMS: [(&str, Algorithm); 4] = [
    ("es256", Algorithm::Es256),
    ("rs256", Algorithm::Rs256),
    ("eddsa", Algorithm::EdDsa),
    ("es384", Algorithm::Es384),
];

/// Algorithms by weight, such as `es256=85,rs256=8,eddsa=5,es384=2`.
#[derive(Clone, Debug)]
pub struct AlgorithmMix(Vec<(Algorithm, u32)>);

impl AlgorithmMix {
    fn total(&self) -> u32 {
        self.0.iter().map(|(_, weight)| weight).sum()
    }
}

impl FromStr for AlgorithmMix {
    type Err = TestlogError;

    fn from_str(text: &str) -> Result<AlgorithmMix, TestlogError> {
        let mut mix: Vec<(Algorithm, u32)> = Vec::new();
        for part in text.split(',') {
            let (name, weight) =
                part.split_once('=').ok_or_else(|| format!("{part:?} is not name=weight"))?;
            let algorithm = ALGORITHMS.iter().find(|(known, _)| *known == name);
            let (_, algorithm) = algorithm
                .ok_or_else(|| format!("unknown algorithm {name:?}: use es256, rs256, eddsa or es384"))?;
            let weight = weight.parse().ok().filter(|weight| *weight <= 1000);
            let weight = weight.ok_or_else(|| format!("the weight of {name} must be 0 to 1000"))?;
            if mix.iter().any(|(known, _)| known == algorithm) {
                return Err(format!("{name} is given twice").into());
            }
            if weight > 0 {
                mix.push((*algorithm, weight));
            }
        }
        if mix.is_empty() { Err("no algorithm has a weight".into()) } else { Ok(AlgorithmMix(mix)) }
    }
}

/// The passkeys of one algorithm, and its weight.
struct AlgorithmShare {
    weight: u32,
    passkeys: Vec<Passkey>,
}

/// All passkeys, one for each approver.
pub struct PasskeySet {
    shares: Vec<AlgorithmShare>,
    total: u32,
}

impl PasskeySet {
    /// The passkeys of `approvers` people. Each algorithm gets a share of them by weight, but at least one. The algorithm of
    /// an entry depends on the weights alone. With `named_kty` the COSE keys have `kty` as text.
    ///
    /// # Errors
    /// There are fewer approvers than algorithms.
    pub fn new(
        seed: &Seed,
        mix: &AlgorithmMix,
        approvers: u32,
        named_kty: bool,
    ) -> Result<PasskeySet, TestlogError> {
        let total = mix.total();
        let mut shares = Vec::new();
        let mut person = 0;
        for (place, (algorithm, weight)) in mix.0.iter().enumerate() {
            let later = u32::try_from(mix.0.len().saturating_sub(place + 1)).unwrap_or(u32::MAX);
            let free = approvers.saturating_sub(person).saturating_sub(later);
            if free == 0 {
                return Err("--approvers: each algorithm of the mix needs at least one approver".into());
            }
            let most = if *algorithm == Algorithm::Rs256 { MAX_RSA } else { u32::MAX };
            let part = u64::from(approvers) * u64::from(*weight) / u64::from(total);
            let part = u32::try_from(part).unwrap_or(u32::MAX).clamp(1, free.min(most));
            let passkeys = (0..part)
                .map(|number| passkey(seed, *algorithm, person + number, number))
                .collect::<Result<Vec<Passkey>, _>>()?;
            let named = |passkey: Passkey| match named_kty {
                true => Passkey { cose: with_named_kty(&passkey.cose), ..passkey },
                false => passkey,
            };
            let passkeys = passkeys.into_iter().map(named).collect();
            shares.push(AlgorithmShare { weight: *weight, passkeys });
            person += part;
        }
        Ok(PasskeySet { shares, total })
    }

    /// The passkey that signs entry `index`.
    pub fn signer_of(&self, seed: &Seed, index: u64) -> &Passkey {
        let mut at = seed.below("algorithm of entry", index, u64::from(self.total));
        let mut chosen = &self.shares[0];
        for share in &self.shares {
            chosen = share;
            match at.checked_sub(u64::from(share.weight)) {
                Some(rest) => at = rest,
                None => break,
            }
        }
        let at = seed.below("passkey of entry", index, chosen.passkeys.len() as u64);
        &chosen.passkeys[at as usize]
    }
}

fn passkey(seed: &Seed, algorithm: Algorithm, person: u32, number: u32) -> Result<Passkey, TestlogError> {
    let signer = Signer::new(algorithm, seed, number)?;
    let name = NAMES[person as usize % NAMES.len()];
    let kinds = [
        AuthenticatorKind::Synced,
        AuthenticatorKind::SecurityKey,
        AuthenticatorKind::Platform,
        AuthenticatorKind::NotSynced,
    ];
    let kind = kinds[seed.below("habit", u64::from(person), 4) as usize];
    let id = seed.bytes("credential id", u64::from(person));
    // Security keys and platforms use ids of different lengths.
    let length = if kind == AuthenticatorKind::Synced { 20 } else { 32 };
    Ok(Passkey {
        approver: format!("{name}.{person}"),
        credential_id: id[..length].to_vec(),
        cose: signer.cose(),
        signer,
        kind,
    })
}

/// The software passkey of a person who is known by this name. It depends on nothing else than the seed, so that it can be
/// pinned before it was used.
///
/// # Errors
/// The seed makes no key.
pub fn of_person(seed: &Seed, name: &str) -> Result<Passkey, TestlogError> {
    let seed = seed.other(&format!("passkey of {name}"));
    let signer = Signer::new(Algorithm::Es256, &seed, 0)?;
    Ok(Passkey {
        approver: name.to_owned(),
        credential_id: seed.bytes("credential id", 0)[..20].to_vec(),
        cose: signer.cose(),
        signer,
        // Decisions can come in another order than their entries, and a counter would show that.
        kind: AuthenticatorKind::Synced,
    })
}
