//! Replays every published vector below `fixtures/vectors`, by its kind, and counts what was run.
//!
//! A file is picked up because it is there; a kind that nobody handles fails, and so does a file
//! whose counts are not those that it announces, so that a vector cannot be skipped in silence.
//! The table is shown by `cargo test --test library vectors:: -- --nocapture`.

mod case;
mod jcs;
mod log_proof;
mod merkle;
mod notes;
mod receipt;
mod selfcheck;
mod signature;
mod tile_log;
mod tiles;
mod webauthn;

use case::{Case, Failure, VectorFile, Verdict};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Runs one case: `Ok` is "accepted, with the right values".
type Runner = fn(&Case<'_>) -> Verdict;

const KINDS: &[(&str, Runner)] = &[
    ("base64url", webauthn::base64url),
    ("cbor", webauthn::cbor),
    ("checkpoint-text", notes::checkpoint_text),
    ("cose-key", webauthn::cose_key),
    ("entry-bundle", tiles::entry_bundle),
    ("jcs", jcs::canonicalization),
    ("jcs-number", jcs::number),
    ("jcs-signed-receipt", receipt::signed_receipt),
    ("log-proof", log_proof::log_proof),
    ("merkle-consistency", merkle::consistency),
    ("merkle-inclusion", merkle::inclusion),
    ("merkle-root", merkle::root),
    ("signature", signature::signature),
    ("signed-note", notes::signed_note),
    ("tile-log", tile_log::tile_log),
    ("tile-path", tiles::tile_path),
    ("tile-set", tiles::tile_set),
    ("tlog-proof", log_proof::tlog_proof),
    ("verifier-key", notes::verifier_key),
    ("webauthn-assertion", webauthn::assertion),
    ("webauthn-authenticator-data", webauthn::authenticator_data),
    ("webauthn-client-data", webauthn::client_data),
];

#[derive(Default, PartialEq, Eq, Debug)]
struct Tally {
    accept: u64,
    reject: u64,
    optional: u64,
    policy: u64,
}

fn json_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            json_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
}

/// What is wrong with the answer to one case, if anything.
fn judge(case: &Case<'_>, runner: Runner) -> Result<(), String> {
    let verdict = catch_unwind(AssertUnwindSafe(|| runner(case)))
        .unwrap_or_else(|_| Err(Failure::Broken("it panicked".to_owned())));
    match (case.accept(), verdict) {
        (true, Ok(())) | (false, Err(Failure::Refused(_))) => Ok(()),
        (true, Err(Failure::Refused(_) | Failure::NoSuchField(_))) if case.may_refuse() => Ok(()),
        (false, Err(Failure::NoSuchField(_))) if case.may_refuse() => Ok(()),
        (true, Err(failure)) => Err(format!("to be accepted, but {failure}")),
        (false, Ok(())) => Err("to be refused, but it was accepted".to_owned()),
        (false, Err(failure)) => Err(format!("to be refused, but {failure}")),
    }
}

fn run_file(name: &str, file: &VectorFile, problems: &mut Vec<String>) -> Tally {
    let mut tally = Tally::default();
    let Some((_, runner)) = KINDS.iter().find(|(kind, _)| *kind == file.kind()) else {
        problems.push(format!("{name}: kind {:?} is not known", file.kind()));
        return tally;
    };
    let mut ids = std::collections::BTreeSet::new();
    for case in file.cases() {
        if !ids.insert(case.id().to_owned()) {
            problems.push(format!("{name} {}: the id stands twice", case.id()));
        }
        let count = if case.accept() { &mut tally.accept } else { &mut tally.reject };
        *count += 1;
        tally.optional += u64::from(case.is("optional"));
        tally.policy += u64::from(case.is("policy"));
        if let Err(problem) = judge(&case, *runner) {
            problems.push(format!("{name} {} ({}): {problem}", case.id(), case.why()));
        }
    }
    let announced = (file.count("accept"), file.count("reject"));
    if (tally.accept, tally.reject) != announced || announced == (0, 0) {
        problems.push(format!("{name}: ran {tally:?}, but the file announces {announced:?}"));
    }
    for field in file.fields_never_read() {
        println!("note: {name}: no case's {field:?} was looked at");
    }
    tally
}

#[test]
fn every_vector_has_the_published_answer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/vectors");
    let (mut paths, mut problems, mut total) = (Vec::new(), Vec::new(), Tally::default());
    json_files(&root, &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "no vectors below {}", root.display());
    println!("{:34} {:28} {:>7} {:>7} {:>8} {:>7}", "file", "kind", "accept", "reject", "optional", "policy");
    let row = |name: &str, kind: &str, tally: &Tally| {
        let Tally { accept, reject, optional, policy } = tally;
        println!("{name:34} {kind:28} {accept:>7} {reject:>7} {optional:>8} {policy:>7}");
    };
    for path in &paths {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        let file = VectorFile::read(path);
        let tally = run_file(&name, &file, &mut problems);
        row(&name, file.kind(), &tally);
        total.accept += tally.accept;
        total.reject += tally.reject;
        total.optional += tally.optional;
        total.policy += tally.policy;
    }
    row("total", "", &total);
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}
