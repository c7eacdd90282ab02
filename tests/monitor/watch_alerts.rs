//! Hits of watch rules reach those whom the rule names, each once, however often `countersign monitor` is killed.

#![cfg(target_os = "linux")]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use support::cli::Auditor;
use support::monitor::{Monitor, config, hasty_log_table};
use support::served::Served;

/// The alerts of one channel, by key: the same key is the same alert.
fn alerts_in(path: &Path) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let alerts = text.lines().filter(|line| !line.is_empty());
    let alerts = alerts.map(|line| serde_json::from_str::<Value>(line).unwrap());
    alerts.map(|alert| (alert["key"].as_str().unwrap().to_owned(), alert)).collect()
}

#[test]
fn each_hit_is_notified_once_to_its_channels_across_kills() {
    let log = Served::start(&[
        "--entries",
        "300",
        "--approvers",
        "4",
        "--mix",
        "es256=1",
        "--grow",
        "30",
        "--rejected-percent",
        "30",
        "--expired-percent",
        "20",
    ]);
    let auditor = Auditor::new(log.log_key());
    let folder = auditor.directory();
    let channel = |name: &str, least: &str| {
        let to = folder.join(name).display().to_string();
        let script = format!("cat >> '{to}'; echo >> '{to}'");
        format!(
            "[[alert]]\nname = {name:?}\nseverity = {least:?}\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\n"
        )
    };
    let tables = [
        channel("pager", "invalid"),
        channel("mail", "warning"),
        "[[watch]]\nname = \"rejections\"\ndecision = \"rejected\"\nseverity = \"info\"\nchannels = [\"pager\"]\n".to_owned(),
        "[[watch]]\nname = \"expiries\"\ndecision = \"expired\"\n".to_owned(),
        hasty_log_table("main", &log.tiles_url(), &auditor.db(), log.log_key(), "init = true\n"),
    ];
    let path = config(folder, &tables.concat());
    let mut random = fastrand::Rng::with_seed(17);
    for _ in 0..10 {
        let monitor = Monitor::start(&path);
        std::thread::sleep(Duration::from_millis(random.u64(20..1100)));
        monitor.signal("KILL");
        drop(monitor);
    }
    let mut monitor = Monitor::start(&path);
    monitor.wait_audits(2);
    // It grows no more; hits in mirrored entries are notified before the next audit.
    drop(log);
    monitor.wait("unreachable");
    monitor.stop();
    for (file, decision, rule) in [("pager", "rejected", "rejections"), ("mail", "expired", "expiries")] {
        let db = rusqlite::Connection::open(auditor.db()).unwrap();
        let sql = "SELECT \"index\" FROM entries WHERE decision = ?1";
        let mut select = db.prepare(sql).unwrap();
        let expected: BTreeSet<u64> =
            select.query_map([decision], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let alerts = alerts_in(&folder.join(file));
        // The mail also gets the alert of the outage; the pager gets only the alerts of its rule.
        let hits: Vec<&Value> = alerts.values().filter(|alert| alert["code"] == "watch-list").collect();
        let count: u64 = hits.iter().map(|alert| alert["count"].as_u64().unwrap()).sum();
        assert_eq!(count, expected.len() as u64, "{file}: {hits:#?}");
        assert!(expected.len() > 60, "{expected:?}");
        let mut named: Vec<u64> = Vec::new();
        for alert in &hits {
            let items = alert["first"].as_array().unwrap();
            named.extend(items.iter().chain([*alert]).filter_map(|item| item["index"].as_u64()));
            let message = alert["message"].as_str().unwrap();
            assert!(message.contains(&format!("watch rule \"{rule}\"")), "{message}");
            assert_eq!(alert["kind"], "new");
        }
        let unique: BTreeSet<u64> = named.iter().copied().collect();
        assert_eq!(unique.len(), named.len(), "an entry was notified twice: {named:?}");
        assert!(unique.is_subset(&expected));
    }
}
