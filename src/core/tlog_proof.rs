//! The text of a C2SP tlog-proof (c2sp.org/tlog-proof): index, inclusion path and checkpoint of a leaf.
//!
//! Parsing proves nothing. To check a leaf, verify the checkpoint, and then the path with the checkpoint's size and root
//! ([`crate::core::proof::verify_inclusion`]). The checkpoint is kept verbatim, because the signatures are over the received
//! bytes. Nothing authenticates `extra`.

use crate::core::encoding;
use crate::core::hash::Hash;
use crate::core::limits;
use crate::core::proof::InclusionProof;
use std::fmt;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// The beginning of a tlog-proof of any version.
pub(crate) const PREFIX: &[u8] = b"c2sp.org/tlog-proof@";

/// A parsed tlog-proof. Nothing in it is verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlogProof {
    /// Opaque data next to the proof. In a `.tlog-proof` export it is the leaf (specification section 8).
    pub extra: Option<Vec<u8>>,
    /// Index of the leaf, from 0.
    pub index: u64,
    /// The inclusion path.
    pub path: InclusionProof,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

/// Why a text is not a tlog-proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlogProofError {
    /// Longer than [`limits::MAX_TLOG_PROOF`].
    TooLong,
    /// The first line is not the expected one.
    Header,
    /// The extra data is empty or not canonical base64. Without extra data there is no such line.
    Extra,
    /// There is no index line, or it has no canonical decimal number up to 2^64 − 1.
    Index,
    /// A line of the path is not the canonical base64 of 32 bytes, or no empty line ends the path.
    Path,
    /// More hashes than a tree of 2^64 leaves has levels.
    PathTooLong,
    /// Nothing follows the empty line.
    Checkpoint,
}

impl fmt::Display for TlogProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlogProofError::TooLong => "the tlog-proof is too long",
            TlogProofError::Header => "the first line is not \"c2sp.org/tlog-proof@v1\"",
            TlogProofError::Extra => "the extra data is empty or not canonical base64",
            TlogProofError::Index => "no index line with a canonical decimal number",
            TlogProofError::Path => "a line of the inclusion path is not the base64 of 32 bytes",
            TlogProofError::PathTooLong => "the inclusion path has more than 64 hashes",
            TlogProofError::Checkpoint => "no checkpoint",
        })
    }
}

impl std::error::Error for TlogProofError {}

/// The first line and the text after its newline.
fn next_line(text: &str) -> Option<(&str, &str)> {
    text.split_once('\n')
}

fn parse_extra(line: &str) -> Result<Vec<u8>, TlogProofError> {
    encoding::decode_base64(line).filter(|extra| !extra.is_empty()).ok_or(TlogProofError::Extra)
}

/// Parses the index, which has no sign and no leading zero, so that each index has one text.
fn parse_index(line: &str) -> Option<u64> {
    let digits = line.strip_prefix("index ")?;
    let index: u64 = digits.parse().ok()?;
    (index.to_string() == digits).then_some(index)
}

impl TlogProof {
    /// Parses the text. [`TlogProof::to_text`] of the result is the same text.
    ///
    /// # Errors
    /// [`TlogProofError`].
    pub fn parse(text: &str) -> Result<TlogProof, TlogProofError> {
        if text.len() > limits::MAX_TLOG_PROOF {
            return Err(TlogProofError::TooLong);
        }
        let (header, mut rest) = next_line(text).ok_or(TlogProofError::Header)?;
        if header != HEADER {
            return Err(TlogProofError::Header);
        }
        let (mut line, behind) = next_line(rest).ok_or(TlogProofError::Index)?;
        rest = behind;
        let mut extra = None;
        if let Some(data) = line.strip_prefix("extra ") {
            extra = Some(parse_extra(data)?);
            (line, rest) = next_line(rest).ok_or(TlogProofError::Index)?;
        }
        let index = parse_index(line).ok_or(TlogProofError::Index)?;
        let (path, checkpoint) = parse_path(rest)?;
        if checkpoint.is_empty() {
            return Err(TlogProofError::Checkpoint);
        }
        Ok(TlogProof { extra, index, path, checkpoint: checkpoint.to_owned() })
    }

    /// The text. An empty `extra` is left out, because the format has no line for it.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        if let Some(extra) = self.extra.as_deref().filter(|extra| !extra.is_empty()) {
            text.push_str(&format!("extra {}\n", encoding::encode_base64(extra)));
        }
        text.push_str(&format!("index {}\n", self.index));
        for hash in &self.path.0 {
            text.push_str(&encoding::encode_base64(hash.as_bytes()));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }
}

/// The hashes up to the empty line, and the text after that line.
fn parse_path(mut rest: &str) -> Result<(InclusionProof, &str), TlogProofError> {
    let mut hashes = Vec::new();
    loop {
        let (line, behind) = next_line(rest).ok_or(TlogProofError::Path)?;
        rest = behind;
        if line.is_empty() {
            return Ok((InclusionProof(hashes), rest));
        }
        if hashes.len() >= limits::MAX_PATH {
            return Err(TlogProofError::PathTooLong);
        }
        let hash = encoding::decode_base64(line).and_then(|bytes| Hash::from_slice(&bytes));
        hashes.push(hash.ok_or(TlogProofError::Path)?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::hash::sha256;

    fn proof(hashes: usize, extra: Option<&[u8]>) -> TlogProof {
        TlogProof {
            extra: extra.map(<[u8]>::to_vec),
            index: 42,
            path: InclusionProof(vec![sha256(b"node"); hashes]),
            checkpoint: "log.example/1\n43\n…\n\n— log.example/1 …\n".to_owned(),
        }
    }

    #[test]
    fn every_part_round_trips() {
        for hashes in [0, 1, 2, 64] {
            for extra in [None, Some(&b"leaf"[..])] {
                let proof = proof(hashes, extra);
                assert_eq!(TlogProof::parse(&proof.to_text()), Ok(proof));
            }
        }
        assert_eq!(TlogProof::parse(&proof(65, None).to_text()), Err(TlogProofError::PathTooLong));
        assert_eq!(proof(1, Some(b"")).to_text(), proof(1, None).to_text());
    }

    #[test]
    fn each_proof_has_one_text() {
        let good = proof(1, Some(b"leaf")).to_text();
        let wrong = [
            ("tlog-proof@v1", "tlog-proof@v2", TlogProofError::Header),
            ("c2sp.org", " c2sp.org", TlogProofError::Header),
            ("@v1\n", "@v1\r\n", TlogProofError::Header),
            ("bGVhZg==", "", TlogProofError::Extra),
            ("bGVhZg==", "bGVhZg", TlogProofError::Extra),
            ("bGVhZg==", "bGVhZh==", TlogProofError::Extra),
            ("index 42", "index 042", TlogProofError::Index),
            ("index 42", "index +42", TlogProofError::Index),
            ("index 42", "index -0", TlogProofError::Index),
            ("index 42", "index  42", TlogProofError::Index),
            ("index 42", "index 42 ", TlogProofError::Index),
            ("index 42", "index 42\r", TlogProofError::Index),
            ("index 42", "index 18446744073709551616", TlogProofError::Index),
            ("index 42", "extra bGVhZg==\nindex 42", TlogProofError::Index),
            ("index 42\n", "index 42\nAAAA\n", TlogProofError::Path),
            ("index 42\n", "index 42\n \n", TlogProofError::Path),
            ("\n\nlog.example", "\nlog.example", TlogProofError::Path),
        ];
        for (from, to, error) in wrong {
            let text = good.replacen(from, to, 1);
            assert_ne!(text, good);
            assert_eq!(TlogProof::parse(&text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_text_cut_before_the_checkpoint_is_refused() {
        let good = proof(2, Some(b"leaf")).to_text();
        let checkpoint = good.find("log.example").unwrap();
        for cut in 0..=checkpoint {
            assert!(TlogProof::parse(&good[..cut]).is_err(), "{cut}");
        }
        let long = format!("{good}{}", "x".repeat(limits::MAX_TLOG_PROOF));
        assert_eq!(TlogProof::parse(&long), Err(TlogProofError::TooLong));
    }
}
