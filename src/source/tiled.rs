//! A tiled log (specification section 4, C2SP tlog-tiles) over any [`Fetcher`].
//!
//! This module knows the paths, the limits, and which files a log may drop. Sockets and disks are behind
//! [`Fetcher`]. It does not check content; the caller, who rebuilds the roots, does.

use super::{FetchError, Lag, Leaves, LogApi, LogSource, ServedHead};
use crate::core::api::path::is_segment;
use crate::core::entry::is_id;
use crate::core::hash::HASH_LEN;
use crate::core::limits::{MAX_BUNDLE, MAX_CHECKPOINT, MAX_REVEAL, MAX_STH, MAX_TILE, TILE_WIDTH};
use crate::core::tile::{BundleError, TilePath, parse_bundle};

/// A request for a file.
#[derive(Clone, Debug)]
pub struct FileRequest<'a> {
    /// Paths below the log's prefix, in order of preference. The first that exists is fetched.
    pub paths: &'a [String],
    /// The most bytes that the file may have.
    pub limit: usize,
    /// Whether its absence would be held against the log. If so, it is looked for several times.
    pub required: bool,
}

/// A fetched file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchedFile {
    /// The index of its path in [`FileRequest::paths`].
    pub place: usize,
    /// All its bytes, verbatim.
    pub bytes: Vec<u8>,
}

/// The transport of a log: fetches files.
pub trait Fetcher: Send + Sync {
    /// See [`LogSource::location`].
    fn location(&self) -> String;

    /// See [`LogSource::parallelism`].
    fn parallelism(&self) -> usize;

    /// See [`LogSource::lag`].
    fn lag(&self) -> Lag {
        Lag::None
    }

    /// Fetches the first of the requested paths that exists, in bounded time and memory.
    ///
    /// # Errors
    /// [`FetchError`]: none exists, or it could not be fetched.
    fn fetch(&self, wanted: &FileRequest<'_>) -> Result<FetchedFile, FetchError>;

    /// See [`LogSource::resource_exhaustion`].
    fn resource_exhaustion(&self) -> Option<String> {
        None
    }

    /// See [`LogSource::settle`].
    ///
    /// # Errors
    /// The run was told to stop.
    fn settle(&self) -> Result<(), FetchError> {
        Ok(())
    }

    /// See [`LogSource::confirm`].
    ///
    /// # Errors
    /// The absence may not be held against the log.
    fn confirm(&self) -> Result<(), FetchError> {
        Ok(())
    }

    /// See [`LogSource::start_run`].
    fn start_run(&self, _forgiving: bool) {}

    /// See [`LogSource::tolerated_change`].
    fn tolerated_change(&self) -> bool {
        false
    }
}

/// A [`LogSource`] over a [`Fetcher`].
#[derive(Debug)]
pub struct Tiled<F> {
    fetcher: F,
}

impl<F: Fetcher> Tiled<F> {
    /// The tiled log whose files `fetcher` fetches.
    pub fn new(fetcher: F) -> Tiled<F> {
        Tiled { fetcher }
    }

    fn file(&self, path: &str, limit: usize, required: bool) -> Result<Vec<u8>, FetchError> {
        let wanted = FileRequest { paths: &[path.to_owned()], limit, required };
        self.fetcher.fetch(&wanted).map(|found| found.bytes)
    }

    /// The file `checkpoint`.
    ///
    /// # Errors
    /// [`FetchError`]: it was not served.
    pub fn checkpoint(&self) -> Result<Vec<u8>, FetchError> {
        self.file("checkpoint", MAX_CHECKPOINT, true)
    }

    /// Fetches an optional file.
    fn optional(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, FetchError> {
        match self.file(path, limit, false) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(FetchError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file `sth`, which is optional.
    ///
    /// # Errors
    /// [`FetchError`], other than that it does not exist.
    pub fn sth(&self) -> Result<Option<Vec<u8>>, FetchError> {
        self.optional("sth", MAX_STH)
    }

    /// Entry bundle `n`. A full bundle is cut to `width` entries. Each entry is a 16-bit big-endian length and
    /// the leaf, verbatim. The content is not checked: it may hold fewer entries, more, or junk.
    ///
    /// # Errors
    /// [`FetchError`]: it was not served, or no bundle has this width.
    pub fn bundle(&self, n: u64, width: u16) -> Result<Vec<u8>, FetchError> {
        self.part(|width| TilePath::Entries { index: n, width }, width, MAX_BUNDLE, cut_bundle)
    }

    /// Fetches the partial file, or else the full one cut to `width` by `cut`: a log may drop partial tiles
    /// once the full one exists (C2SP tlog-tiles, "Partial Tiles").
    fn part(
        &self,
        path: impl Fn(u16) -> TilePath,
        width: u16,
        limit: usize,
        cut: fn(Vec<u8>, u16) -> Vec<u8>,
    ) -> Result<Vec<u8>, FetchError> {
        let full = path(TILE_WIDTH).to_path();
        let paths = match width {
            TILE_WIDTH => vec![full],
            1..TILE_WIDTH => vec![path(width).to_path(), full],
            _ => return Err(FetchError::refused(&full, "no tile is that wide: a bug, please report it")),
        };
        let found = self.fetcher.fetch(&FileRequest { paths: &paths, limit, required: true })?;
        Ok(if found.place == 0 { found.bytes } else { cut(found.bytes, width) })
    }
}

impl<F: Fetcher> LogSource for Tiled<F> {
    fn location(&self) -> String {
        self.fetcher.location()
    }

    fn head(&self) -> ServedHead {
        ServedHead { checkpoint: self.checkpoint(), sth: self.sth() }
    }

    fn leaves(&self, n: u64, width: u16) -> Result<Leaves, FetchError> {
        let bytes = self.bundle(n, width)?;
        let path = TilePath::Entries { index: n, width }.to_path();
        match parse_bundle(&bytes, width) {
            Ok(leaves) => Ok(leaves.into_iter().map(<[u8]>::to_vec).collect()),
            Err(error @ BundleError::Truncated { .. }) => Err(FetchError::lacking(&path, &error.to_string())),
            Err(error) => Err(FetchError::excess(&path, &error.to_string())),
        }
    }

    fn tile(&self, level: u8, n: u64, width: u16) -> Result<Vec<u8>, FetchError> {
        self.part(|width| TilePath::Hash { level, index: n, width }, width, MAX_TILE, cut_tile)
    }

    fn reveal(&self, id: &str) -> Result<Option<Vec<u8>>, FetchError> {
        // A log may use a path out of its own folder as an id.
        if !is_id(id) || !is_segment(id) {
            return Ok(None);
        }
        self.optional(&format!("reveal/{id}"), MAX_REVEAL)
    }

    fn settle(&self) -> Result<(), FetchError> {
        self.fetcher.settle()
    }

    fn confirm(&self) -> Result<(), FetchError> {
        self.fetcher.confirm()
    }

    fn start_run(&self, tolerate_changes: bool) {
        self.fetcher.start_run(tolerate_changes);
    }

    fn tolerated_change(&self) -> bool {
        self.fetcher.tolerated_change()
    }

    fn lag(&self) -> Lag {
        self.fetcher.lag()
    }

    fn resource_exhaustion(&self) -> Option<String> {
        self.fetcher.resource_exhaustion()
    }

    fn has_tiles(&self) -> bool {
        true
    }

    fn api(&self) -> Option<&dyn LogApi> {
        None
    }

    fn parallelism(&self) -> usize {
        self.fetcher.parallelism().max(1)
    }
}

/// Keeps the first `width` hashes. A shorter tile stays as it is, for the caller to judge. The product cannot
/// saturate: `width` has 16 bits.
fn cut_tile(mut bytes: Vec<u8>, width: u16) -> Vec<u8> {
    bytes.truncate(usize::from(width).saturating_mul(HASH_LEN));
    bytes
}

/// Keeps the first `width` entries, found by their length prefixes. A shorter bundle stays as it is, for the
/// caller to judge.
fn cut_bundle(mut bytes: Vec<u8>, width: u16) -> Vec<u8> {
    let mut end = 0;
    for _ in 0..width {
        match entry_end(&bytes, end) {
            Some(next) => end = next,
            None => return bytes,
        }
    }
    bytes.truncate(end);
    bytes
}

/// Where the entry that starts at `start` ends, if it is complete.
fn entry_end(bytes: &[u8], start: usize) -> Option<usize> {
    let prefix = bytes.get(start..)?.first_chunk::<2>()?;
    let end = start.checked_add(2)?.checked_add(usize::from(u16::from_be_bytes(*prefix)))?;
    (end <= bytes.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::sync::Mutex;

    /// Files in memory. Records the requested paths.
    #[derive(Default)]
    struct Memory {
        files: HashMap<String, Vec<u8>>,
        asked: Mutex<Vec<String>>,
    }

    impl Fetcher for Memory {
        fn location(&self) -> String {
            "memory".to_owned()
        }

        fn parallelism(&self) -> usize {
            0
        }

        fn fetch(&self, wanted: &FileRequest<'_>) -> Result<FetchedFile, FetchError> {
            self.asked.lock().unwrap().extend_from_slice(wanted.paths);
            let found = wanted.paths.iter().enumerate().find_map(|(place, path)| {
                self.files.get(path).map(|bytes| FetchedFile { place, bytes: bytes.clone() })
            });
            found.ok_or_else(|| FetchError::not_found("memory"))
        }
    }

    fn log(files: &[(&str, &[u8])]) -> Tiled<Memory> {
        let files = files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect();
        Tiled::new(Memory { files, ..Memory::default() })
    }

    #[test]
    fn the_partial_tile_is_requested_before_the_full_one() {
        let log = log(&[]);
        assert!(matches!(log.bundle(1234, 44), Err(FetchError::NotFound { .. })));
        assert!(log.tile(2, 0, 256).is_err());
        let asked = log.fetcher.asked.lock().unwrap().clone();
        assert_eq!(asked, ["tile/entries/x001/234.p/44", "tile/entries/x001/234", "tile/2/000"]);
    }

    #[test]
    fn invalid_widths_are_refused() {
        for width in [0, 257, u16::MAX] {
            assert!(matches!(log(&[]).bundle(0, width), Err(FetchError::Refused { .. })));
        }
    }

    #[test]
    fn only_full_bundles_are_cut() {
        let full = b"\0\x01a\0\0\0\x02bc\0\x01d";
        let log = log(&[("tile/entries/000", full), ("tile/entries/001.p/1", full)]);
        for (width, end) in [(1, 3), (2, 5), (3, 9), (4, 12)] {
            assert_eq!(log.bundle(0, width).unwrap(), &full[..end]);
        }
        assert_eq!(log.bundle(1, 1).unwrap(), full, "what was served under its own name is verbatim");
    }

    #[test]
    fn a_short_bundle_is_not_cut() {
        for bytes in [&b""[..], b"\0", b"\0\x01", b"\0\x01a\0", b"\0\x01a\xff\xffb"] {
            assert_eq!(cut_bundle(bytes.to_vec(), 2), bytes);
        }
    }

    #[test]
    fn tiles_are_cut_by_hashes() {
        let full = vec![7; 256 * 32];
        let log = log(&[("tile/0/000", &full), ("tile/0/001", &full[..33])]);
        assert_eq!(log.tile(0, 0, 3).unwrap().len(), 96);
        assert_eq!(log.tile(0, 1, 3).unwrap().len(), 33);
        assert_eq!(log.tile(0, 0, 256).unwrap(), full);
    }

    #[test]
    fn reveals_are_requested_for_valid_ids_only() {
        let log = log(&[("reveal/a-1", b"{}"), ("reveal/..", b"no"), ("reveal/../checkpoint", b"no")]);
        assert_eq!(log.reveal("a-1"), Ok(Some(b"{}".to_vec())));
        for id in ["a-2", ".", "..", "../checkpoint", "", "a/b", "a\u{2f}b", "%2e%2e", &"a".repeat(65)] {
            assert_eq!(log.reveal(id), Ok(None), "{id}");
        }
        assert_eq!(log.fetcher.asked.lock().unwrap().as_slice(), ["reveal/a-1", "reveal/a-2"]);
    }

    #[test]
    fn only_the_sth_is_optional() {
        assert_eq!(log(&[]).sth(), Ok(None));
        assert!(matches!(log(&[]).checkpoint(), Err(FetchError::NotFound { .. })));
        assert_eq!(log(&[("sth", b"{}")]).sth(), Ok(Some(b"{}".to_vec())));
        assert_eq!(log(&[]).parallelism(), 1);
    }
}
