//! Mirrors that the program of each earlier format wrote, taken on by this one.
//!
//! Each went through the same: twenty entries; all of them, with a Merkle tile of zeros; the same in order, with an STH
//! of another history; heads that others saw, of which one contradicts the log and one waits for it to grow; and where
//! the program had them, watch rules, a peer, acknowledgements, and alerts that could not be delivered.

use super::made::{faulty_leaves, history, key};
use super::{PARTY, audit};
use std::collections::BTreeSet;
use std::io::Read as _;
use support::case::fixtures;
use support::lab::{Files, write_files};
use support::log::{HEAD_TIME, honest_log, rejected_leaves, root_of, tiles_of};
use support::recorded::{Record, Session};

/// The formats of which there is one.
pub const FORMATS: [u32; 4] = [1, 2, 3, 5];

/// Everything in the log, at last.
fn leaves() -> Vec<Vec<u8>> {
    [faulty_leaves(), rejected_leaves(40)].concat()
}

/// What the log served at the audits that made the mirrors, and then what it serves at those of today.
fn served() -> Vec<(&'static str, Files)> {
    let before = faulty_leaves();
    let size = before.len() as u64;
    let mut a_wrong_tile = honest_log(&key(), &before);
    for (name, bytes) in a_wrong_tile.iter_mut().filter(|(name, _)| name.starts_with("tile/0/")) {
        assert!(!name.is_empty());
        bytes.fill(0);
    }
    let mut another_sth = honest_log(&key(), &before);
    let other = root_of(&history(before.len(), 10));
    another_sth.insert("sth".to_owned(), key().sth(size, other, HEAD_TIME + 60_000));
    let all = leaves();
    let mut without_an_sth = tiles_of(&all);
    without_an_sth.insert("checkpoint".to_owned(), key().checkpoint(all.len() as u64, root_of(&all)));
    vec![
        ("s0", honest_log(&key(), &before[..20])),
        ("s1", a_wrong_tile),
        ("s2", another_sth),
        ("s3", without_an_sth),
        ("s4", honest_log(&key(), &all)),
    ]
}

fn opened(format: u32) -> Session {
    let mut session = Session::new(format!("format {format}"));
    session.place("key", key().vkey());
    let file = |name: &str| std::fs::read(fixtures().join("mirrors").join(name)).unwrap();
    let mut db = Vec::new();
    let packed = file(&format!("every-kind-{format}.db.gz"));
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut db).unwrap();
    session.write("mirror.db", db);
    session.write("mirror.db.mark", file(&format!("every-kind-{format}.mark")));
    session
}

fn at(session: &mut Session, step: &str) {
    let files = served().into_iter().find(|(name, _)| *name == step).unwrap().1;
    let directory = session.directory().join(step);
    write_files(&directory, &files);
    session.place("log", directory.display().to_string());
}

/// What is said of one: first asked for the same log, for the heads of one that grew, or for all of that in full.
pub fn of(format: u32) -> Vec<Record> {
    [the_same_log, heads_alone, in_full].map(|way| way(opened(format)).into_records()).concat()
}

/// Audits what the log serves at this step, with all trust.
fn trusting(session: &mut Session, step: &str, name: &str, options: &[&str]) {
    at(session, step);
    audit(session, name, &[&["--log-key", "{key}"], &PARTY[..], options].concat());
}

fn command(session: &mut Session, words: &[&str]) {
    let args = [words, &["--db", "{db}", "--log-key", "{key}", "--format", "json"]].concat();
    session.run(&words.join(" "), &args);
}

fn the_same_log(mut session: Session) -> Session {
    trusting(&mut session, "s2", "the same log", &[]);
    command(&mut session, &["mirror", "check"]);
    trusting(&mut session, "s4", "grown", &[]);
    session.write("config.toml", "[[watch]]\nname = \"alex\"\napprover = \"alex\"\n");
    trusting(&mut session, "s4", "watched", &["--config", "{dir}/config.toml"]);
    command(&mut session, &["heads", "export"]);
    session.verify_evidence("{key}");
    session
}

fn heads_alone(mut session: Session) -> Session {
    trusting(&mut session, "s3", "grown, heads alone", &["--heads-only"]);
    trusting(&mut session, "s4", "grown, then entries", &[]);
    command(&mut session, &["mirror", "check"]);
    session
}

fn in_full(mut session: Session) -> Session {
    trusting(&mut session, "s3", "grown, in full", &["--full"]);
    command(&mut session, &["mirror", "check"]);
    session
}

/// Asserts that the log is found to have done the same, whichever format remembers it: only what watch rules and peers
/// brought was not there before format 4.
pub fn agree(records: &[Record]) {
    let found = |format: u32| -> BTreeSet<String> {
        let name = format!("format {format}: grown, in full");
        let record = records.iter().find(|record| record.name() == name).unwrap();
        let report = record.report();
        let findings = report["findings"].as_array().unwrap().iter();
        let of_the_log = findings.filter(|finding| finding["code"] != "watch-list");
        let what = of_the_log.map(|f| format!("{} {} {} {}", f["code"], f["severity"], f["index"], f["id"]));
        what.collect()
    };
    let [first, others @ ..] = FORMATS;
    let expected = found(first);
    assert!(expected.len() > 50, "{expected:#?}");
    for format in others {
        assert_eq!(found(format), expected, "format {format}");
    }
}
