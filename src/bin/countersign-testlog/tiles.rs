//! Writes the files of a tiled log (C2SP tlog-tiles) as they become known.
//!
//! Memory holds one root for every 256 leaves, but no leaves. An existing file is compared and never overwritten: tiles do
//! not change, so a difference means that the directory holds another log.

use crate::error::TestlogError;
use countersign::core::hash::{Hash, LeafHash, leaf_hash};
use countersign::core::tile::TilePath;
use countersign::core::tree::CompactRange;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Hashes in a full tile, and entries in a full bundle.
const WIDTH: u64 = 256;

/// A tree whose files have been written.
pub struct Tree {
    /// The root of every perfect subtree of 256 leaves.
    full: Vec<Hash>,
    /// The leaves after the last of these subtrees.
    rest: Vec<LeafHash>,
}

impl Tree {
    /// The root.
    pub fn root(&self) -> Hash {
        let mut range = CompactRange::new(0);
        // Neither can fail: there are fewer than 2^64 leaves, and subtrees come before single leaves.
        for root in &self.full {
            range.append_subtree(8, *root).expect("a subtree is aligned");
        }
        for leaf in &self.rest {
            range.append_leaf(*leaf).expect("there is room for a leaf");
        }
        range.root()
    }
}

/// Writes the bundles and tiles of `size` entries on `workers` threads. `leaf` makes each entry.
///
/// # Errors
/// `leaf` failed, or a file could not be written or belongs to another log.
pub fn write_log(
    dir: &Path,
    size: u64,
    workers: usize,
    leaf: impl Fn(u64) -> Result<Vec<u8>, TestlogError> + Sync,
) -> Result<Tree, TestlogError> {
    let (full, rest) = (size / WIDTH, size % WIDTH);
    let roots: Vec<Mutex<Hash>> = (0..full).map(|_| Mutex::new(Hash([0; 32]))).collect();
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let work = || -> Result<(), TestlogError> {
        while !failed.load(Ordering::Relaxed) {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(slot) = usize::try_from(n).ok().and_then(|n| roots.get(n)) else { break };
            let hashes =
                write_bundle(dir, n, WIDTH, &leaf).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            *slot.lock().map_err(|_| "a thread panicked")? = fold(&hashes);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
    })?;
    let rest = if rest > 0 { write_bundle(dir, full, rest, &leaf)? } else { Vec::new() };
    let full: Vec<Hash> = roots
        .into_iter()
        .map(|root| root.into_inner().map_err(|_| "a thread panicked"))
        .collect::<Result<_, _>>()?;
    write_upper(dir, &full)?;
    Ok(Tree { full, rest })
}

/// Writes the last bundle of a log of `size` entries, which may be partial, and its tile.
///
/// # Errors
/// As [`write_log`].
pub fn write_last_bundle(
    dir: &Path,
    size: u64,
    leaf: impl Fn(u64) -> Result<Vec<u8>, TestlogError>,
) -> Result<(), TestlogError> {
    let Some(last) = size.checked_sub(1) else { return Ok(()) };
    let n = last / WIDTH;
    write_bundle(dir, n, size - n * WIDTH, leaf).map(drop)
}

/// Writes one bundle and the tile of its leaf hashes.
fn write_bundle(
    dir: &Path,
    n: u64,
    width: u64,
    leaf: impl Fn(u64) -> Result<Vec<u8>, TestlogError>,
) -> Result<Vec<LeafHash>, TestlogError> {
    let (mut bundle, mut tile, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    for index in n * WIDTH..n * WIDTH + width {
        let leaf = leaf(index)?;
        let length = u16::try_from(leaf.len()).map_err(|_| format!("entry {index} is too long"))?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(&leaf);
        let hash = leaf_hash(&leaf);
        tile.extend_from_slice(hash.0.as_bytes());
        hashes.push(hash);
    }
    let width = u16::try_from(width).map_err(|_| "a bundle is too wide")?;
    write_once(dir, TilePath::Entries { index: n, width }, &bundle)?;
    write_once(dir, TilePath::Hash { level: 0, index: n, width }, &tile)?;
    Ok(hashes)
}

/// Writes the tiles of level 1 and above, in which each hash is the root of a full tile below.
fn write_upper(dir: &Path, roots: &[Hash]) -> Result<(), TestlogError> {
    let (mut level, mut nodes) = (1, roots.to_vec());
    while !nodes.is_empty() {
        for (index, tile) in (0u64..).zip(nodes.chunks(WIDTH as usize)) {
            let bytes: Vec<u8> = tile.iter().flat_map(|hash| hash.0).collect();
            let width = u16::try_from(tile.len()).map_err(|_| "a tile is too wide")?;
            write_once(dir, TilePath::Hash { level, index, width }, &bytes)?;
        }
        let (full, _) = nodes.as_chunks::<256>();
        nodes = full.iter().map(|tile| fold(&tile.map(LeafHash))).collect();
        level += 1;
    }
    Ok(())
}

/// The root of a full tile. At higher levels its hashes are nodes, which fold in the same way.
fn fold(hashes: &[LeafHash]) -> Hash {
    let mut range = CompactRange::new(0);
    for hash in hashes {
        range.append_leaf(*hash).expect("there is room for 256 leaves");
    }
    range.root()
}

fn write_once(dir: &Path, path: TilePath, bytes: &[u8]) -> Result<(), TestlogError> {
    let path = dir.join(path.to_path());
    let fail = |error: std::io::Error| TestlogError::from(format!("{}: {error}", path.display()));
    match fs::read(&path) {
        Ok(there) if there == bytes => return Ok(()),
        Ok(_) => {
            return Err(format!(
                "{} belongs to another log: was it built with these options?",
                path.display()
            )
            .into());
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(fail(error)),
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(fail)?;
    }
    fs::write(&path, bytes).map_err(fail)
}

/// Replaces a head atomically. The tiles that it covers must have been written.
///
/// # Errors
/// The file could not be written.
pub fn replace(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), TestlogError> {
    let (path, temporary) = (dir.join(name), dir.join(format!(".{name}.new")));
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(dir)?;
        fs::File::create(&temporary)?.write_all(bytes)?;
        fs::rename(&temporary, &path)
    };
    write().map_err(|error| format!("{}: {error}", path.display()).into())
}
