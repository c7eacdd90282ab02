//! The signature algorithms, and what aws-lc-rs calls them.

use aws_lc_rs::signature::{self as aws, VerificationAlgorithm};

/// The signature algorithms of this profile: four for passkeys (specification section 9.12), and one for witnesses alone.
/// Logs and witnesses also use Ed25519.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256 (COSE −7).
    Es256,
    /// ECDSA on P-384 with SHA-384 (COSE −35).
    Es384,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (COSE −257).
    Rs256,
    /// Ed25519 (COSE −8).
    EdDsa,
    /// ML-DSA-44 (FIPS 204), for witnesses (C2SP tlog-cosignature). No passkey of this profile uses it.
    MlDsa44,
}

impl Algorithm {
    /// The name in JOSE and COSE.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::Rs256 => "RS256",
            Algorithm::EdDsa => "EdDSA",
            Algorithm::MlDsa44 => "ML-DSA-44",
        }
    }
}

/// The algorithm in aws-lc-rs.
pub(super) fn verification(algorithm: Algorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        Algorithm::Es256 => &aws::ECDSA_P256_SHA256_ASN1,
        Algorithm::Es384 => &aws::ECDSA_P384_SHA384_ASN1,
        Algorithm::Rs256 => &aws::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::EdDsa => &aws::ED25519,
        Algorithm::MlDsa44 => &aws::ML_DSA_44,
    }
}
