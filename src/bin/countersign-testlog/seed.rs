//! All randomness of a test log, from one text; and the real randomness of the approval service.
//!
//! Every value has its own label and number. New values therefore do not change existing ones, and entry *i* does not depend
//! on the length of the log or on the thread that makes it.

use crate::error::TestlogError;
use countersign::core::encoding::encode_hex;
use countersign::core::hash::sha256;

/// The source of every key, id and time of one log.
#[derive(Clone, Debug)]
pub struct Seed(String);

impl Seed {
    pub fn new(text: &str) -> Seed {
        Seed(text.to_owned())
    }

    /// Another seed for each label. No honest log uses it.
    pub fn other(&self, label: &str) -> Seed {
        Seed(format!("{}\0{label}", self.0))
    }

    /// 32 bytes for this label and number.
    pub fn bytes(&self, label: &str, number: u64) -> [u8; 32] {
        // The length comes first, so that no other seed, label and number give the same input.
        let input = format!("countersign-testlog\0{}\0{}\0{label}\0{number}", self.0.len(), self.0);
        sha256(input.as_bytes()).0
    }

    /// A number below `bound`, which must not be 0. The distribution is not exactly uniform, which is good enough here.
    pub fn below(&self, label: &str, number: u64, bound: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.bytes(label, number);
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) % bound
    }

    /// A UUID in the form of RFC 9562 version 4, though not random.
    pub fn uuid(&self, label: &str, number: u64) -> String {
        let bytes = self.bytes(label, number);
        let mut half = [0; 16];
        half.copy_from_slice(&bytes[..16]);
        uuid(half)
    }
}

/// A UUID in the form of RFC 9562 version 4.
pub fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = encode_hex(&bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Random bytes from the operating system, for what must differ each time that the program runs.
///
/// # Errors
/// The operating system has none.
pub fn random<const N: usize>() -> Result<[u8; N], TestlogError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "no random bytes")?;
    Ok(bytes)
}
