use super::*;
use crate::core::encoding::decode_hex;
use p256::ecdsa::signature::Signer;

fn p256_pair(seed: u8) -> (p256::ecdsa::SigningKey, PublicKey) {
    let secret = p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap();
    let point: [u8; 65] = secret.verifying_key().to_sec1_bytes().as_ref().try_into().unwrap();
    (secret, PublicKey::p256(&point).unwrap())
}

#[test]
fn keys_cross_threads() {
    fn shareable<T: Send + Sync + Clone>() {}
    shareable::<PublicKey>();
}

#[test]
fn every_flipped_bit_of_a_p256_signature_is_rejected_by_both() {
    let (secret, public) = p256_pair(5);
    let signature: p256::ecdsa::Signature = secret.sign(b"message");
    let der = signature.to_der().as_bytes().to_vec();
    assert_eq!(public.verify(b"message", &der), Ok(()));
    for bit in 0..der.len() * 8 {
        let mut wrong = der.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        let verdict = public.verify(b"message", &wrong);
        assert!(
            matches!(verdict, Err(SignatureError::Invalid | SignatureError::Malformed(_))),
            "{bit}: {verdict:?}"
        );
    }
    for end in 0..der.len() {
        assert!(matches!(public.verify(b"message", &der[..end]), Err(SignatureError::Malformed(_))));
    }
}

#[test]
fn high_s_is_accepted_and_raw_form_only_where_asked() {
    let (secret, public) = p256_pair(6);
    let signature: p256::ecdsa::Signature = secret.sign(b"m");
    let (r, s) = (signature.r(), signature.s());
    let other = p256::ecdsa::Signature::from_scalars(r, -*s).unwrap();
    for signature in [signature, other] {
        assert_eq!(public.verify(b"m", signature.to_der().as_bytes()), Ok(()));
        assert_eq!(public.verify_p1363(b"m", &signature.to_bytes()), Ok(()));
        assert_eq!(public.verify_p1363(b"n", &signature.to_bytes()), Err(SignatureError::Invalid));
        assert!(matches!(public.verify(b"m", &signature.to_bytes()), Err(SignatureError::Malformed(_))));
        let der = signature.to_der();
        assert!(matches!(public.verify_p1363(b"m", der.as_bytes()), Err(SignatureError::Malformed(_))));
    }
}

#[test]
fn an_unconfirmed_rejection_is_a_disagreement() {
    let ((secret, right), (_, wrong)) = (p256_pair(1), p256_pair(2));
    let Other::P256(verifying) = &right.0.other else { panic!() };
    // A key that differs between the implementations simulates a library with a bug.
    let mismatched = PublicKey::new(Algorithm::Es256, b"", wrong.0.aws.clone(), Other::P256(*verifying));
    let signature: p256::ecdsa::Signature = secret.sign(b"m");
    let verdict = mismatched.verify(b"m", signature.to_der().as_bytes());
    assert!(matches!(verdict, Err(SignatureError::Disagreement(_))), "{verdict:?}");
    let fixed = mismatched.verify_p1363(b"m", &signature.to_bytes());
    assert!(matches!(fixed, Err(SignatureError::Disagreement(_))), "{fixed:?}");
    assert!(matches!(both(Some(1), None::<u8>, "", b""), Err(KeyError::Disagreement(_))));
}

#[test]
fn points_off_the_curve_and_other_forms_are_malformed() {
    let (_, public) = p256_pair(3);
    let mut point: [u8; 65] = public.0.aws.as_ref().try_into().unwrap();
    assert!(PublicKey::p256(&point).is_ok());
    for form in [0, 2, 3, 5, 6, 7] {
        point[0] = form;
        assert!(matches!(PublicKey::p256(&point), Err(KeyError::Malformed(_))));
    }
    point[0] = 4;
    point[64] ^= 1;
    assert_eq!(PublicKey::p256(&point), Err(KeyError::Malformed("the point is not on the curve")));
    // x = p is another encoding of zero.
    let field = decode_hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff").unwrap();
    point[1..33].copy_from_slice(&field);
    assert!(matches!(PublicKey::p256(&point), Err(KeyError::Malformed(_))));
}

/// A 2,048-bit modulus to test the rules for keys. Its factors are not needed.
fn modulus(bits: usize) -> Vec<u8> {
    let mut n = vec![0xa7; bits / 8];
    n[0] |= 0x80;
    n
}

#[test]
fn rsa_keys_must_follow_the_rules() {
    let exponent = [1, 0, 1];
    for bits in [2048, 3072, 8192] {
        assert!(PublicKey::rsa(&modulus(bits), &exponent).is_ok(), "{bits}");
    }
    for bits in [1024, 2040, 8200] {
        assert!(matches!(PublicKey::rsa(&modulus(bits), &exponent), Err(KeyError::Malformed(_))), "{bits}");
    }
    let good = modulus(2048);
    let mut short = good.clone();
    short[0] = 0x7f;
    let mut even = good.clone();
    even[255] = 2;
    for n in [short, even, [&[0], &good[..]].concat(), Vec::new()] {
        assert!(matches!(PublicKey::rsa(&n, &exponent), Err(KeyError::Malformed(_))));
    }
    let exponents: [&[u8]; 8] =
        [&[], &[0], &[1], &[2], &[0, 3], &[1, 0], &[2, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 0, 0, 0, 1]];
    for e in exponents {
        assert!(matches!(PublicKey::rsa(&good, e), Err(KeyError::Malformed(_))), "{e:?}");
    }
    for e in [&[3][..], &[1, 0xff, 0xff, 0xff, 0xff]] {
        assert!(PublicKey::rsa(&good, e).is_ok(), "{e:?}");
    }
}

#[test]
fn an_rsa_signature_has_the_length_of_the_modulus() {
    let key = PublicKey::rsa(&modulus(2048), &[1, 0, 1]).unwrap();
    assert_eq!(key.verify(b"m", &[1; 256]), Err(SignatureError::Invalid));
    assert_eq!(key.verify(b"m", &[0xff; 256]), Err(SignatureError::Invalid));
    for length in [0, 255, 257] {
        assert!(matches!(key.verify(b"m", &vec![1; length]), Err(SignatureError::Malformed(_))));
    }
    assert!(matches!(key.verify_p1363(b"m", &[1; 64]), Err(SignatureError::Malformed(_))));
}

#[test]
fn identity_depends_on_key_and_algorithm() {
    let (_, public) = p256_pair(4);
    let point = public.0.aws.as_ref();
    let head = decode_hex("3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap();
    let spki = [&head[..], point].concat();
    assert_eq!(PublicKey::from_spki(&spki).unwrap(), public);
    assert!(PublicKey::from_spki(&spki[..90]).is_err());
    assert!(PublicKey::from_spki(&[&spki[..], &[0]].concat()).is_err());
    let edwards = ed25519_dalek::SigningKey::from_bytes(&[4; 32]).verifying_key();
    let key = PublicKey::ed25519(edwards.as_bytes()).unwrap();
    let head = decode_hex("302a300506032b6570032100").unwrap();
    assert_eq!(PublicKey::from_spki(&[&head[..], edwards.as_bytes()].concat()).unwrap(), key);
    assert_ne!(key.identity(), public.identity());
    // X25519: the same structure with another OID.
    let other = decode_hex("302a300506032b656e032100").unwrap();
    let verdict = PublicKey::from_spki(&[&other[..], edwards.as_bytes()].concat());
    assert!(matches!(verdict, Err(KeyError::Unsupported(_))));
}
