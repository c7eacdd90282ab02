//! Witness policies: each rule of C2SP tlog-policy, what breaks it, and the quorum against a second evaluator.

use countersign::core::head::{Head, LogKey};
use countersign::core::limits::MAX_CHECKPOINT;
use countersign::core::tlog_policy::TlogPolicy;
use proptest::prelude::*;
use std::collections::HashMap;
use support::log::{TestKey, root_of};
use support::witness::TestWitness;

const TIME: u64 = 1_782_000_000;

fn checkpoint() -> Vec<u8> {
    TestKey::new(1).checkpoint(3, root_of(&[b"a".to_vec(), b"b".to_vec(), b"c".to_vec()]))
}

fn read(text: &str) -> TlogPolicy {
    TlogPolicy::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// As many as the format recommends to support, of the longest kind, under the longest names.
#[test]
fn thirty_two_logs_witnesses_and_groups_fit() {
    let witness = |n: u8| TestWitness::ml_dsa_44(&format!("{}{n:03}", "w".repeat(252)), n);
    let witnesses: Vec<TestWitness> = (0..32).map(witness).collect();
    let mut text: String = (0..32).map(|n| format!("log {}\n", TestKey::new(n).vkey())).collect();
    for (n, witness) in witnesses.iter().enumerate() {
        let before = if n == 0 { String::new() } else { format!("g{} ", n - 1) };
        text += &format!("witness w{n} {}\ngroup g{n} all {before}w{n}\n", witness.vkey());
    }
    let policy = read(&(text + "quorum g31\n"));
    assert_eq!((policy.logs().len(), policy.witness_count()), (32, 32));
    let note = witnesses.iter().fold(checkpoint(), |note, witness| witness.cosign(&note, TIME));
    assert!(note.len() > 64 * 1024 && note.len() < MAX_CHECKPOINT - 16 * 1024);
    let log_key = LogKey::parse(&TestKey::new(1).vkey()).unwrap();
    assert!(Head::verify_checkpoint(&note, &log_key).is_ok());
    assert!(policy.check_cosignatures(&note, None).unwrap().quorum);
    let short = witnesses[1..].iter().fold(checkpoint(), |note, witness| witness.cosign(&note, TIME));
    assert!(!policy.check_cosignatures(&short, None).unwrap().quorum);
}

#[test]
fn groups_may_nest_to_any_depth() {
    let witness = TestWitness::ed25519("w.example/1", 1);
    let mut text = format!("witness g0 {}\n", witness.vkey());
    for n in 1..20_000 {
        text += &format!("group g{n} any g{}\n", n - 1);
    }
    let policy = read(&(text + "quorum g19999\n"));
    assert!(policy.check_cosignatures(&witness.cosign(&checkpoint(), TIME), None).unwrap().quorum);
    assert!(!policy.check_cosignatures(&checkpoint(), None).unwrap().quorum);
}

/// A file, and the line and words of the error; `{L}`, `{M}` are log keys, `{A}`…`{C}` witness keys.
const BROKEN: &[(&str, usize, &str)] = &[
    ("", 1, "no quorum line"),
    ("# nothing\n", 2, "no quorum line"),
    ("log {L}\nwitness a {A}\n", 3, "no quorum line"),
    ("quorum none\nquorum none\n", 2, "second quorum"),
    ("witness a {A}\nquorum a\nquorum none", 3, "second quorum"),
    ("quorum\n", 1, "a quorum line is"),
    ("quorum a b\n", 1, "a quorum line is"),
    ("quorum none # why\n", 1, "a quorum line is"),
    ("quorum a\nwitness a {A}\n", 1, "a is not defined above"),
    ("quorum NONE\n", 1, "NONE is not defined above"),
    ("quorum none\r\n", 1, "carriage return"),
    ("quorum none\u{b}\n", 1, "octet 0x0b"),
    ("# a comment with DEL \u{7f}\n", 1, "octet 0x7f"),
    ("\u{feff}quorum none\n", 1, "a line must begin with"),
    ("quorum\u{a0}none\n", 1, "a line must begin with"),
    ("Quorum none\n", 1, "a line must begin with"),
    ("policy none\n", 1, "not with policy"),
    ("log\n", 1, "a log line is"),
    ("log {L} url more\n", 1, "a log line is"),
    ("log {A}\n", 1, "type 0x01"),
    ("log L+00000000+AAAA\n", 1, "key"),
    ("log {L}\nlog {L}\n", 2, "earlier log line"),
    // The same key under another name: duplicate all the same.
    ("log {L}\nlog {L2}\n", 2, "earlier log line"),
    ("witness a\n", 1, "a witness line is"),
    ("witness a {A} url more\n", 1, "a witness line is"),
    ("witness {A}\n", 1, "a witness line is"),
    ("witness a {L}\n", 1, "type 0x04 or 0x06"),
    ("witness a {A}\nwitness b {A}\n", 2, "earlier witness line"),
    ("witness a {A}\nwitness b {A2}\n", 2, "earlier witness line"),
    ("witness c {C}\nwitness b {C2}\n", 2, "earlier witness line"),
    ("witness a {A}\nwitness a {B}\n", 2, "the name a is taken"),
    ("witness none {A}\n", 1, "`none` is taken"),
    ("witness a {A}\ngroup a any a\n", 2, "the name a is taken"),
    ("witness a {A}\ngroup none any a\n", 2, "`none` is taken"),
    ("witness a {A}\ngroup g any a\nwitness g {B}\n", 3, "the name g is taken"),
    ("witness a {A}\ngroup g any\n", 2, "a group line is"),
    ("witness a {A}\ngroup g\n", 2, "a group line is"),
    ("group g any none\n", 1, "`none` cannot be a member"),
    ("group g any g\n", 1, "g is not defined above"),
    ("group g any a\nwitness a {A}\n", 1, "a is not defined above"),
    ("witness a {A}\ngroup g any a a\n", 2, "member of a group already"),
    ("witness a {A}\ngroup g any a\ngroup h any a\n", 3, "member of a group already"),
    ("witness a {A}\ngroup g any a\ngroup h any g\ngroup i any g\n", 4, "member of a group already"),
    ("witness a {A}\ngroup g 0 a\n", 2, "from 1 to"),
    ("witness a {A}\ngroup g 2 a\n", 2, "here 1"),
    ("witness a {A}\ngroup g 01 a\n", 2, "from 1 to"),
    ("witness a {A}\ngroup g +1 a\n", 2, "from 1 to"),
    ("witness a {A}\ngroup g 0x1 a\n", 2, "from 1 to"),
    ("witness a {A}\ngroup g ALL a\n", 2, "from 1 to"),
    ("witness a {A}\ngroup g 18446744073709551617 a\n", 2, "from 1 to"),
    ("witness a {A}\ngroup g １ a\n", 2, "from 1 to"),
    ("witness K {A}\nquorum \u{212a}\n", 2, "is not defined above"),
];

fn filled(text: &str) -> String {
    let ed = |name: &str, seed| TestWitness::ed25519(name, seed).vkey();
    let pq = |name: &str| TestWitness::ml_dsa_44(name, 3).vkey();
    // The key of `{L}` under another origin.
    let other = {
        use countersign::core::encoding::{encode_base64, encode_hex};
        use countersign::core::note::{KeyKind, derive_key_id};
        let key = LogKey::parse(&TestKey::new(1).vkey()).unwrap();
        let raw = key.verifier().raw();
        let id = derive_key_id("other.example", KeyKind::Ed25519, raw);
        format!("other.example+{}+{}", encode_hex(&id), encode_base64(&[&[1][..], raw].concat()))
    };
    text.replace("{L}", &TestKey::new(1).vkey())
        .replace("{L2}", &other)
        .replace("{M}", &TestKey::new(2).vkey())
        .replace("{A}", &ed("a.example", 1))
        .replace("{A2}", &ed("other.example", 1))
        .replace("{B}", &ed("b.example", 2))
        .replace("{C}", &pq("c.example"))
        .replace("{C2}", &pq("other.example"))
}

#[test]
fn every_rule_of_the_format_is_enforced() {
    for (text, line, words) in BROKEN {
        let error = TlogPolicy::parse(filled(text).as_bytes()).expect_err(text);
        assert_eq!(error.line, *line, "{text}: {error}");
        assert!(error.why.contains(words), "{text}: {error}");
        assert!(error.to_string().starts_with(&format!("line {line}: ")));
    }
}

#[test]
fn every_allowed_form_is_read() {
    for (text, quorum) in [
        ("quorum none", "none"),
        ("\n \t \n  # comment é \n\t# more\nquorum \t none \t\n\n", "none"),
        ("log {L} https://log.example/\nlog {M} any-octets:é\nquorum none\n", "none"),
        ("witness a {A} url\nquorum a\n", "witness a"),
        ("witness #a {A}\nquorum #a\nlog {L}\nwitness b {B}\n", "witness #a"),
        ("witness all {A}\nwitness any {C}\ngroup group any any all\nquorum group\n", "1 of 2 in group"),
        ("witness a {A}\nwitness b {B}\nwitness c {C}\ngroup g 2 c a b\nquorum g", "2 of 3 in g"),
        ("witness a {A}\nwitness b {B}\ngroup g all a\ngroup h all b g\nquorum g\n", "1 of 1 in g"),
        ("witness K {A}\nwitness \u{212a} {B}\nquorum \u{212a}\n", "witness \u{212a}"),
    ] {
        let policy = read(&filled(text));
        assert_eq!(
            (policy.quorum_text().as_str(), policy.has_quorum()),
            (quorum, quorum != "none"),
            "{text}"
        );
    }
    // Names are octets: no encoding is asked for, and what is shown moves no cursor.
    let odd = filled("witness \u{202e}? {A}\nquorum \u{202e}?").into_bytes();
    let odd: Vec<u8> = odd.into_iter().map(|octet| if octet == b'?' { 0xff } else { octet }).collect();
    let policy = TlogPolicy::parse(&odd).unwrap();
    assert_eq!(policy.quorum_text(), "witness \\u{202e}\u{fffd}");
    assert!(
        read(&filled("log {L}\nlog {M}\nquorum none"))
            .check_cosignatures(&checkpoint(), None)
            .unwrap()
            .quorum
    );
}

#[test]
fn only_octets_of_the_character_set_are_allowed() {
    for octet in 0..=255_u8 {
        let allowed = matches!(octet, 9 | 10 | 0x20..=0x7e | 0x80..);
        for text in
            [[b"quorum none\n# ", &[octet][..]].concat(), [&[b'#', octet][..], b"\nquorum none"].concat()]
        {
            assert_eq!(TlogPolicy::parse(&text).is_ok(), allowed, "{octet:#x}");
        }
    }
    let long = [&b"#".repeat(1024 * 1024)[..], b"\nquorum none\n"].concat();
    assert!(TlogPolicy::parse(&long).is_err());
}

/// The policy once more, as slowly as it is written: from the text, name by name, by recursion.
fn naive(text: &str, name: &str, cosigned: &[&str]) -> bool {
    let lines: HashMap<&str, Vec<&str>> = text
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .map(|words| (words[1], words[2..].to_vec()))
        .collect();
    let words = &lines[name];
    if words.len() == 1 && words[0].contains('+') {
        return cosigned.contains(&name);
    }
    let members = &words[1..];
    let count = members.iter().filter(|member| naive(text, member, cosigned)).count();
    count
        >= match words[0] {
            "all" => members.len(),
            "any" => 1,
            number => number.parse().unwrap(),
        }
}

/// Random groups over `witnesses`, each taking some of the names that are free, and the quorum's name.
fn random_policy(witnesses: &[TestWitness], choices: &[(usize, usize)]) -> (String, String) {
    let mut text = String::new();
    let mut free: Vec<String> = (0..witnesses.len()).map(|n| format!("w{n}")).collect();
    for (n, witness) in witnesses.iter().enumerate() {
        text += &format!("witness w{n} {}\n", witness.vkey());
    }
    for (n, (take, rule)) in choices.iter().enumerate() {
        let mut members = Vec::new();
        for at in 0..=(take % 4).min(free.len() - 1) {
            members.push(free.remove((take / 4 + at * 7) % free.len()));
        }
        let k = match rule % 5 {
            0 => "all".to_owned(),
            1 => "any".to_owned(),
            _ => (1 + rule / 5 % members.len()).to_string(),
        };
        text += &format!("group g{n} {k} {}\n", members.join(" "));
        free.push(format!("g{n}"));
    }
    let quorum = free[choices.iter().map(|(take, _)| take).sum::<usize>() % free.len()].clone();
    (text, quorum)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    /// Every subset of six witnesses, against random policies.
    #[test]
    fn the_quorum_agrees_with_a_naive_evaluator(
        choices in prop::collection::vec((0_usize..1000, 0_usize..1000), 0..6),
    ) {
        let witnesses: Vec<TestWitness> =
            (0..6).map(|n| TestWitness::ed25519(&format!("w.example/{n}"), n)).collect();
        let (text, quorum) = random_policy(&witnesses, &choices);
        let policy = read(&format!("{text}quorum {quorum}\n"));
        let checkpoint = checkpoint();
        let lines: Vec<Vec<u8>> = witnesses
            .iter()
            .map(|witness| witness.cosign(&checkpoint, TIME)[checkpoint.len()..].to_vec())
            .collect();
        for subset in 0..64_u8 {
            let chosen: Vec<usize> = (0..6).filter(|n| subset >> n & 1 == 1).collect();
            let mut note = checkpoint.clone();
            for n in &chosen {
                note.extend_from_slice(&lines[*n]);
            }
            let names: Vec<String> = chosen.iter().map(|n| format!("w{n}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let cosigned = policy.check_cosignatures(&note, None).unwrap();
            prop_assert_eq!(cosigned.by.len(), chosen.len());
            prop_assert_eq!(cosigned.quorum, naive(&text, &quorum, &names), "{} {:?}", text, names);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0_usize..400) {
        drop(TlogPolicy::parse(&bytes));
        let mut policy = filled("log {L}\nwitness a {A}\nwitness b {B}\ngroup g 1 a b\nquorum g\n").into_bytes();
        let at = at.min(policy.len());
        policy.splice(at..at, bytes.iter().copied());
        if let Ok(policy) = TlogPolicy::parse(&policy) {
            drop(policy.check_cosignatures(&bytes, None));
            drop(policy.check_cosignatures(&[&checkpoint()[..], &bytes].concat(), None));
        }
    }
}
