//! `build` and `grow`.

use super::args::{GeneratorOptions, LogOptions};
use super::assertion::Site;
use super::entry::{EntryGenerator, head_time};
use super::heads::{LogSigner, publish};
use super::passkeys::PasskeySet;
use super::seed::Seed;
use super::tiles::{write_last_bundle, write_log};
use crate::error::TestlogError;
use countersign::core::head::{Head, LogKey};
use std::fs;
use std::sync::Arc;

/// Makes a log in a directory without one.
pub fn build(options: &LogOptions) -> Result<(), TestlogError> {
    if options.dir.join("checkpoint").exists() {
        return Err(format!(
            "{}: there is already a log here; use `grow` to extend it",
            options.dir.display()
        )
        .into());
    }
    write(options)
}

/// Makes the log again in the same directory with more entries. Entry *i* depends only on the seed and *i*, so the new log
/// continues the old one. Existing tiles are compared, not written. The partial tiles of the shorter log are kept for
/// clients that still have its head.
pub fn grow(options: &LogOptions) -> Result<(), TestlogError> {
    let there = existing_head(options, &log_signer(&options.generator)?)?;
    if options.entries < there.size() {
        return Err(format!("the log already has {} entries", there.size()).into());
    }
    // Before anything is written: no later tree has this partial tile, so nothing else compares it.
    let generator = generator(&options.generator, example_site())?;
    write_last_bundle(&options.dir, there.size(), |index| generator.leaf(index))?;
    write(options)
}

fn existing_head(options: &LogOptions, signer: &LogSigner) -> Result<Head, TestlogError> {
    let path = options.dir.join("checkpoint");
    let raw = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let key = LogKey::parse(&signer.vkey()).map_err(|why| why.to_string())?;
    Head::verify_checkpoint(&raw, &key)
        .map_err(|why| format!("{}: {why}; was it built with this seed?", path.display()).into())
}

/// The log key of these options.
pub fn log_signer(options: &GeneratorOptions) -> Result<LogSigner, TestlogError> {
    let signer = LogSigner::new(&Seed::new(&options.seed), &options.origin);
    // A name with a space or a plus sign is not valid for a log: refuse it before the work begins.
    LogKey::parse(&signer.vkey()).map_err(|why| format!("--origin: {why}"))?;
    Ok(signer)
}

/// The site of the passkeys of every log that is not made for the approval service.
pub fn example_site() -> Site {
    Site { rp_id: "approvals.example".to_owned(), origin: "https://approvals.example".to_owned() }
}

/// The generator of entries for these options, signed at `site`.
pub fn generator(options: &GeneratorOptions, site: Site) -> Result<EntryGenerator, TestlogError> {
    let seed = Seed::new(&options.seed);
    Ok(EntryGenerator {
        passkeys: Arc::new(PasskeySet::new(&seed, &options.mix, options.approvers, options.named_kty)?),
        seed,
        origin: options.origin.clone(),
        site,
        rejected_percent: options.rejected_percent,
        expired_percent: options.expired_percent,
    })
}

fn write(options: &LogOptions) -> Result<(), TestlogError> {
    let signer = log_signer(&options.generator)?;
    let generator = generator(&options.generator, example_site())?;
    let size = options.entries;
    let tree =
        write_log(&options.dir, size, workers(options.generator.workers), |index| generator.leaf(index))?;
    publish(&options.dir, &signer, &generator.site, size, &tree, head_time(size))
}

/// The number of signing threads: as requested, or one for each core.
pub fn workers(asked: Option<u16>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    asked.map_or_else(cores, usize::from)
}
