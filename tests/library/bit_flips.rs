//! A log that was clean, with one bit changed: never clean again, never our own fault, and always
//! the right kind of answer. All bytes of all files of two small logs; of a larger one a sample.
//!
//! A head that was changed is no signed head, so nothing follows but that finding. An entry that was
//! changed is one that no signed head commits to, so nobody is accused over what stands in it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;
use support::case::{Case, named};
use support::lab::{Answer, Files, Lab, MemoryLog, on_all_cores, read_files};

/// One changed file.
struct Change {
    file: String,
    what: String,
    bytes: Vec<u8>,
}

/// The codes that a change in this file may lead to.
fn right_answers(file: &str) -> &'static [&'static str] {
    match file {
        "checkpoint" | "sth" => &["head-malformed", "head-signature-invalid"],
        _ if file.starts_with("tile/entries/") => &["gap", "root-mismatch"],
        _ => &["tile-mismatch"],
    }
}

fn check(change: &Change, answer: &Answer) {
    let here = format!("{}: {}: {answer:?}", change.file, change.what);
    assert!(!answer.is_clean(), "clean after a change: {here}");
    assert!(answer.faults.is_empty(), "a fault of ours: {here}");
    let right = right_answers(&change.file);
    assert!(!answer.findings.is_empty(), "no finding: {here}");
    assert!(answer.findings.iter().all(|(code, _)| right.contains(&code.as_str())), "wrong code: {here}");
    assert!(answer.findings.iter().all(|(_, index)| index.is_none()), "an entry is accused: {here}");
}

/// Audits the log once for each of `count` changes.
fn try_all(case: &Case, files: &Files, count: usize, change: impl Fn(usize) -> Change + Sync) {
    let lab = Lab::new(case);
    let seen: Mutex<BTreeMap<String, usize>> = Mutex::default();
    on_all_cores(count, |thread, number| {
        let change = change(number);
        let instead = Some((change.file.as_str(), change.bytes.clone()));
        let answer = lab.workspace(thread).audit(&MemoryLog { files, instead }.source());
        check(&change, &answer);
        let kind = if change.file.starts_with("tile/") {
            change.file.rsplit_once('/').unwrap().0
        } else {
            &change.file
        };
        let answer = format!("{kind}: {}", answer.codes().join(" and "));
        *seen.lock().unwrap().entry(answer).or_default() += 1;
    });
    for (answer, times) in seen.into_inner().unwrap() {
        println!("  {times:>6}  {answer}");
    }
}

fn flipped(files: &Files, file: &str, at: usize) -> Change {
    let mut bytes = files[file].clone();
    bytes[at] ^= 1 << (at % 8);
    Change { file: file.to_owned(), what: format!("bit {} of byte {at}", at % 8), bytes }
}

fn clean_log(name: &str) -> (Case, Files) {
    let case = named(name);
    let files = read_files(&case.last_step());
    let answer = Lab::new(&case).workspace(0).audit(&MemoryLog { files: &files, instead: None }.source());
    assert!(answer.is_clean(), "{answer:?}");
    (case, files)
}

#[test]
fn one_flipped_bit_in_any_byte_is_found() {
    let started = Instant::now();
    let mut flips = 0;
    for name in ["honest-1", "accept-high-s"] {
        let (case, files) = clean_log(name);
        let places: Vec<(&String, usize)> =
            files.iter().flat_map(|(file, bytes)| (0..bytes.len()).map(move |at| (file, at))).collect();
        println!("{name}: {} bytes", places.len());
        flips += places.len();
        try_all(&case, &files, places.len(), |number| flipped(&files, places[number].0, places[number].1));
    }
    println!("{flips} flips, each audited from scratch, in {:?}", started.elapsed());
}

#[test]
fn one_flipped_bit_in_several_bundles_is_found() {
    let (case, files) = clean_log("honest-300");
    let places: Vec<(&String, usize)> = files
        .iter()
        .flat_map(|(file, bytes)| {
            let step = (bytes.len() / 24).max(1);
            (0..bytes.len()).step_by(step).map(move |at| (file, at))
        })
        .collect();
    println!("honest-300: {} flips", places.len());
    try_all(&case, &files, places.len(), |number| flipped(&files, places[number].0, places[number].1));
}

#[test]
fn truncated_and_extended_files_are_found() {
    for name in ["honest-1", "accept-high-s"] {
        let (case, files) = clean_log(name);
        let mut changes: Vec<(&String, String, usize, &[u8])> = Vec::new();
        for (file, bytes) in &files {
            let step = (bytes.len() / 400).max(1);
            for length in (0..bytes.len()).step_by(step).chain([bytes.len() - 1]) {
                changes.push((file, format!("cut to {length} bytes"), length, b""));
            }
            for more in [&b"x"[..], b"\0", b"\0\0", b"{}", b"\n\n", b"\xff\xff", &[0; 32]] {
                // White space after a JSON text is part of no value.
                if !(file == "sth" && more == b"\n\n") {
                    changes.push((file, format!("with {more:?} at its end"), bytes.len(), more));
                }
            }
        }
        println!("{name}: {} changes of length", changes.len());
        try_all(&case, &files, changes.len(), |number| {
            let (file, what, length, more) = &changes[number];
            let bytes = [&files[*file][..*length], more].concat();
            Change { file: (*file).clone(), what: what.clone(), bytes }
        });
    }
}

/// Two bundles in each other's place, and each file in the place of each other.
#[test]
fn exchanged_files_are_found() {
    let (case, files) = clean_log("honest-300");
    let names: Vec<&String> = files.keys().collect();
    let pairs: Vec<(&String, &String)> =
        names.iter().flat_map(|a| names.iter().filter(move |b| a != *b).map(move |b| (*a, *b))).collect();
    try_all(&case, &files, pairs.len(), |number| {
        let (place, other) = pairs[number];
        Change { file: place.clone(), what: format!("is {other}"), bytes: files[other].clone() }
    });
}
