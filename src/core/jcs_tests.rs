use super::*;
use proptest::prelude::*;

fn canonical(text: &str) -> Result<String, JsonError> {
    canonicalize(text.as_bytes(), 16).map(|bytes| String::from_utf8(bytes).unwrap())
}

/// The canonical form of a value, built step by step as in RFC 8785 section 3.2.
fn naive(json: &Json) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(value) => canonical_number(*value).unwrap(),
        Json::String(text) => naive_string(text),
        Json::Array(items) => format!("[{}]", items.iter().map(naive).collect::<Vec<_>>().join(",")),
        Json::Object(members) => {
            let mut sorted: Vec<(Vec<u16>, String)> = members
                .iter()
                .map(|(name, value)| {
                    (name.encode_utf16().collect(), format!("{}:{}", naive_string(name), naive(value)))
                })
                .collect();
            sorted.sort();
            let members: Vec<String> = sorted.into_iter().map(|(_, member)| member).collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

fn naive_string(text: &str) -> String {
    let escaped = text.chars().map(|character| match character {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\t' => "\\t".to_owned(),
        '\n' => "\\n".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\r' => "\\r".to_owned(),
        '\0'..'\u{20}' => format!("\\u{:04x}", u32::from(character)),
        other => other.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// Values as text, including repeated names, unusual numbers and every kind of character.
fn texts() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<f64>().prop_filter("JSON has no others", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
        any::<i64>().prop_map(|n| n.to_string()),
        Just("-0".to_owned()),
    ];
    let string = prop_oneof![
        "\\PC{0,4}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        "[a-c]{0,2}".prop_map(|text| format!("\"{text}\"")),
        Just(r#""\u0061\ud83d\ude00\u0007""#.to_owned()),
        Just(r#""\ud83d""#.to_owned()),
    ];
    let leaf = prop_oneof![number, string.clone(), Just("null".to_owned()), Just("true".to_owned())];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        let member = (string.clone(), inner.clone()).prop_map(|(name, value)| format!("{name} : {value}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(|items| format!("[ {} ]", items.join(" ,\n"))),
            proptest::collection::vec(member, 0..24).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

proptest! {
    #[test]
    fn the_streamed_form_matches_the_parsed_value(text in texts(), depth in 0_usize..6) {
        let expected = Json::parse(text.as_bytes(), depth).map(|json| naive(&json).into_bytes());
        prop_assert_eq!(canonicalize(text.as_bytes(), depth), expected);
    }
}

#[test]
fn sorts_by_utf16_code_units_not_by_code_points() {
    // U+1F600 is D83D DE00 in UTF-16: below U+FB33, though its code point is above (RFC 8785 3.2.3).
    assert_eq!(canonical("{\"\u{fb33}\":1,\"\u{1f600}\":2}").unwrap(), "{\"\u{1f600}\":2,\"\u{fb33}\":1}");
    assert_eq!(canonical(r#"{"b":1,"":2,"a":3,"aa":4}"#).unwrap(), r#"{"":2,"a":3,"aa":4,"b":1}"#);
}

#[test]
fn writes_only_the_escapes_of_the_rfc() {
    let text = r#""\u0000\u0008\t\n\u000b\f\r\u001F\"\\\/\u007f\u2028é""#;
    let expected = "\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\\\"\\\\/\u{7f}\u{2028}é\"";
    assert_eq!(canonical(text).unwrap(), expected);
}

#[test]
fn writes_numbers_as_ecmascript_does() {
    let text = "[-0,1.0,1e21,1e-7,333333333.33333329,9007199254740993,18446744073709551616,5e-324]";
    let expected = "[0,1,1e+21,1e-7,333333333.3333333,9007199254740992,18446744073709552000,5e-324]";
    assert_eq!(canonical(text).unwrap(), expected);
    assert_eq!(canonical_number(f64::NAN), Err(JsonError::NotFinite));
    assert_eq!(canonical_number(f64::NEG_INFINITY), Err(JsonError::NotFinite));
}

#[test]
fn names_repeat_after_unescaping_in_small_and_large_objects() {
    let repeated = JsonError::RepeatedName("a".into());
    assert_eq!(canonical(r#"{"a":1,"\u0061":2}"#), Err(repeated.clone()));
    assert_eq!(canonical(r#"[{"b":{"a":1,"c":2,"a":3}}]"#), Err(repeated.clone()));
    let many: Vec<String> = (0..100).map(|i| format!("\"n{i}\":0")).collect();
    assert!(canonical(&format!("{{\"a\":1,{}}}", many.join(","))).is_ok());
    assert_eq!(canonical(&format!("{{\"a\":1,{},\"a\":2}}", many.join(","))), Err(repeated));
    assert!(canonical(r#"[{"a":1},{"a":2}]"#).is_ok());
}

#[test]
fn four_hundred_thousand_members_do_not_take_quadratic_time() {
    let members: Vec<String> = (0..400_000).map(|i| format!("\"{i}\":0")).collect();
    let text = format!("{{{}}}", members.join(","));
    let started = std::time::Instant::now();
    assert!(Json::parse(text.as_bytes(), 1).is_ok());
    assert!(started.elapsed().as_secs() < 300);
}

#[test]
fn depth_is_counted_in_containers() {
    assert!(Json::parse(b"1", 0).is_ok());
    assert_eq!(Json::parse(b"{}", 0), Err(JsonError::TooDeep(0)));
    assert!(Json::parse(b"[]", 1).is_ok());
    assert!(Json::parse(br#"{"a":[1]}"#, 2).is_ok());
    assert_eq!(Json::parse(br#"{"a":[{}]}"#, 2), Err(JsonError::TooDeep(2)));
}

#[test]
fn depth_never_overflows_the_stack() {
    for deep in ["[".repeat(1_000_000), "{\"a\":".repeat(1_000_000)] {
        assert!(Json::parse(deep.as_bytes(), usize::MAX).is_err());
        assert_eq!(Json::parse(deep.as_bytes(), 16), Err(JsonError::TooDeep(16)));
    }
}

#[test]
fn text_that_is_not_one_strict_value_is_refused() {
    let cases: [&[u8]; 17] = [
        b"",
        b" ",
        b"1 2",
        b"{} x",
        b"\xef\xbb\xbf{}",
        b"\"\xff\"",
        b"\"\xc0\x80\"",
        b"\"\xed\xa0\x80\"",
        br#""\ud800""#,
        br#""\udc00\ud800""#,
        b"1e400",
        b"-1e400",
        b"NaN",
        b"01",
        b"[1,]",
        b"\"\n\"",
        b"\0",
    ];
    for case in cases {
        assert!(Json::parse(case, 16).is_err(), "{case:?}");
    }
}

#[test]
fn integers_are_those_of_the_specification() {
    let integer = |text: &str| Json::parse(text.as_bytes(), 0).unwrap().as_integer();
    assert_eq!(integer("9007199254740991"), Some(9_007_199_254_740_991));
    assert_eq!(integer("9007199254740992"), None);
    assert_eq!(integer("-1"), None);
    assert_eq!(integer("0.5"), None);
    assert_eq!(integer("-0"), Some(0));
}

#[test]
fn canonical_form_is_its_own_canonical_form() {
    let text = "{\"\u{20ac}\":\"Euro\",\"\\r\":[1E30,4.50,2e-3,{\"x\":null,\"a\":[true,false]}]}";
    let once = canonical(text).unwrap();
    assert_eq!(canonical(&once).unwrap(), once);
}
