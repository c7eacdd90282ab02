//! Strict Ed25519 (RFC 8032 section 5.1.7, and specification section 3): S < L, canonical A and R, no small-order A or R.
//!
//! ed25519-dalek verifies first, and aws-lc-rs confirms its rejections. aws-lc-rs has no rule about small order, so a
//! rejection by that rule alone is confirmed by a table. The rejection of a key that is not a point of the curve is
//! confirmed by Euler's criterion on plain integers.

use super::error::{Disagreement, KeyError, SignatureError};
use super::opinion::disagreement;
use aws_lc_rs::signature::ParsedPublicKey;
use ed25519_dalek::{Signature, VerifyingKey};
use p256::elliptic_curve::bigint::modular::ConstMontyForm;
use p256::elliptic_curve::bigint::{U256, const_monty_params};

/// The y coordinates, little-endian, of the eight points of small order, for either sign of x: order 4 (0), 1 (1),
/// 2 (p − 1), and the two of order 8.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    [0; 32],
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// Parses a key under the strict rules. Every refusal has a second opinion.
pub(super) fn parse_key(bytes: &[u8; 32]) -> Result<VerifyingKey, KeyError> {
    let dalek = VerifyingKey::from_bytes(bytes).ok();
    let disagree =
        || KeyError::Disagreement(Disagreement::over_key("ed25519-dalek and its second opinion", bytes));
    match dalek {
        None if is_point(bytes) => Err(disagree()),
        None => Err(KeyError::Malformed("the Ed25519 key is not a point on the curve")),
        // dalek's decompression accepts y ≥ p (ZIP 215), so the rule is checked here.
        Some(_) if !is_canonical(bytes) => Err(KeyError::Weak("the Ed25519 key is not in canonical form")),
        Some(key) => match (key.is_weak(), in_table(bytes)) {
            (false, false) => Ok(key),
            (true, true) => Err(KeyError::Weak("the Ed25519 key is a point of small order")),
            _ => Err(disagree()),
        },
    }
}

/// The strict verdict of `dalek`; `aws` confirms a rejection. The key came from [`parse_key`], so A is canonical and not
/// of small order.
pub(super) fn verify(
    dalek: &VerifyingKey,
    aws: &ParsedPublicKey,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let aws_accepts = || aws.verify_sig(message, signature).is_ok();
    let disagree = || Err(disagreement("EdDSA", aws.as_ref(), message, signature));
    let Ok(bytes) = <[u8; 64]>::try_from(signature) else {
        return if aws_accepts() {
            disagree()
        } else {
            Err(SignatureError::Malformed("an Ed25519 signature has 64 bytes"))
        };
    };
    let parsed = Signature::from_bytes(&bytes);
    if dalek.verify_strict(message, &parsed).is_ok() {
        return Ok(());
    }
    if aws_accepts() && !has_small_order(parsed.r_bytes()) {
        disagree()
    } else {
        Err(SignatureError::Invalid)
    }
}

/// Whether both dalek's arithmetic and the table find a point of small order.
fn has_small_order(point: &[u8; 32]) -> bool {
    in_table(point) && VerifyingKey::from_bytes(point).is_ok_and(|point| point.is_weak())
}

fn without_sign(bytes: &[u8; 32]) -> [u8; 32] {
    let mut y = *bytes;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    y
}

fn in_table(bytes: &[u8; 32]) -> bool {
    SMALL_ORDER_Y.contains(&without_sign(bytes))
}

/// Whether y < p = 2^255 − 19: not one of the nineteen encodings `ed..ff ff … ff 7f`.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    match without_sign(bytes) {
        [low, middle @ .., 0x7f] => low < 0xed || middle.iter().any(|byte| *byte != 0xff),
        _ => true,
    }
}

const_monty_params!(
    Field,
    U256,
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed",
    "p = 2^255 − 19 (RFC 8032 section 5.1)."
);

/// A number modulo p.
type Element = ConstMontyForm<Field, { U256::LIMBS }>;

/// Whether the curve has a point with this y. x² = (y² − 1) / (d·y² + 1) is a square exactly if the product of the two is
/// (RFC 8032 section 5.1.3), which Euler's criterion decides.
// Arithmetic modulo p: nothing overflows.
#[allow(clippy::arithmetic_side_effects)]
fn is_point(bytes: &[u8; 32]) -> bool {
    let element = |number: u32| Element::new(&U256::from_u32(number));
    let p = Element::MODULUS;
    // d = −121665 / 121666, the inverse by Fermat's theorem.
    let inverse = element(121_666).pow_vartime(&p.wrapping_sub(&U256::from_u32(2)));
    let d = -element(121_665) * inverse;
    let y_squared = Element::new(&U256::from_le_slice(&without_sign(bytes))).square();
    let product = (y_squared - Element::ONE) * (d * y_squared + Element::ONE);
    let power = product.pow_vartime(&p.wrapping_sub(&U256::ONE).shr_vartime(1));
    power == Element::ONE || power == Element::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::crypto::PublicKey;
    use ed25519_dalek::{Signer, SigningKey};

    #[test]
    fn the_table_is_what_dalek_computes() {
        for y in SMALL_ORDER_Y {
            for sign in [0, 0x80] {
                let mut bytes = y;
                bytes[31] |= sign;
                assert!(has_small_order(&bytes), "{bytes:?}");
                assert!(matches!(PublicKey::ed25519(&bytes), Err(KeyError::Weak(_))));
            }
        }
    }

    #[test]
    fn eulers_criterion_agrees_with_decompression() {
        let mut points = 0;
        for i in 0..200_u8 {
            let bytes = crate::core::hash::sha256(&[i]).0;
            let dalek = VerifyingKey::from_bytes(&bytes).is_ok();
            assert_eq!(is_point(&bytes), dalek, "{i}");
            points += u32::from(dalek);
        }
        assert!((50..150).contains(&points));
    }

    #[test]
    fn the_nineteen_encodings_past_p_are_refused() {
        let mut bytes = [0xff; 32];
        for sign in [0x7f, 0xff] {
            bytes[31] = sign;
            for low in 0..=255 {
                bytes[0] = low;
                assert_eq!(is_canonical(&bytes), low < 0xed);
            }
        }
        bytes[15] = 0xfe;
        assert!(is_canonical(&bytes));
    }

    #[test]
    fn a_small_order_r_is_refused_though_aws_accepts_it() {
        // With R the neutral point and S = k·a, S·B = R + k·A holds, so only the strict rule refuses it.
        use p256::elliptic_curve::bigint::modular::ConstMontyParams as _;
        use p256::elliptic_curve::bigint::{NonZero, U512};
        use sha2::{Digest, Sha512};
        // The order of the base point (RFC 8032 section 5.1).
        const_monty_params!(Order, U256, "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed");
        type Scalar = ConstMontyForm<Order, { U256::LIMBS }>;
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = PublicKey::ed25519(key.verifying_key().as_bytes()).unwrap();
        let hash = Sha512::new().chain_update(SMALL_ORDER_Y[1]).chain_update(key.verifying_key().as_bytes());
        let k = U512::from_le_slice(&hash.chain_update(b"m").finalize());
        let order: U512 = Order::PARAMS.modulus().as_ref().resize();
        let order = NonZero::new(order).unwrap();
        let k: U256 = k.rem_vartime(&order).resize();
        // RFC 8032 section 5.1.5, step 2.
        let mut scalar = key.to_scalar_bytes();
        scalar[0] &= 0xf8;
        scalar[31] = scalar[31] & 0x7f | 0x40;
        let s = Scalar::new(&k) * Scalar::new(&U256::from_le_slice(&scalar));
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&SMALL_ORDER_Y[1]);
        signature[32..].copy_from_slice(&s.retrieve().to_le_bytes());
        let aws =
            ParsedPublicKey::new(&aws_lc_rs::signature::ED25519, key.verifying_key().as_bytes()).unwrap();
        assert!(aws.verify_sig(b"m", &signature).is_ok());
        assert_eq!(public.verify(b"m", &signature), Err(SignatureError::Invalid));
    }

    #[test]
    fn keys_that_differ_between_the_implementations_are_a_disagreement() {
        let (a, b) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let aws = ParsedPublicKey::new(&aws_lc_rs::signature::ED25519, b.verifying_key().as_bytes()).unwrap();
        let signature = b.sign(b"m").to_bytes();
        let verdict = verify(&a.verifying_key(), &aws, b"m", &signature);
        assert!(matches!(verdict, Err(SignatureError::Disagreement(_))));
        let neither = SigningKey::from_bytes(&[3; 32]).sign(b"m").to_bytes();
        assert_eq!(verify(&a.verifying_key(), &aws, b"m", &neither), Err(SignatureError::Invalid));
    }

    #[test]
    fn s_of_l_or_more_is_refused() {
        // L, little-endian (RFC 8032 section 5.1): S + L gives the same point, so only the strict rule refuses it.
        let order: [u8; 16] =
            [0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14];
        let key = SigningKey::from_bytes(&[9; 32]);
        let public = PublicKey::ed25519(key.verifying_key().as_bytes()).unwrap();
        let mut signature = key.sign(b"m").to_bytes();
        assert_eq!(public.verify(b"m", &signature), Ok(()));
        let mut carry = 0_u16;
        for (i, byte) in signature[32..].iter_mut().enumerate() {
            let sum = u16::from(*byte)
                + u16::from(*order.get(i).unwrap_or(&if i == 31 { 0x10 } else { 0 }))
                + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert_eq!(public.verify(b"m", &signature), Err(SignatureError::Invalid));
    }
}
