use super::*;
use crate::core::jcs;

const ORIGIN: &str = "log.example/1";

const GOOD: &str = r#"{"approver":"alex","assertion":{"authenticatorData":"AAAA","clientDataJSON":"BBBB","signature":"CCCC"},"credential":{"id":"AQ","publicKey":"DDDD"},"decidedAt":2,"decision":"approved","expiresAt":3,"id":"a-1","nonce":"AAAAAAAAAAAAAAAAAAAAAA","origin":"log.example/1","payloadEncoding":"jcs-payload","payloadHash":"0000000000000000000000000000000000000000000000000000000000000000","requestedAt":1,"revealCommitment":null,"rpId":"approvals.example","type":"approval-log-entry/v1"}"#;

fn codes(leaf: &str) -> Vec<Code> {
    read_leaf(leaf.as_bytes(), ORIGIN).findings.into_iter().map(|(code, _)| code).collect()
}

fn edited(from: &str, to: &str) -> String {
    let leaf = GOOD.replacen(from, to, 1);
    assert_ne!(leaf, GOOD, "{from} is not in the entry");
    leaf
}

#[test]
fn a_good_entry_has_no_findings_and_is_canonical() {
    let reading = read_leaf(GOOD.as_bytes(), ORIGIN);
    assert_eq!(reading.findings, []);
    let entry = reading.entry.unwrap();
    assert_eq!((entry.id.as_str(), entry.decision), ("a-1", Decision::Approved));
    assert_eq!(entry.assertion.unwrap().signature, [8, 32, 130]);
    assert_eq!(jcs::canonicalize(GOOD.as_bytes(), 16).unwrap(), GOOD.as_bytes());
}

#[test]
fn the_written_order_is_that_of_the_general_canonicalizer() {
    let odd = edited("\"alex\"", r#""a\u0001\u00e9\ud83d\ude00\"\\\n""#);
    let json: EntryJson<'_> = serde_json::from_str(&odd).unwrap();
    assert_eq!(json.to_canonical(), jcs::canonicalize(odd.as_bytes(), 16).unwrap());
}

#[test]
fn every_rule_of_section_2_has_its_code() {
    use Code::*;
    let null_credential = r#""credential":{"id":"AQ","publicKey":"DDDD"}"#;
    let null_assertion =
        r#""assertion":{"authenticatorData":"AAAA","clientDataJSON":"BBBB","signature":"CCCC"}"#;
    for (from, to, expected) in [
        ("\"decidedAt\":2", "\"decidedAt\": 2", vec![LeafNotCanonical]),
        ("\"decidedAt\":2", "\"decidedAt\":2e0", vec![LeafNotCanonical]),
        ("\"decidedAt\":2", "\"decidedAt\":2.5", vec![LeafMalformed]),
        ("\"decidedAt\":2", "\"decidedAt\":\"2\"", vec![LeafMalformed]),
        ("\"decidedAt\":2,", "", vec![LeafMalformed]),
        ("\"decidedAt\":2", "\"decidedAt\":2,\"decidedAt\":2", vec![LeafMalformed]),
        ("\"decidedAt\":2", "\"decidedAt\":2,\"dx\":2", vec![LeafMalformed]),
        ("\"decidedAt\":2", "\"decidedAt\":0", vec![TimeOrder]),
        ("\"expiresAt\":3", "\"expiresAt\":9007199254740992", vec![LeafMalformed]),
        (",\"revealCommitment\":null", "", vec![LeafMalformed]),
        ("\"revealCommitment\":null", "\"revealCommitment\":\"00\"", vec![EncodingInvalid]),
        ("\"id\":\"a-1\"", "\"id\":\"a 1\"", vec![LeafMalformed]),
        ("\"id\":\"a-1\"", "\"id\":\"\"", vec![LeafMalformed]),
        ("\"alex\"", "\"\"", vec![LeafMalformed]),
        ("\"alex\"", "\"\\u0061lex\"", vec![LeafNotCanonical]),
        ("\"alex\"", "\"\\ud800\"", vec![LeafMalformed]),
        ("entry/v1", "entry/v2", vec![LeafMalformed]),
        ("log.example/1", "log.example/2", vec![OriginMismatch]),
        ("jcs-payload", "jcs", vec![LeafMalformed]),
        ("\"AAAAAAAAAAAAAAAAAAAAAA\"", "\"AAAA\"", vec![EncodingInvalid]),
        ("\"AAAAAAAAAAAAAAAAAAAAAA\"", "\"AAAAAAAAAAAAAAAAAAAAAA==\"", vec![EncodingInvalid]),
        ("\"AAAAAAAAAAAAAAAAAAAAAA\"", "\"AAAAAAAAAAAAAAAAAAAAAB\"", vec![EncodingInvalid]),
        ("\"00000000", "\"0000000", vec![EncodingInvalid]),
        ("\"00000000", "\"A0000000", vec![EncodingInvalid]),
        ("\"DDDD\"", "\"DD+D\"", vec![EncodingInvalid]),
        ("\"approved\"", "\"maybe\"", vec![LeafMalformed]),
        ("\"approved\"", "\"rejected\"", vec![AssertionUnexpected]),
        ("\"approved\"", "\"expired\"", vec![TimeOrder, AssertionUnexpected]),
        (null_credential, "\"credential\":null", vec![AssertionMissing]),
        (null_assertion, "\"assertion\":null", vec![AssertionMissing]),
    ] {
        assert_eq!(codes(&edited(from, to)), expected, "{from} -> {to}");
    }
}

#[test]
fn other_json_and_other_bytes_are_malformed() {
    for leaf in ["", "null", "[]", "\u{feff}{}", "{}", &format!("{GOOD} x"), &"[".repeat(60_000), "{\"a\":"] {
        assert_eq!(codes(leaf), [Code::LeafMalformed], "{leaf:.40}");
    }
    assert_eq!(read_leaf(&[0xff, 0xfe], ORIGIN).findings[0].0, Code::LeafMalformed);
    assert_eq!(codes(&format!("{GOOD}\n")), [Code::LeafNotCanonical]);
}
