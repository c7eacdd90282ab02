//! Checkpoint bodies (c2sp.org/tlog-checkpoint): origin, size and root as three lines of text.
//!
//! Parsing proves nothing; [`crate::core::head::Head`] is what a verified checkpoint becomes.

use crate::core::encoding;
use crate::core::hash::Hash;
use crate::core::limits;

/// The text of a checkpoint, parsed strictly: one text per value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckpointBody {
    /// First line: which log this is. Not empty.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// RFC 6962 root of that many leaves.
    pub root: Hash,
    /// Further lines, not empty, whose meaning is the log's own.
    pub extensions: Vec<String>,
}

impl CheckpointBody {
    /// Parses the text that is signed, its final newline included.
    pub fn parse(text: &str) -> Result<CheckpointBody, &'static str> {
        let body = text.strip_suffix('\n').ok_or("the last newline is missing")?;
        let mut lines = body.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or("no origin")?;
        if origin.len() > limits::MAX_ORIGIN {
            return Err("the origin is too long");
        }
        let size = lines.next().and_then(parse_size).ok_or("the size is not a canonical decimal number")?;
        let root = lines
            .next()
            .and_then(encoding::decode_base64)
            .and_then(|bytes| Hash::from_slice(&bytes))
            .ok_or("the root is not the base64 of 32 bytes")?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err("an empty extension line");
        }
        Ok(CheckpointBody { origin: origin.to_owned(), size, root, extensions })
    }

    /// The text that is signed.
    pub fn to_text(&self) -> String {
        let root = encoding::encode_base64(self.root.as_bytes());
        let mut text = format!("{}\n{}\n{root}\n", self.origin, self.size);
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// Decimal digits without sign or leading zero: `+42` and `042` would be further texts for 42.
fn parse_size(line: &str) -> Option<u64> {
    let canonical = !line.is_empty()
        && line.bytes().all(|b| b.is_ascii_digit())
        && (line == "0" || !line.starts_with('0'));
    if canonical { line.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "qINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=";

    #[test]
    fn parses_and_writes_the_same_text() {
        for size in ["0", "1", "42", "18446744073709551615"] {
            let text = format!("log.example/1\n{size}\n{ROOT}\nextension\n");
            assert_eq!(CheckpointBody::parse(&text).unwrap().to_text(), text);
        }
    }

    #[test]
    fn one_text_per_size() {
        for size in ["", "042", "+42", "-1", "4 2", "42 ", "0x2a", "18446744073709551616", "４２"] {
            assert!(CheckpointBody::parse(&format!("log.example/1\n{size}\n{ROOT}\n")).is_err(), "{size}");
        }
    }

    #[test]
    fn refuses_what_is_no_checkpoint() {
        for text in [
            "",
            "\n",
            "a\n1\n",
            &format!("\n1\n{ROOT}\n"),
            &format!("a\n1\n{ROOT}\n\n"),
            &format!("a\n1\n{ROOT}"),
        ] {
            assert!(CheckpointBody::parse(text).is_err(), "{text:?}");
        }
    }
}
