//! All randomness of a test log, from one text.
//!
//! Every value has a label and a number of its own, so that adding a value moves no other one, and
//! entry *i* is the same however long the log is and whichever thread makes it.

use countersign::core::hash::sha256;

/// The source of every key, id and time of one log.
#[derive(Clone, Debug)]
pub struct Seed(String);

impl Seed {
    pub fn new(text: &str) -> Seed {
        Seed(text.to_owned())
    }

    /// Another seed for every label, that of no log that is made honestly.
    pub fn other(&self, label: &str) -> Seed {
        Seed(format!("{}\0{label}", self.0))
    }

    /// 32 bytes of their own for every label and number.
    pub fn bytes(&self, label: &str, number: u64) -> [u8; 32] {
        // The length goes first: no other seed, label and number make the same input.
        let input = format!("countersign-testlog\0{}\0{}\0{label}\0{number}", self.0.len(), self.0);
        sha256(input.as_bytes()).0
    }

    /// A number below `bound`, which must not be 0. Not quite uniform, as is good enough here.
    pub fn below(&self, label: &str, number: u64, bound: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.bytes(label, number);
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) % bound
    }

    /// A UUID (RFC 9562 version 4, were it random).
    pub fn uuid(&self, label: &str, number: u64) -> String {
        let mut bytes = self.bytes(label, number);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = countersign::core::encoding::encode_hex(&bytes[..16]);
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }
}
