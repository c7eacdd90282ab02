//! The log that is served at first: from a directory, or made in memory.

use super::super::build;
use super::super::entry::Maker;
use super::super::heads::LogSigner;
use super::super::seed::Seed;
use super::history::{History, WIDTH};
use super::signing::{Pen, SignedHead};
use crate::args::ServeOptions;
use countersign::core::checkpoint::CheckpointBody;
use countersign::core::head::{Head, LogKey};
use countersign::core::note::Note;
use countersign::core::sth::SthBody;
use countersign::core::tile::{TilePath, parse_bundle, width_at};
use std::fs;
use std::path::Path;

/// Entries that are made at once, so that only so many are in memory twice.
const BATCH: u64 = 1024;

/// A log before anybody has asked for it.
pub struct Loaded {
    pub history: History,
    /// The heads of a directory, as they are.
    pub head: Option<SignedHead>,
    /// The key and the maker of further entries, where the seed is that of the log.
    pub own: Option<Own>,
    /// Another key under the log's name.
    pub other_signer: LogSigner,
}

/// What only who has the seed can do.
#[derive(Clone)]
pub struct Own {
    pub pen: Pen,
    pub maker: Maker,
}

/// The log that the options ask for.
pub fn load(options: &ServeOptions) -> Result<Loaded, String> {
    let signer = build::log_signer(&options.maker)?;
    let maker = build::maker(&options.maker)?;
    let other_signer = LogSigner::other(&Seed::new(&options.maker.seed), &options.maker.origin);
    let vkey = LogKey::parse(&signer.vkey()).map_err(|why| why.to_string())?;
    let own = Own { pen: Pen { signer, ahead: 0, disagrees: false }, maker };
    let Some(dir) = &options.dir else {
        let history = make(&own.maker, options.entries, build::workers(options.maker.workers))?;
        return Ok(Loaded { history, head: None, own: Some(own), other_signer });
    };
    let head = read_head(dir)?;
    let known = Head::verify_checkpoint(&head.checkpoint, &vkey).is_ok();
    let history = read_history(dir, head.size)?;
    Ok(Loaded { history, head: Some(head), own: known.then_some(own), other_signer })
}

fn make(maker: &Maker, entries: u64, workers: usize) -> Result<History, String> {
    let mut history = History::default();
    while history.len() < entries {
        let start = history.len();
        let end = entries.min(start + BATCH);
        let step = (end - start).div_ceil(workers as u64).max(1);
        let parts: Vec<Result<Vec<Vec<u8>>, String>> = std::thread::scope(|scope| {
            let parts = (start..end).step_by(usize::try_from(step).unwrap_or(usize::MAX));
            let threads: Vec<_> = parts
                .map(|from| {
                    scope.spawn(move || (from..end.min(from + step)).map(|index| maker.leaf(index)).collect())
                })
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|_| Err("a thread panicked".to_owned()))
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

fn read(dir: &Path, name: &str) -> Result<Vec<u8>, String> {
    let path = dir.join(name);
    fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The heads of a directory. Not verified: without the key they are served as they are.
fn read_head(dir: &Path) -> Result<SignedHead, String> {
    let (checkpoint, sth) = (read(dir, "checkpoint")?, read(dir, "sth")?);
    let note = Note::parse(&checkpoint).map_err(|why| format!("{}/checkpoint: {why}", dir.display()))?;
    let body =
        CheckpointBody::parse(note.text()).map_err(|why| format!("{}/checkpoint: {why}", dir.display()))?;
    let (dated, _) = SthBody::parse(&sth).map_err(|why| format!("{}/sth: {why}", dir.display()))?;
    Ok(SignedHead { size: body.size, root: body.root, time: dated.timestamp, sth, checkpoint })
}

fn read_history(dir: &Path, size: u64) -> Result<History, String> {
    let mut history = History::default();
    while history.len() < size {
        let index = history.len() / WIDTH;
        let width = width_at(0, index, size).ok_or("the checkpoint's size is not one of a log")?;
        let partial = TilePath::Entries { index, width }.to_path();
        let full = TilePath::Entries { index, width: 256 }.to_path();
        // A log may drop a partial bundle once the full one is there.
        let (name, there) = if dir.join(&partial).exists() { (partial, width) } else { (full, 256) };
        let bytes = read(dir, &name)?;
        let leaves = parse_bundle(&bytes, there).map_err(|why| format!("{name}: {why}"))?;
        for leaf in leaves.into_iter().take(usize::from(width)) {
            history.push(leaf)?;
        }
    }
    Ok(history)
}
