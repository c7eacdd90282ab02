//! `build` and `grow`.

use super::args::{LogOptions, MakerOptions};
use super::assertion::Site;
use super::entry::{Maker, head_time};
use super::heads::{LogSigner, publish};
use super::ring::Ring;
use super::seed::Seed;
use super::tiles::{write_last_bundle, write_log};
use countersign::core::head::{Head, LogKey};
use std::fs;
use std::sync::Arc;

/// Makes a log in a directory that has none.
pub fn build(options: &LogOptions) -> Result<(), String> {
    if options.dir.join("checkpoint").exists() {
        return Err(format!("{}: there is a log already; see `grow`", options.dir.display()));
    }
    write(options)
}

/// Makes the log anew over what is there: entry *i* depends on the seed and *i* alone, so it is the
/// same log, longer. Tiles that are there are compared, not written; the shorter log's partial tiles
/// stay for those who still have its head.
pub fn grow(options: &LogOptions) -> Result<(), String> {
    let there = head_there(options, &log_signer(&options.maker)?)?;
    if options.entries < there.size() {
        return Err(format!("the log has {} entries already", there.size()));
    }
    // Before anything is written: a partial tile is in no later tree, so nothing else compares it.
    let maker = maker(&options.maker)?;
    write_last_bundle(&options.dir, there.size(), |index| maker.leaf(index))?;
    write(options)
}

fn head_there(options: &LogOptions, signer: &LogSigner) -> Result<Head, String> {
    let path = options.dir.join("checkpoint");
    let raw = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let key = LogKey::parse(&signer.vkey()).map_err(|why| why.to_string())?;
    Head::verify_checkpoint(&raw, &key)
        .map_err(|why| format!("{}: {why}; is it of this seed?", path.display()))
}

/// The log key of these options.
pub fn log_signer(options: &MakerOptions) -> Result<LogSigner, String> {
    let signer = LogSigner::new(&Seed::new(&options.seed), &options.origin);
    // A name with a space or a plus sign cannot be a log's: say so before the work.
    LogKey::parse(&signer.vkey()).map_err(|why| format!("--origin: {why}"))?;
    Ok(signer)
}

/// Who makes the entries of these options.
pub fn maker(options: &MakerOptions) -> Result<Maker, String> {
    let seed = Seed::new(&options.seed);
    Ok(Maker {
        ring: Arc::new(Ring::new(&seed, &options.mix, options.approvers, options.named_kty)?),
        seed,
        origin: options.origin.clone(),
        site: Site { rp_id: "approvals.example".to_owned(), origin: "https://approvals.example".to_owned() },
        rejected_percent: options.rejected_percent,
        expired_percent: options.expired_percent,
    })
}

fn write(options: &LogOptions) -> Result<(), String> {
    let signer = log_signer(&options.maker)?;
    let maker = maker(&options.maker)?;
    let size = options.entries;
    let tree = write_log(&options.dir, size, workers(options.maker.workers), |index| maker.leaf(index))?;
    publish(&options.dir, &signer, &maker.site, size, &tree, head_time(size))
}

/// Threads that sign.
pub fn workers(asked: Option<u16>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    asked.map_or_else(cores, usize::from)
}
