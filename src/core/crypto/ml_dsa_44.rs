//! ML-DSA-44 (FIPS 204), pure and with an empty context, as C2SP tlog-cosignature uses it: key rules and the second
//! opinion.
//!
//! Both implementations decode as FIPS 204 section 7.2 specifies: hints in ascending order, followed by zeros, and z
//! within its bound. A signature therefore has exactly one encoding.

use super::algorithm::{Algorithm, verification};
use super::error::{Disagreement, KeyError};
use super::opinion::Opinion;
use aws_lc_rs::signature::ParsedPublicKey;
use ml_dsa::{EncodedSignature, EncodedVerifyingKey, MlDsa44, Signature, Verifier};

/// The key in the implementation that is not aws-lc-rs.
pub(super) type VerifyingKey = ml_dsa::VerifyingKey<MlDsa44>;

/// Parses a key. aws-lc-rs also accepts a key inside a SubjectPublicKeyInfo, which is longer, so the length is checked
/// first.
pub(super) fn parse_key(bytes: &[u8]) -> Result<(ParsedPublicKey, VerifyingKey), KeyError> {
    let encoded = EncodedVerifyingKey::<MlDsa44>::try_from(bytes)
        .map_err(|_| KeyError::Malformed("an ML-DSA-44 key has 1,312 bytes"))?;
    // FIPS 204 algorithm 23 turns any 1,312 bytes into a key, so a refusal would be an error of the library.
    let aws = ParsedPublicKey::new(verification(Algorithm::MlDsa44), bytes)
        .map_err(|_| KeyError::Disagreement(Disagreement::over_key("aws-lc-rs and ml-dsa", bytes)))?;
    Ok((aws, VerifyingKey::decode(&encoded)))
}

/// The verdict of `ml-dsa` on a signature that aws-lc-rs rejected.
pub(super) fn opinion(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> Opinion {
    let Ok(encoded) = EncodedSignature::<MlDsa44>::try_from(signature) else {
        return Opinion::Malformed("an ML-DSA-44 signature has 2,420 bytes");
    };
    match Signature::<MlDsa44>::decode(&encoded) {
        None => Opinion::Malformed("hints out of order, or a value out of range"),
        // The trait's method is the pure variant with an empty context.
        Some(signature) if key.verify(message, &signature).is_ok() => Opinion::Valid,
        Some(_) => Opinion::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PublicKey, SignatureError};
    use super::*;
    use crate::core::encoding::encode_hex;
    use aws_lc_rs::signature::{KeyPair as _, ML_DSA_44_SIGNING, PqdsaKeyPair};
    use ml_dsa::{KeyExport as _, Keypair as _, Signer as _, SigningKey};
    use shake::Shake128;
    use shake::digest::{ExtendableOutput as _, Update as _, XofReader as _};

    /// The offset of the 80 hint positions and the four counts after them (FIPS 204 algorithm 20).
    const HINTS: usize = 2420 - 84;
    const COUNTS: usize = 2420 - 4;

    fn signed(seed: u8, message: &[u8]) -> (PublicKey, Vec<u8>) {
        let pair = PqdsaKeyPair::from_seed(&ML_DSA_44_SIGNING, &[seed; 32]).unwrap();
        let mut signature = vec![0; 2420];
        assert_eq!(pair.sign(message, &mut signature), Ok(2420));
        (PublicKey::ml_dsa_44(pair.public_key().as_ref()).unwrap(), signature)
    }

    /// CCTV ML-DSA/accumulated (github.com/C2SP/CCTV), 100 iterations: keys and deterministic signatures of
    /// the empty message, hashed. The right hash shows that `ml-dsa` makes the same bytes as every other
    /// implementation; the verification shows that aws-lc-rs accepts them.
    #[test]
    fn the_accumulated_vector_of_cctv() {
        let (mut seeds, mut all) = (Shake128::default().finalize_xof(), Shake128::default());
        for _ in 0..100 {
            let mut seed = [0; 32];
            seeds.read(&mut seed);
            let key = SigningKey::<MlDsa44>::from_seed(&seed.into());
            let (public, signature) = (key.verifying_key().to_bytes(), key.sign(b"").encode());
            all.update(&public);
            all.update(&signature);
            let ours = PublicKey::ml_dsa_44(&public).unwrap();
            assert_eq!(ours.verify(b"", &signature), Ok(()));
            assert_eq!(ours.verify(b"x", &signature), Err(SignatureError::Invalid));
        }
        let mut result = [0; 32];
        all.finalize_xof().read(&mut result);
        assert_eq!(encode_hex(&result), "d51148e1f9f4fa1a723a6cf42e25f2a99eb5c1b378b3d2dbbd561b1203beeae4");
    }

    #[test]
    fn every_changed_byte_is_rejected_by_both() {
        let (key, signature) = signed(1, b"message");
        assert_eq!(key.verify(b"message", &signature), Ok(()));
        assert_eq!(key.verify(b"messagf", &signature), Err(SignatureError::Invalid));
        for at in (0..2420).step_by(7).chain(HINTS..2420) {
            for bit in [1, 0x80] {
                let mut wrong = signature.clone();
                wrong[at] ^= bit;
                let verdict = key.verify(b"message", &wrong);
                let rejected = matches!(verdict, Err(SignatureError::Invalid | SignatureError::Malformed(_)));
                assert!(rejected, "{at}: {verdict:?}");
            }
        }
    }

    #[test]
    fn another_length_is_malformed() {
        let (key, signature) = signed(2, b"m");
        for wrong in [&[][..], &signature[..2419], &[&signature[..], &[0]].concat()] {
            assert!(matches!(key.verify(b"m", wrong), Err(SignatureError::Malformed(_))), "{}", wrong.len());
        }
        for length in [0, 32, 1311, 1313, 1334, 1952] {
            let key = PublicKey::ml_dsa_44(&vec![7; length]);
            assert_eq!(key, Err(KeyError::Malformed("an ML-DSA-44 key has 1,312 bytes")));
        }
        assert!(PublicKey::ml_dsa_44(&[0xff; 1312]).is_ok());
    }

    #[test]
    fn hints_have_one_encoding_and_z_has_a_bound() {
        type Edit<'a> = &'a dyn Fn(&mut [u8]);
        let secret = SigningKey::<MlDsa44>::from_seed(&[3; 32].into());
        let key = PublicKey::ml_dsa_44(&secret.verifying_key().to_bytes()).unwrap();
        let good = secret.sign(b"m").encode().to_vec();
        let counts: Vec<usize> = good[COUNTS..].iter().map(|count| usize::from(*count)).collect();
        assert!(counts[0] >= 2 && counts[3] < 80, "this key and message have hints to play with");
        let edit = |change: Edit<'_>| {
            let mut wrong = good.clone();
            change(&mut wrong);
            key.verify(b"m", &wrong)
        };
        let edits: [Edit<'_>; 7] = [
            &|s| s.swap(HINTS, HINTS + 1),
            &|s| s[HINTS + 1] = s[HINTS],
            &|s| s[HINTS + counts[3]] = 1,
            &|s| s[COUNTS - 1] = 1,
            &|s| s[COUNTS + 3] = 81,
            &|s| s[COUNTS + 1] = s[COUNTS] - 1,
            // The first coefficient of z as 2^17, past its bound of 2^17 − 78.
            &|s| (s[32], s[33], s[34]) = (0, 0, s[34] & 0xfc),
        ];
        for (n, change) in edits.into_iter().enumerate() {
            assert!(matches!(edit(change), Err(SignatureError::Malformed(_))), "{n}");
        }
    }

    #[test]
    fn a_context_makes_another_signature() {
        let key = SigningKey::<MlDsa44>::from_seed(&[4; 32].into());
        let public = PublicKey::ml_dsa_44(&key.verifying_key().to_bytes()).unwrap();
        let with = |context: &[u8]| key.expanded_key().sign_deterministic(b"m", context).unwrap().encode();
        assert_eq!(public.verify(b"m", &with(b"")), Ok(()));
        assert_eq!(public.verify(b"m", &with(b"context")), Err(SignatureError::Invalid));
    }

    #[test]
    fn keys_that_differ_between_the_implementations_are_a_disagreement() {
        use super::super::Other;
        let ((right, signature), (wrong, _)) = (signed(5, b"m"), signed(6, b"m"));
        let Other::MlDsa44(other) = &right.0.other else { panic!() };
        let mismatched =
            PublicKey::new(Algorithm::MlDsa44, b"", wrong.0.aws.clone(), Other::MlDsa44(other.clone()));
        assert!(matches!(mismatched.verify(b"m", &signature), Err(SignatureError::Disagreement(_))));
        assert_eq!(wrong.verify(b"m", &signature), Err(SignatureError::Invalid));
        assert_ne!(right.identity(), wrong.identity());
    }
}
