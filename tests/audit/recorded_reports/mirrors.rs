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
use support::log::{HEAD_TIME, honest_log, rejected_leaves, root_of};
use support::recorded::{Record, Session};

/// The formats of which there is one.
pub const FORMATS: [u32; 5] = [1, 2, 3, 4, 5];

/// Everything in the log, at last.
fn leaves() -> Vec<Vec<u8>> {
    [faulty_leaves(), rejected_leaves(40)].concat()
}

/// What the log serves: as at the last audit that made the mirrors; grown, and without an STH; and in order.
fn served(step: &str) -> Files {
    match step {
        "with another STH" => {
            let leaves = faulty_leaves();
            let (size, other) = (leaves.len(), root_of(&history(leaves.len(), 10)));
            let mut files = honest_log(&key(), &leaves);
            files.insert("sth".to_owned(), key().sth(size as u64, other, HEAD_TIME + 60_000));
            files
        }
        "grown" => {
            let mut files = honest_log(&key(), &leaves());
            files.remove("sth");
            files
        }
        _ => honest_log(&key(), &leaves()),
    }
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
    let directory = session.directory().join(step);
    write_files(&directory, &served(step));
    session.place("log", directory.display().to_string());
}

/// The reports with one mirror: on the same log, on the heads of a grown log, or on all of it with `--full`.
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
    trusting(&mut session, "with another STH", "the same log", &[]);
    command(&mut session, &["mirror", "check"]);
    trusting(&mut session, "in order", "grown", &[]);
    session.write("config.toml", "[[watch]]\nname = \"alex\"\napprover = \"alex\"\n");
    trusting(&mut session, "in order", "watched", &["--config", "{dir}/config.toml"]);
    command(&mut session, &["heads", "export"]);
    session.verify_evidence("{key}");
    session
}

fn heads_alone(mut session: Session) -> Session {
    trusting(&mut session, "grown", "grown, heads alone", &["--heads-only"]);
    trusting(&mut session, "in order", "grown, then entries", &[]);
    command(&mut session, &["mirror", "check"]);
    session
}

fn in_full(mut session: Session) -> Session {
    trusting(&mut session, "grown", "grown, in full", &["--full"]);
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
