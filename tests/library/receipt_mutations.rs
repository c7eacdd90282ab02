//! Receipts with one thing changed: a byte, a member, a line. None verifies.
//!
//! What is free in a receipt is white space and the order of members, and nothing else; so no test here
//! puts white space between two tokens, and whatever else is done must be noticed.

use countersign::core::receipt::Receipt;
use countersign::core::time::UnixMillis;
use countersign::{Conclusion, Verdict};
use serde_json::{Value, json};
use support::passkey::Passkey;
use support::receipt::{approval, bundle_of, check, proof_of, receipt_of, request, reveal};

/// The three forms of one receipt, and one with a reveal.
fn originals() -> Vec<(&'static str, String)> {
    let entry = approval();
    let (revealed, commitment) = reveal("Deploy", Value::Null);
    let mut committed = request();
    committed["revealCommitment"] = commitment.into();
    let committed = Passkey::new(7).approve(committed);
    let mut with_reveal = receipt_of(&committed);
    with_reveal["reveal"] = revealed;
    let all = vec![
        ("receipt", receipt_of(&entry).to_string()),
        ("bundle", bundle_of(&entry).to_string()),
        ("tlog-proof", proof_of(&entry, true)),
        ("receipt with reveal", with_reveal.to_string()),
    ];
    for (name, text) in &all {
        assert!(check(text).is_clean(), "{name}: {:#?}", check(text));
    }
    all
}

fn assert_refused(name: &str, what: &str, verdict: &Verdict) {
    let conclusion = verdict.conclusion();
    // The signed heads of two test logs under one key are a fork, and that is no pass either.
    let refused = [Conclusion::Invalid, Conclusion::Incomplete, Conclusion::Violation].contains(&conclusion);
    assert!(refused, "{name}, {what}: {conclusion:?}");
}

/// Runs `test` for each position on all cores.
fn for_each(positions: usize, test: impl Fn(usize) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let position = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if position >= positions {
                        return;
                    }
                    test(position);
                }
            });
        }
    });
}

fn verdict_of(bytes: &[u8]) -> Verdict {
    let (trust, expected) = (support::receipt::trust(), support::receipt::expected());
    countersign::verify_receipt(bytes, &trust, &expected, UnixMillis::new(support::receipt::NOW))
}

#[test]
fn no_receipt_with_a_changed_byte_verifies() {
    for (name, text) in originals() {
        for_each(text.len(), |at| {
            let was = text.as_bytes()[at];
            let flips = (0..8).map(|bit| was ^ (1 << bit));
            for byte in flips.chain(*b"\0\"\\{}[]:,0A-=\n").filter(|byte| *byte != was) {
                let mut bytes = text.clone().into_bytes();
                bytes[at] = byte;
                assert_refused(name, &format!("byte {at} is {byte}"), &verdict_of(&bytes));
            }
        });
    }
}

#[test]
fn no_receipt_with_an_added_or_removed_byte_verifies() {
    for (name, text) in originals() {
        for_each(text.len() + 1, |at| {
            let bytes = text.as_bytes();
            let (before, after) = bytes.split_at(at);
            if !after.is_empty() {
                assert_refused(
                    name,
                    &format!("without byte {at}"),
                    &verdict_of(&[before, &after[1..]].concat()),
                );
                assert_refused(name, &format!("ends at {at}"), &verdict_of(before));
            }
            for more in [b"0", b"A", b"\"", b"{", b"}", b"=", b"\0", b"\xff"] {
                let longer = [before, &more[..], after].concat();
                assert_refused(name, &format!("{more:?} before byte {at}"), &verdict_of(&longer));
            }
        });
    }
}

/// Every path to a member of an object or an item of an array.
fn paths(value: &Value, here: &[String], found: &mut Vec<Vec<String>>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(n, value)| (n.to_string(), value)).collect(),
        _ => return,
    };
    for (name, child) in children {
        let path = [here, &[name]].concat();
        paths(child, &path, found);
        found.push(path);
    }
}

fn pointer(path: &[String]) -> String {
    path.iter().map(|step| format!("/{step}")).collect()
}

/// Values of every kind, none of them that of a good receipt at most places.
fn others() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(1.5),
        json!(-1),
        json!(9_007_199_254_740_992_u64),
        json!(""),
        json!("x"),
        json!([]),
        json!({}),
        json!([null]),
        json!({"a": 1}),
    ]
}

fn without(value: &Value, path: &[String]) -> Value {
    let mut value = value.clone();
    let (last, parent) = path.split_last().unwrap();
    match value.pointer_mut(&pointer(parent)).unwrap() {
        Value::Object(members) => drop(members.remove(last)),
        Value::Array(items) => drop(items.remove(last.parse().unwrap())),
        _ => unreachable!("only these have members"),
    }
    value
}

/// The text with the member at `path` standing twice.
fn doubled(value: &Value, path: &[String]) -> Option<String> {
    let (last, parent) = path.split_last().unwrap();
    let members = value.pointer(&pointer(parent)).unwrap().as_object()?;
    let written = Value::Object(members.clone()).to_string();
    let again = format!("{{{}:{},{}", json!(last), members[last], &written[1..]);
    // A marker that is replaced in the text: `Value` cannot hold a member twice.
    let mut marked = value.clone();
    *marked.pointer_mut(&pointer(parent)).unwrap() = "MARK".into();
    Some(marked.to_string().replacen("\"MARK\"", &again, 1))
}

#[test]
fn no_receipt_with_a_changed_member_verifies() {
    let donor = Passkey::new(9).approve({
        let mut entry = request();
        entry["id"] = "approval-2".into();
        entry
    });
    let pairs = [
        ("receipt", receipt_of(&approval()), receipt_of(&donor)),
        ("bundle", bundle_of(&approval()), bundle_of(&donor)),
    ];
    let mut changed = 0;
    for (name, good, other) in pairs {
        let mut all = Vec::new();
        paths(&good, &[], &mut all);
        for path in all {
            let place = pointer(&path);
            assert_refused(name, &format!("without {place}"), &check(&without(&good, &path).to_string()));
            if let Some(text) = doubled(&good, &path) {
                assert_refused(name, &format!("{place} twice"), &check(&text));
            }
            let was = good.pointer(&place).unwrap();
            let swapped = other.pointer(&place).into_iter().cloned();
            for value in others().into_iter().chain(swapped).filter(|value| value != was) {
                // A receipt need not have an STH, and says then that it has none.
                if (name, place.as_str(), &value) == ("receipt", "/sth", &Value::Null) {
                    continue;
                }
                let mut bad = good.clone();
                *bad.pointer_mut(&place).unwrap() = value.clone();
                assert_refused(name, &format!("{place} is {value}"), &check(&bad.to_string()));
                changed += 1;
            }
        }
        let mut more = good.clone();
        more["more"] = 1.into();
        assert_refused(name, "a member more", &check(&more.to_string()));
    }
    assert!(changed > 800, "{changed}");
}

#[test]
fn no_tlog_proof_with_a_changed_line_verifies() {
    let good = proof_of(&approval(), true);
    let other = proof_of(&request(), true);
    let lines: Vec<&str> = good.split_inclusive('\n').collect();
    let donors: Vec<&str> = other.split_inclusive('\n').collect();
    for at in 0..lines.len() {
        let put = |middle: &[&str]| [&lines[..at], middle, &lines[at + 1..]].concat().concat();
        assert_refused("tlog-proof", &format!("without line {at}"), &check(&put(&[])));
        // A signature line that stands twice says the same thing twice, and C2SP signed-note has readers drop it.
        if !lines[at].starts_with('\u{2014}') {
            assert_refused("tlog-proof", &format!("line {at} twice"), &check(&put(&[lines[at], lines[at]])));
        }
        if lines[at] != donors[at] {
            assert_refused("tlog-proof", &format!("line {at} of another"), &check(&put(&[donors[at]])));
        }
        if at + 1 < lines.len() && lines[at] != lines[at + 1] {
            let swapped = [&lines[..at], &[lines[at + 1], lines[at]], &lines[at + 2..]].concat().concat();
            assert_refused("tlog-proof", &format!("lines {at} and {} swapped", at + 1), &check(&swapped));
        }
    }
}

/// White space, order and escapes are not part of what a receipt says.
#[test]
fn equivalent_json_is_the_same_receipt() {
    let good = receipt_of(&approval());
    let (plain, pretty) = (good.to_string(), serde_json::to_string_pretty(&good).unwrap());
    let escaped = plain.replacen("\"alex\"", "\"\\u0061lex\"", 1);
    assert_ne!(plain, escaped);
    for other in [pretty, escaped] {
        let read = |text: &str| Receipt::parse(text.as_bytes()).unwrap();
        assert_eq!(read(&plain).leaf, read(&other).leaf);
        assert!(check(&other).is_clean());
    }
}

/// Whatever the bytes are, there is a verdict.
#[test]
fn every_text_has_a_verdict() {
    let deep = |open: &str, close: &str, n: usize| format!("{}{}", open.repeat(n), close.repeat(n));
    let good = receipt_of(&approval());
    let with = |name: &str, raw: &str| {
        let mut marked = good.clone();
        marked[name] = "MARK".into();
        marked.to_string().replacen("\"MARK\"", raw, 1)
    };
    let nested = deep("[", "]", 100_000);
    let texts = [
        String::new(),
        " ".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "\u{feff}{}".to_owned(),
        "<!doctype html>".to_owned(),
        "c2sp.org/tlog-proof@v1".to_owned(),
        "c2sp.org/tlog-proof@v1\n".to_owned(),
        "c2sp.org/tlog-proof@v2\nindex 0\n\nx\n".to_owned(),
        deep("{\"a\":", "1", 100_000),
        nested.clone(),
        with("entry", &nested),
        with("sth", &nested),
        with("reveal", &nested),
        with("anchors", &nested),
        with("entry", &deep("{\"a\":", "}", 60)),
        with(
            "anchors",
            "[{\"type\":\"approval-log-anchor/v1\",\"kind\":\"ots\",\"treeSize\":7,\"ots\":\"!\"}]",
        ),
        with("anchors", "[{}]"),
        with("anchors", "{}"),
        with("tlogProof", "\"c2sp.org/tlog-proof@v1\\nindex 18446744073709551615\\n\\n\""),
        "{\"type\":".repeat(1000),
        "9".repeat(3_000_000),
    ];
    for text in texts {
        let verdict = check(&text);
        assert_eq!(verdict.conclusion(), Conclusion::Invalid, "{}", &text[..text.len().min(80)]);
    }
}

#[test]
fn an_anchor_is_counted_and_reported_as_unchecked() {
    let mut receipt = receipt_of(&approval());
    receipt["anchors"] =
        json!([{"type": "approval-log-anchor/v1", "kind": "ots", "treeSize": 7, "ots": "AA=="}]);
    let verdict = check(&receipt.to_string());
    assert!(verdict.is_clean(), "{verdict:#?}");
    assert!(verdict.not_proven.iter().any(|line| line.contains("1 anchor")), "{:?}", verdict.not_proven);
}
