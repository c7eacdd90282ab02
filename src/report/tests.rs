//! Both renderings of one value, compared with files that a person has reviewed.
//!
//! After a deliberate change: `COUNTERSIGN_WRITE_SNAPSHOTS=1 cargo test --lib report`, then review the difference.

use super::*;
use crate::audit::finding::Finding;
use crate::audit::peer::PeerResult;
use crate::audit::subject::Subject;
use crate::audit::tally::Tally;
use crate::core::check::Check;
use crate::core::finding::Code;
use crate::core::time::UnixMillis;
use std::path::Path;
use std::time::Duration;

const VERBOSE: Style = Style { colour: false, verbose: true };

fn at(text: &str) -> UnixMillis {
    UnixMillis::from_shown(text).unwrap()
}

fn found(finding: Finding, ended: Option<&str>) -> ReportedFinding {
    let first_seen = at("2026-11-22T02:00:00.000Z");
    ReportedFinding { finding, first_seen, ended: ended.map(at), acknowledged: None }
}

/// A report that contains everything that a report can contain.
fn everything() -> Input {
    let mut fork =
        Finding::of_log(Code::SameSizeFork, Subject::Whole, "the log key signed two trees of size 300");
    fork.evidence = Some("/var/lib/misbehaviour-same-size-fork-00.json".to_owned());
    let mut findings = vec![found(fork, None)];
    for index in 7..20 {
        let id = format!("id-{index}\u{1b}[31m\u{202e}");
        findings
            .push(found(Finding::of_entry(Code::UserNotVerified, index, Some(&id), "UV is not set"), None));
    }
    findings.push(found(Finding::of_entry(Code::CredentialNew, 30, None, "a further passkey"), None));
    let gap =
        Finding::of_log(Code::Gap, Subject::decode("tile/0/000"), "the Merkle tile tile/0/000 is not served");
    let mut tally = Tally::default();
    for check in [
        Check::HeadSignature,
        Check::HeadAgainstHeads,
        Check::HeadAgainstTree,
        Check::HeadRollback,
        Check::Root,
    ] {
        tally.add(check, 2, 0, 0);
    }
    for check in [Check::LeafForm, Check::EntryOrigin, Check::EntryTimes, Check::UniqueId] {
        tally.add(check, 300, 0, 0);
    }
    tally.add(Check::UserVerified, 271, 13, 0);
    tally.add(Check::Signature, 284, 0, 0);
    Input {
        command: "audit",
        log: LogPart {
            origin: "log.example/\u{7}2026".to_owned(),
            source: "https://host.example/log".to_owned(),
            has_api: false,
            tree_size: Some(300),
            root_hash: Some("00".repeat(32)),
            head_time: Some(UnixMillis::new(1_782_000_045_000)),
        },
        entries: EntryCounts { total: 300, new: 12, approved: 284, rejected: 8, expired: 8, invalid: 13 },
        heads: (4, 2),
        tally,
        findings,
        ended: vec![found(gap, Some("2026-11-23T02:00:00.000Z"))],
        peers: Vec::new(),
        incomplete: vec!["the log's sth could not be read: HTTP 503".to_owned()],
        follows: Vec::new(),
        faults: Vec::new(),
        notes: vec!["the trust options changed".to_owned()],
        nothing_judged: false,
        must_be_read: false,
        hits_to_note: None,
        unreachable: false,
        mirror: MirrorUse::Opened,
        asked: Asked { rp_id: true, ..Asked::default() },
        started_at: at("2026-11-23T02:00:00.000Z"),
        finished_at: at("2026-11-23T02:00:01.500Z"),
        took: Duration::from_millis(1500),
    }
}

fn compare(name: &str, rendered: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/report").join(name);
    if std::env::var_os("COUNTERSIGN_WRITE_SNAPSHOTS").is_some() {
        std::fs::write(&path, rendered).unwrap();
    }
    assert_eq!(
        rendered,
        std::fs::read_to_string(&path).unwrap(),
        "{name} changed: see the head of this file"
    );
}

#[test]
fn text_and_json_match_their_fixtures() {
    let report = Report::new(everything());
    compare("everything.txt", &text::render(&report, VERBOSE));
    compare("everything.json", &json::render(&report).unwrap());
    let mut clean = everything();
    (clean.findings, clean.ended, clean.incomplete) = (Vec::new(), Vec::new(), Vec::new());
    clean.asked.origins = true;
    for line in Report::new(clean.clone()).checks().iter().filter(|line| line.required) {
        clean.tally.add(line.check, 300, 0, 0);
    }
    let report = Report::new(clean);
    assert_eq!(report.verdict(), Conclusion::Clean);
    compare("clean.txt", &text::render(&report, VERBOSE));
    compare("clean-short.txt", &text::render(&report, Style::default()));
}

/// Colours are only added: without them the text is the same.
#[test]
fn colour_changes_no_text() {
    for verbose in [false, true] {
        let plain = Style { colour: false, verbose };
        let report = Report::new(everything());
        let (with, without) =
            (text::render(&report, Style { colour: true, ..plain }), text::render(&report, plain));
        assert!(with.starts_with("\u{1b}[1;31mVIOLATION\u{1b}[0m: "), "{with}");
        assert_ne!(with, without);
        assert_eq!(uncoloured(&with), without);
    }
}

/// The text without the SGR sequences that this program writes.
fn uncoloured(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + part.split_once('m').unwrap().1)
}

/// Checks that no version makes yet are not announced before an audit.
#[test]
fn unimplemented_checks_are_announced_as_not_made() {
    for api in [false, true] {
        let foreseen = checks::foreseen(Asked::default(), api);
        let anchors = foreseen.iter().find(|(what, _)| *what == "heads are anchored in time").unwrap();
        assert_eq!(anchors.1, checks::Foreseen::NotMade("not part of this version"));
    }
}

/// Passed checks take one line; failed checks and checks that were not made are listed one by one.
#[test]
fn only_passed_checks_are_summarised() {
    let report = Report::new(everything());
    let (long, short) = (text::render(&report, VERBOSE), text::render(&report, Style::default()));
    let passed = report.checks().iter().filter(|line| line.result == CheckResult::Passed);
    assert!(
        short.contains(&format!("\n{} checks hold, on 300 entries; -v lists them\n", passed.clone().count()))
    );
    for line in report.checks() {
        let listed = format!("\n  {:<20} ", line.check);
        assert!(long.contains(&listed), "{listed}");
        assert_eq!(short.contains(&listed), line.result != CheckResult::Passed, "{listed}");
    }
}

#[test]
fn control_characters_are_escaped() {
    let report = Report::new(everything());
    let text = text::render(&report, VERBOSE);
    let bad = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!text.contains(bad), "{text:?}");
    let json: serde_json::Value = serde_json::from_str(&json::render(&report).unwrap()).unwrap();
    assert!(!json["findings"][1]["id"].as_str().unwrap().contains(bad));
}

#[test]
fn the_worst_verdict_wins() {
    let clean = || {
        let mut input = everything();
        (input.findings, input.incomplete) = (Vec::new(), Vec::new());
        input.asked.origins = true;
        for line in Report::new(input.clone()).checks().iter().filter(|line| line.required) {
            input.tally.add(line.check, 1, 0, 0);
        }
        input
    };
    let verdict = |input: Input| Report::new(input).verdict();
    let with = |code: Code| {
        let mut input = clean();
        input.findings.push(found(Finding::of_log(code, Subject::Whole, ""), None));
        input
    };
    assert_eq!(verdict(clean()), Conclusion::Clean);
    assert_eq!(verdict(with(Code::HeadStale)), Conclusion::Clean);
    assert_eq!(verdict(with(Code::CredentialNew)), Conclusion::Clean);
    assert_eq!(verdict(with(Code::Gap)), Conclusion::Invalid);
    assert_eq!(verdict(with(Code::SameSizeFork)), Conclusion::Violation);
    let mut input = with(Code::HeadStale);
    input.asked.deny_warnings = true;
    assert_eq!(verdict(input), Conclusion::Invalid);
    let mut input = with(Code::Gap);
    input.incomplete.push(String::new());
    assert_eq!(verdict(input), Conclusion::Invalid);
    let mut input = with(Code::SameSizeFork);
    input.faults.push(String::new());
    assert_eq!(verdict(input), Conclusion::LocalFault);
    for missing in [|asked: &mut Asked| asked.rp_id = false, |asked: &mut Asked| asked.origins = false] {
        let mut input = clean();
        missing(&mut input.asked);
        assert_eq!(verdict(input), Conclusion::Incomplete);
    }
    // Cosignatures were asked for but not checked.
    let mut input = clean();
    input.asked.quorum = Some(true);
    assert_eq!(verdict(input.clone()), Conclusion::Incomplete);
    input.tally.add(Check::Witnesses, 1, 0, 0);
    assert_eq!(verdict(input), Conclusion::Clean);
    // A required check was never applied although there was something to apply it to.
    let mut input = clean();
    input.tally = Tally::default();
    assert_eq!(verdict(input), Conclusion::Incomplete);
    let mut input = clean();
    input.nothing_judged = true;
    assert_eq!(verdict(input), Conclusion::Incomplete);
}

fn peer(name: &str, error: Option<&str>) -> PeerResult {
    PeerResult {
        name: name.to_owned(),
        reached: error.is_none(),
        heads_new: 0,
        error: error.map(str::to_owned),
        failures: u64::from(error.is_some()),
    }
}

/// A peer that was not compared with is not a pass, and does not count as undecided about the log.
#[test]
fn a_failing_peer_is_neither_a_pass_nor_undecided() {
    let of = |peers: Vec<PeerResult>, not_checked: u64| {
        let mut input = everything();
        (input.findings, input.incomplete) = (Vec::new(), Vec::new());
        (input.asked.origins, input.asked.peers) = (true, true);
        for line in Report::new(input.clone()).checks().iter().filter(|line| line.required) {
            input.tally.add(line.check, 1, 0, 0);
        }
        input.tally.add(Check::Peers, 0, 0, not_checked);
        Report::new(Input { peers, ..input })
    };
    let both = of(vec![peer("one", None), peer("two", None)], 0);
    assert_eq!((both.verdict(), both.input().incomplete.len()), (Conclusion::Clean, 0));
    let gone = of(vec![peer("one", None), peer("two", Some("https://two.example/heads: no answer"))], 1);
    assert_eq!((gone.verdict(), gone.undecided().len()), (Conclusion::Incomplete, 0));
    let (text, json) = (text::render(&gone, VERBOSE), json::render(&gone).unwrap());
    assert!(
        text.contains("peer \"two\": not everything that it holds could be compared: https://two"),
        "{text}"
    );
    assert!(text.contains("not every peer could be compared with"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["checks"]["peers"]["result"], "not-checked");
    assert_eq!((&json["peers"][0]["error"], &json["peers"][1]["reached"]), (&().into(), &false.into()));
}

#[test]
fn every_code_belongs_to_a_check() {
    let input = everything();
    // A hit of a watch rule belongs to no check.
    for code in Code::ALL.iter().filter(|code| code.severity() > Severity::Info && **code != Code::WatchList)
    {
        let mut input = input.clone();
        input.findings = vec![found(Finding::of_log(*code, Subject::Whole, ""), None)];
        let report = Report::new(input);
        assert!(report.checks().iter().any(|line| line.result == CheckResult::Failed), "{code}");
    }
}

/// The verdict on a fixture receipt, as text and as JSON.
fn receipt_report(file: &str, snapshot: &str) {
    use crate::audit::trust::{Expectation, TrustPolicy};
    use crate::core::head::LogKey;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/receipts");
    let bytes = std::fs::read(folder.join(file)).unwrap();
    let cases: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let key = LogKey::parse(cases["logKey"].as_str().unwrap()).unwrap();
    let trust = TrustPolicy::new(key, "approvals.example", "https://approvals.example");
    let expected = Expectation { email: Some("ada@example.com"), approvers: &["alex"], ..Default::default() };
    let verdict =
        crate::audit::receipt::verify_receipt(&bytes, &trust, &expected, UnixMillis::new(1_782_100_000_000));
    let report = receipt::ReceiptReport {
        verdict: &verdict,
        conclusion: verdict.conclusion(),
        source: file,
        evidence: verdict.evidence.as_ref().map(|_| "misbehaviour-same-size-fork-00.json"),
    };
    compare(&format!("{snapshot}.txt"), &receipt::text(&report, VERBOSE));
    compare(&format!("{snapshot}-short.txt"), &receipt::text(&report, Style::default()));
    let coloured = receipt::text(&report, Style { colour: true, ..VERBOSE });
    assert_eq!(uncoloured(&coloured), receipt::text(&report, VERBOSE));
    compare(&format!("{snapshot}.json"), &receipt::json(&report).unwrap());
    compare(&format!("{snapshot}-brief.txt"), &receipt::brief(&report, Style::default()));
}

#[test]
fn receipts_match_their_fixtures() {
    receipt_report("good-reveal.json", "receipt-clean");
    receipt_report("sth-other-root.json", "receipt-fork");
    receipt_report("email-asked-not-revealed.json", "receipt-failed");
    receipt_report("empty.json", "receipt-unread");
}

/// A check that only follows from something else is still reported as not made, but does not mean that the log cannot
/// be read.
#[test]
fn dependent_checks_are_reported_and_are_not_an_outage() {
    let mut input = everything();
    (input.findings, input.faults, input.incomplete) = (Vec::new(), Vec::new(), Vec::new());
    input.follows.push("not compared".to_owned());
    let report = Report::new(input);
    assert_eq!(report.verdict(), Conclusion::Incomplete);
    assert_eq!(report.undecided(), [""; 0]);
    assert!(report.input().incomplete.contains(&"not compared".to_owned()));
    assert!(
        text::render(&report, VERBOSE).contains("not compared")
            && json::render(&report).unwrap().contains("not compared")
    );
}
