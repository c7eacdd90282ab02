//! Checkpoint bodies (c2sp.org/tlog-checkpoint): origin, size and root as three lines of text.
//!
//! Parsing proves nothing. A verified checkpoint is a [`crate::core::head::Head`].

use crate::core::encoding;
use crate::core::hash::Hash;
use crate::core::limits;
use std::fmt;

/// The text of a checkpoint, parsed strictly: one text per value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckpointBody {
    /// The log's origin: the first line, not empty.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// RFC 6962 root of that many leaves.
    pub root: Hash,
    /// Further lines, none empty. The log defines their meaning.
    pub extensions: Vec<String>,
}

/// Why a text is not a checkpoint body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CheckpointError {
    /// The text does not end in a newline.
    NoFinalNewline,
    /// The first line is empty.
    NoOrigin,
    /// The origin is longer than [`limits::MAX_ORIGIN`].
    OriginTooLong,
    /// The size is missing or not a canonical decimal number.
    Size,
    /// The root is missing or not the base64 of 32 bytes.
    Root,
    /// An extension line is empty.
    EmptyExtension,
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CheckpointError::NoFinalNewline => "the last newline is missing",
            CheckpointError::NoOrigin => "no origin",
            CheckpointError::OriginTooLong => "the origin is too long",
            CheckpointError::Size => "the size is not a canonical decimal number",
            CheckpointError::Root => "the root is not the base64 of 32 bytes",
            CheckpointError::EmptyExtension => "an empty extension line",
        })
    }
}

impl std::error::Error for CheckpointError {}

impl CheckpointBody {
    /// Parses the signed text, including its final newline.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn parse(text: &str) -> Result<CheckpointBody, CheckpointError> {
        let body = text.strip_suffix('\n').ok_or(CheckpointError::NoFinalNewline)?;
        let mut lines = body.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointError::NoOrigin)?;
        if origin.len() > limits::MAX_ORIGIN {
            return Err(CheckpointError::OriginTooLong);
        }
        let size = lines.next().and_then(parse_size).ok_or(CheckpointError::Size)?;
        let root = lines
            .next()
            .and_then(encoding::decode_base64)
            .and_then(|bytes| Hash::from_slice(&bytes))
            .ok_or(CheckpointError::Root)?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(CheckpointError::EmptyExtension);
        }
        Ok(CheckpointBody { origin: origin.to_owned(), size, root, extensions })
    }

    /// The signed text.
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

/// Decimal digits without sign or leading zero: `+42` and `042` would be second encodings of 42.
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
    fn malformed_checkpoints_are_refused() {
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
