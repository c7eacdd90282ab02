//! One log read in three ways: from a directory, as HTTP tiles, and behind the JSON API. The mirrors
//! hold the same bytes, and the reports say the same, but for the source and for what only one kind of
//! source can be asked for.

use rusqlite::types::Value as Sql;
use serde_json::Value;
use std::collections::BTreeMap;
use support::case::{all, fixtures};
use support::cli::{Auditor, lasting};
use support::served::Served;

/// Checks of what only one kind of source serves.
const OF_ONE_KIND: [&str; 4] = ["tiles", "served-proofs", "head-list", "verification-bundles"];

/// Every row of the mirror but for when things were seen, and the mirror's own random name.
fn contents(auditor: &Auditor) -> BTreeMap<&'static str, Vec<Vec<Sql>>> {
    let db = rusqlite::Connection::open_with_flags(auditor.db(), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
    let db = db.unwrap();
    let select = |columns: &str, table: &str| {
        let mut rows = db.prepare(&format!("SELECT {columns} FROM {table} ORDER BY 1, 2")).unwrap();
        let count = rows.column_count();
        let rows = rows.query_map([], |row| (0..count).map(|column| row.get(column)).collect()).unwrap();
        rows.map(Result::unwrap).collect::<Vec<Vec<Sql>>>()
    };
    BTreeMap::from([
        ("leaves", select("*", "leaves")),
        ("nodes", select("*", "nodes")),
        ("entry_columns", select("*", "entry_columns")),
        ("seen", seen(&select("id, data", "seen_rows"))),
        ("keys", select("*", "keys")),
        ("approver_keys", select("*", "approver_keys")),
        ("heads", select("statement, format, size, root, time, raw, status", "heads")),
        ("findings", select("key, code, severity, idx, entry_id, subject, message", "findings")),
    ])
}

/// The values that were seen, whatever the batches that they came in: 24 bytes each, in the rows that are no header
/// (the last of a run) and no fence (the last of 128).
fn seen(rows: &[Vec<Sql>]) -> Vec<Vec<Sql>> {
    let mut values = Vec::new();
    for row in rows {
        let [Sql::Integer(id), Sql::Blob(data)] = row.as_slice() else { panic!("{row:?}") };
        if id % 128 != 127 {
            values.extend(data.chunks(24).map(<[u8]>::to_vec));
        }
    }
    values.sort();
    values.into_iter().map(|value| vec![Sql::Blob(value)]).collect()
}

/// The report without what may differ, which is checked to be only what may.
fn comparable(report: &Value) -> Value {
    let mut report = lasting(report);
    let checks = report["checks"].as_object_mut().unwrap();
    for name in OF_ONE_KIND {
        assert!(checks.remove(name).is_some(), "{name}");
    }
    report
}

fn result<'a>(report: &'a Value, check: &str) -> &'a str {
    report["checks"][check]["result"].as_str().unwrap()
}

#[test]
fn all_sources_give_the_same_demo_log() {
    let demo = fixtures().join("demo");
    let server = Served::start(&[
        "--dir",
        demo.to_str().unwrap(),
        "--seed",
        "countersign demo",
        "--origin",
        "log.approvals.example/demo",
    ]);
    let places = [demo.display().to_string(), server.tiles_url(), server.api_url()];
    let audits = places.map(|place| {
        let auditor = Auditor::new(server.log_key());
        let outcome = auditor.init(&place);
        assert_eq!(outcome.exit, 0, "{outcome:#?}");
        let report = outcome.report();
        assert!(report["log"]["source"].as_str().unwrap().starts_with(&place), "{report:#}");
        (contents(&auditor), report)
    });
    let [(directory, by_directory), (tiles, by_tiles), (api, by_api)] = &audits;
    assert_eq!(directory["leaves"].len(), 800);
    assert!(directory["nodes"].len() >= 3 && directory["heads"].len() == 2);
    assert!(directory["seen"].len() > 2 * 800 && directory["seen"][0] != directory["seen"][1]);
    for (table, rows) in directory {
        assert!(rows == &tiles[table] && rows == &api[table], "{table} differs");
    }
    assert_eq!(comparable(by_directory), comparable(by_tiles));
    assert_eq!(comparable(by_directory), comparable(by_api));
    // What only one kind of source has is said to be not checked with the other.
    for (name, with_tiles, with_api) in [
        ("tiles", "passed", "not-checked"),
        ("served-proofs", "not-checked", "passed"),
        ("head-list", "not-checked", "passed"),
        ("verification-bundles", "not-checked", "passed"),
    ] {
        assert_eq!((result(by_directory, name), result(by_api, name)), (with_tiles, with_api), "{name}");
    }
}

/// The logs with known answers have the same entries findings behind the API.
#[test]
fn known_logs_have_their_recorded_findings_over_the_api() {
    let mut counted = 0;
    for case in all() {
        // A log over the API has the heads of one moment; what changes between audits is in `lies`.
        if case.steps().len() > 1 || case.name == "served-bundle-missing" {
            continue;
        }
        let server = Served::start(&["--dir", case.last_step().to_str().unwrap()]);
        let mut auditor = Auditor::new(&case.log_key);
        auditor.trust = case.auditor().trust;
        let report = auditor.init(server.api_url()).report();
        case.check(&report);
        counted += 1;
    }
    assert!(counted >= 9, "only {counted} logs");
}
