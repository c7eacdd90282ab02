//! Loads the log from a directory, or makes it in memory.

use super::super::assertion::Site;
use super::super::build;
use super::super::entry::EntryGenerator;
use super::super::heads::LogSigner;
use super::super::seed::Seed;
use super::history::{History, WIDTH};
use super::signing::{HeadSigner, SignedHead};
use crate::args::ServeOptions;
use crate::error::TestlogError;
use countersign::core::checkpoint::CheckpointBody;
use countersign::core::head::{Head, LogKey};
use countersign::core::note::Note;
use countersign::core::sth::SthBody;
use countersign::core::tile::{TilePath, parse_bundle, width_at};
use std::fs;
use std::path::Path;

/// Entries in one batch, which bounds how many are in memory twice.
const BATCH: u64 = 1024;

/// A log before the first request.
pub struct Loaded {
    pub history: History,
    /// The heads of a directory, verbatim.
    pub head: Option<SignedHead>,
    /// The key and the generator of further entries, if the seed is the one of this log.
    pub signing: Option<SigningMaterial>,
    /// Another key with the log's name.
    pub other_signer: LogSigner,
}

/// What it takes to sign heads and to append entries.
#[derive(Clone)]
pub struct SigningMaterial {
    pub signer: HeadSigner,
    pub generator: EntryGenerator,
}

/// Loads or makes the log of these options. Entries that are made are signed at `site`.
///
/// # Errors
/// A file cannot be read or is malformed, or the options are not valid for a log.
pub fn load(options: &ServeOptions, site: Site) -> Result<Loaded, TestlogError> {
    let signer = build::log_signer(&options.generator)?;
    let generator = build::generator(&options.generator, site)?;
    let other_signer = LogSigner::other(&Seed::new(&options.generator.seed), &options.generator.origin);
    let vkey = LogKey::parse(&signer.vkey()).map_err(|why| why.to_string())?;
    let signing = SigningMaterial { signer: HeadSigner { signer, ahead: 0, disagrees: false }, generator };
    let Some(dir) = &options.dir else {
        let history = make(&signing.generator, options.entries, build::workers(options.generator.workers))?;
        return Ok(Loaded { history, head: None, signing: Some(signing), other_signer });
    };
    let head = read_head(dir)?;
    let known = Head::verify_checkpoint(&head.checkpoint, &vkey).is_ok();
    let history = read_history(dir, head.size)?;
    Ok(Loaded { history, head: Some(head), signing: known.then_some(signing), other_signer })
}

fn make(generator: &EntryGenerator, entries: u64, workers: usize) -> Result<History, TestlogError> {
    let mut history = History::default();
    while history.len() < entries {
        let start = history.len();
        let end = entries.min(start + BATCH);
        let step = (end - start).div_ceil(workers as u64).max(1);
        let parts: Vec<Result<Vec<Vec<u8>>, TestlogError>> = std::thread::scope(|scope| {
            let parts = (start..end).step_by(usize::try_from(step).unwrap_or(usize::MAX));
            let threads: Vec<_> = parts
                .map(|from| {
                    scope.spawn(move || {
                        (from..end.min(from + step)).map(|index| generator.leaf(index)).collect()
                    })
                })
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|_| Err("a thread panicked".into()))
            };
            threads.into_iter().map(join).collect()
        });
        for part in parts {
            for leaf in part? {
                history.push(&leaf)?;
            }
        }
    }
    Ok(history)
}

fn read(dir: &Path, name: &str) -> Result<Vec<u8>, TestlogError> {
    let path = dir.join(name);
    fs::read(&path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// The heads of a directory, unverified. Without the key they are served verbatim.
fn read_head(dir: &Path) -> Result<SignedHead, TestlogError> {
    let (checkpoint, sth) = (read(dir, "checkpoint")?, read(dir, "sth")?);
    let note = Note::parse(&checkpoint).map_err(|why| format!("{}/checkpoint: {why}", dir.display()))?;
    let body =
        CheckpointBody::parse(note.text()).map_err(|why| format!("{}/checkpoint: {why}", dir.display()))?;
    let (dated, _) = SthBody::parse(&sth).map_err(|why| format!("{}/sth: {why}", dir.display()))?;
    Ok(SignedHead { size: body.size, root: body.root, time: dated.timestamp, sth, checkpoint })
}

fn read_history(dir: &Path, size: u64) -> Result<History, TestlogError> {
    let mut history = History::default();
    while history.len() < size {
        let index = history.len() / WIDTH;
        let width = width_at(0, index, size).ok_or("the checkpoint's size is not one of a log")?;
        let partial = TilePath::Entries { index, width }.to_path();
        let full = TilePath::Entries { index, width: 256 }.to_path();
        // A log may remove a partial bundle when the full one exists.
        let (name, there) = if dir.join(&partial).exists() { (partial, width) } else { (full, 256) };
        let bytes = read(dir, &name)?;
        let leaves = parse_bundle(&bytes, there).map_err(|why| format!("{name}: {why}"))?;
        for leaf in leaves.into_iter().take(usize::from(width)) {
            history.push(leaf)?;
        }
    }
    Ok(history)
}
