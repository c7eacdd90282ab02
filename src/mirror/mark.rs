//! The mark beside the mirror: the state that was last acknowledged.
//!
//! A database that was restored from a backup looks intact. The mark reveals it: the mark is written after the
//! database is durable, so the database is never behind its mark unless an older one was put back. The mark cannot
//! reveal that both were put back together.

use super::side_files::{self, beside, replace, sync_directory};
use crate::core::encoding;
use crate::core::hash::sha256;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The maximum length; a longer mark was not written by this program.
const MAX: usize = 4096;

/// The content of the mark.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Which mirror it belongs to.
    pub mirror: String,
    /// Number of the transaction that was last acknowledged.
    pub generation: u64,
}

/// The result of reading a mark.
#[derive(PartialEq, Eq, Debug)]
pub enum MarkRead {
    /// There is none.
    Missing,
    /// It is not what was written.
    Damaged,
    /// It is intact.
    Mark(Mark),
}

/// `<mirror>.mark`.
pub fn path_of(mirror: &Path) -> PathBuf {
    beside(mirror, ".mark")
}

fn body(mark: &Mark) -> String {
    format!("countersign mirror mark v1\n{}\n{}\n", mark.mirror, mark.generation)
}

impl Mark {
    /// Replaces the mark as a whole, durably.
    pub fn write(&self, mirror: &Path) -> io::Result<()> {
        let body = body(self);
        let digest = encoding::encode_hex(sha256(body.as_bytes()).as_bytes());
        replace(&path_of(mirror), mirror, format!("{body}{digest}\n").as_bytes())
    }

    /// Why a mirror with this name at this transaction is not the one that was last acknowledged; `None` if it is.
    pub fn is_ahead_of(&self, mirror: &str, generation: u64) -> Option<String> {
        if self.mirror != mirror {
            return Some("the mark beside it belongs to another mirror".to_owned());
        }
        let acknowledged = self.generation;
        (acknowledged > generation)
            .then(|| format!("it is at transaction {generation}, and was acknowledged at {acknowledged}"))
    }

    /// Reads the mark of a mirror.
    pub fn read(mirror: &Path) -> io::Result<MarkRead> {
        let bytes = match side_files::read(&path_of(mirror), MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(MarkRead::Missing),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(MarkRead::Damaged),
            Err(error) => return Err(error),
        };
        let mark = std::str::from_utf8(&bytes).ok().and_then(parse);
        Ok(mark.map_or(MarkRead::Damaged, MarkRead::Mark))
    }
}

fn parse(text: &str) -> Option<Mark> {
    let mut lines = text.lines().skip(1);
    let mark = Mark { mirror: lines.next()?.to_owned(), generation: lines.next()?.parse().ok()? };
    let body = body(&mark);
    let digest = encoding::encode_hex(sha256(body.as_bytes()).as_bytes());
    (text == format!("{body}{digest}\n")).then_some(mark)
}

/// Removes the mark of a mirror; `true` where there was one.
pub fn remove(mirror: &Path) -> io::Result<bool> {
    match fs::remove_file(path_of(mirror)) {
        Ok(()) => sync_directory(mirror).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_mark_is_never_another_mark() {
        let directory = tempfile::tempdir().unwrap();
        let mirror = directory.path().join("m.db");
        assert_eq!(Mark::read(&mirror).unwrap(), MarkRead::Missing);
        let mark = Mark { mirror: "00ff".to_owned(), generation: 41 };
        mark.write(&mirror).unwrap();
        assert_eq!(Mark::read(&mirror).unwrap(), MarkRead::Mark(mark));
        let path = path_of(&mirror);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert_eq!(Mark::read(&mirror).unwrap(), MarkRead::Damaged, "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(Mark::read(&mirror).unwrap(), MarkRead::Damaged, "cut at {at}");
        }
    }
}
