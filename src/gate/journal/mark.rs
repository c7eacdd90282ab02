//! The mark beside the journal: the transaction that was last acknowledged.
//!
//! A journal that was restored from a backup looks intact, and has forgotten which approvals were used since. The mark
//! reveals it, as that of a mirror does: it is written after the database is durable, so the database is never behind
//! its mark unless an older one was put back. It cannot reveal that both were put back together.
//!
//! A mark that is replaced by renaming costs three syncs, and a gate waits for each. This one has two slots of fixed
//! length, which are written in turn, in place, with one sync. A crash can tear the slot that was being written; the
//! other one is then intact, and the database is ahead of it, because it was durable before. A torn slot beside a
//! database that is *not* ahead of the intact one was not left by a crash.

use crate::core::encoding::encode_hex;
use crate::core::hash::sha256;
use crate::mirror::{beside, open_plain, replace};
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// The length of a slot: a page of the file system and a sector of the disk, so that a torn write of one slot leaves the
/// other one as it was.
const SLOT: usize = 4096;

/// Where the first slot begins, and the second one.
const STARTS: [u64; 2] = [0, SLOT as u64];

/// The length of a mark.
const LENGTH: usize = 2 * SLOT;

/// One byte more, at which reading ends.
const TOO_LONG: u64 = LENGTH as u64 + 1;

/// What a slot holds.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Slot {
    /// Which journal it belongs to.
    journal: String,
    /// Number of the transaction that was acknowledged.
    generation: u64,
}

impl Slot {
    /// The bytes: text with its digest, filled up with line feeds.
    fn encode(&self) -> Vec<u8> {
        let body = format!("countersign journal mark v1\n{}\n{}\n", self.journal, self.generation);
        let digest = encode_hex(sha256(body.as_bytes()).as_bytes());
        let mut bytes = format!("{body}{digest}\n").into_bytes();
        bytes.resize(SLOT, b'\n');
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Slot> {
        let mut lines = std::str::from_utf8(bytes).ok()?.lines().skip(1);
        let slot = Slot { journal: lines.next()?.to_owned(), generation: lines.next()?.parse().ok()? };
        (slot.encode() == bytes).then_some(slot)
    }
}

/// The mark of a journal, open to be written.
pub(super) struct Mark {
    file: File,
    newest: Slot,
    /// Where the slot begins that is written next, and the other one.
    starts: [u64; 2],
    is_torn: bool,
}

/// The result of reading a mark.
pub(super) enum MarkRead {
    /// There is none.
    Missing,
    /// No slot is what was written.
    Damaged,
    /// At least one slot is intact.
    Mark(Mark),
}

/// `<journal>.mark`.
pub(super) fn path_of(journal: &Path) -> PathBuf {
    beside(journal, ".mark")
}

/// Creates the mark of a new journal, or replaces one of which nothing was acknowledged, durably.
pub(super) fn create(path: &Path, journal: &str) -> io::Result<()> {
    let slot = Slot { journal: journal.to_owned(), generation: 0 }.encode();
    replace(&path_of(path), path, &slot.repeat(2))
}

/// Opens and reads the mark of the journal at a path.
pub(super) fn read(path: &Path) -> io::Result<MarkRead> {
    let mut file = match open_plain(&path_of(path), File::options().read(true).write(true)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(MarkRead::Missing),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::with_capacity(LENGTH);
    (&mut file).take(TOO_LONG).read_to_end(&mut bytes)?;
    let (first, second) = match bytes.split_at_checked(SLOT) {
        // A slot is written in place, so no crash changes the length.
        Some((first, second)) if second.len() == SLOT => (Slot::parse(first), Slot::parse(second)),
        _ => return Ok(MarkRead::Damaged),
    };
    let is_torn = first.is_none() || second.is_none();
    let [at_first, at_second] = STARTS;
    let (newest, starts) = match (first, second) {
        (Some(first), Some(second)) if first.journal != second.journal => return Ok(MarkRead::Damaged),
        (Some(first), Some(second)) if second.generation > first.generation => (second, STARTS),
        (Some(first), _) => (first, [at_second, at_first]),
        (None, Some(second)) => (second, STARTS),
        (None, None) => return Ok(MarkRead::Damaged),
    };
    Ok(MarkRead::Mark(Mark { file, newest, starts, is_torn }))
}

impl Mark {
    /// The transaction that was last acknowledged.
    pub(super) fn generation(&self) -> u64 {
        self.newest.generation
    }

    /// Why a journal with this name at this transaction is not the one that was last acknowledged; `None` if it is.
    pub(super) fn contradicts(&self, journal: &str, generation: u64) -> Option<String> {
        let acknowledged = self.newest.generation;
        if self.newest.journal != journal {
            return Some("the mark beside it belongs to another journal".to_owned());
        }
        if acknowledged > generation {
            return Some(format!(
                "it is at transaction {generation}, and was acknowledged at {acknowledged}"
            ));
        }
        (self.is_torn && acknowledged == generation).then(|| {
            format!("half of its \".mark\" file is damaged, and may have said that it is past transaction {generation}")
        })
    }

    /// Acknowledges a transaction of the same journal, durably.
    pub(super) fn acknowledge(&mut self, generation: u64) -> io::Result<()> {
        let slot = Slot { generation, ..self.newest.clone() };
        let [next, other] = self.starts;
        self.file.seek(SeekFrom::Start(next))?;
        self.file.write_all(&slot.encode())?;
        self.file.sync_data()?;
        self.newest = slot;
        self.starts = [other, next];
        self.is_torn = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read_at(path: &Path) -> Option<Mark> {
        match read(path).unwrap() {
            MarkRead::Mark(mark) => Some(mark),
            _ => None,
        }
    }

    #[test]
    fn a_mark_is_whole_or_one_behind_and_seen_or_damaged_and_never_another_mark() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("j.db");
        assert!(matches!(read(&journal).unwrap(), MarkRead::Missing));
        create(&journal, "00ff").unwrap();
        for generation in 1..=3 {
            let mut mark = read_at(&journal).unwrap();
            assert_eq!(mark.generation(), generation - 1);
            mark.acknowledge(generation).unwrap();
        }
        let whole = fs::read(path_of(&journal)).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(path_of(&journal), &bytes).unwrap();
            let mark = read_at(&journal).expect("one slot is left");
            assert!([2, 3].contains(&mark.generation()), "byte {at}");
            // Neither of them passes for an older copy of the journal.
            assert!(mark.contradicts("00ff", 2).is_some(), "byte {at}");
            assert_eq!(mark.contradicts("00ff", 4), None, "byte {at}");
            assert!(mark.contradicts("00fe", 4).is_some(), "byte {at}");
            fs::write(path_of(&journal), &whole[..at]).unwrap();
            assert!(matches!(read(&journal).unwrap(), MarkRead::Damaged), "cut at {at}");
        }
        fs::write(path_of(&journal), [&whole[..], b"\n"].concat()).unwrap();
        assert!(matches!(read(&journal).unwrap(), MarkRead::Damaged));
    }

    /// The slot that a crash tore is the one that is written next, so that one is always intact.
    #[test]
    fn a_torn_slot_is_healed_by_the_next_acknowledgement() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("j.db");
        create(&journal, "00ff").unwrap();
        read_at(&journal).unwrap().acknowledge(1).unwrap();
        let whole = fs::read(path_of(&journal)).unwrap();
        for torn in [0, SLOT] {
            let mut bytes = whole.clone();
            bytes[torn + 30] ^= 1;
            fs::write(path_of(&journal), &bytes).unwrap();
            let mut mark = read_at(&journal).unwrap();
            mark.acknowledge(7).unwrap();
            let mark = read_at(&journal).unwrap();
            assert_eq!((mark.generation(), mark.is_torn), (7, false));
            assert!(mark.contradicts("00ff", 6).is_some());
            assert_eq!(mark.contradicts("00ff", 7), None);
        }
    }

    #[test]
    fn slots_of_two_journals_are_no_mark() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("j.db");
        let slot = |journal: &str| Slot { journal: journal.to_owned(), generation: 1 }.encode();
        fs::write(path_of(&journal), [slot("00ff"), slot("00fe")].concat()).unwrap();
        assert!(matches!(read(&journal).unwrap(), MarkRead::Damaged));
    }
}
