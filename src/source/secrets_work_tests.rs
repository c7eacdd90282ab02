//! The work that a text can make, counted in steps; and the same search written naively, which finds no more.

use super::*;
use proptest::prelude::*;

/// Of the largest bundle that a log sends, about.
const LENGTH: usize = 4 * 1024 * 1024;

fn of(secrets: &[&str]) -> Secrets {
    let mut all = Secrets::default();
    secrets.iter().for_each(|secret| all.add(secret));
    all
}

/// Steps for each byte of a text that contains no secret.
fn steps(secrets: &Secrets, text: &[u8]) -> usize {
    let mut search = Search::new(text, secrets.forms.iter().collect());
    let before = search.left();
    assert_eq!(search.next(0), Ok(None));
    before.strict_sub(search.left()).div_ceil(text.len())
}

/// A piece again and again, and its beginning.
fn run(piece: &[u8]) -> Vec<u8> {
    piece.iter().copied().cycle().take(LENGTH).collect()
}

#[test]
fn no_text_makes_more_than_a_few_steps_for_each_byte() {
    let mut secrets = of(&["Tk-s3cret/bearer+0123456789", "p4ss \\\\wörd%41&\\\"x"]);
    secrets.add_header("authorization", "Basic dXM6czNjcmV0LXBhc3M=");
    secrets.add_credentials("us", "p%2fs:3%20%22cre%E2%82%act", true);
    let pieces: [&[u8]; 30] = [
        b"\\",
        b"%25",
        b"%",
        b"&",
        b"&amp;",
        b"+",
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        b"zyxwvutsrqponmlkjihgfedcba9876543210-_ZYXWVUTSRQPONMLKJIHGFEDCBA",
        b"0123456789abcdef",
        b"fedcba9876543210FEDCBA",
        b"\\u{",
        b"\\u{5c",
        b"\\u{5c}",
        b"\\u005c\\x5C",
        b"%2525255c%5c\\&#92;&#x5c;",
        b"%e2%82%25e2%2582\\\\%25%25&&#%5c",
        b"\\\\\\\\\\\\\\\\\\T%54\\u0054",
        b"\xe2\x82\xff\xc3",
        "€ö".as_bytes(),
        "\u{fdfa}".as_bytes(),
        "Ｔｐßſﬁﬀ".as_bytes(),
        "\u{301}\u{200b}".as_bytes(),
        "T\u{200b}\u{301}k".as_bytes(),
        b"\t\n\r",
        b"Tk\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
        b"%e4%25E4%u00e4",
        b"\\ud83d\\ude00",
        b"&auml;&#x00000041;&VerticalLine",
        b"\xc4\xe4\xff",
        // All but the last character of one of them.
        b"Tk-s3cret/bearer+012345678%54%6b\\-p4ss \\\\\\\\\\\\\\w\\u00f6rd%41&\\\"",
    ];
    for piece in pieces {
        let steps = steps(&secrets, &run(piece));
        assert!(steps <= 16, "{}: {steps:?}", piece.escape_ascii());
    }
}

/// A secret that repeats itself stands at each place of such a text in as many ways as it is long.
#[test]
fn what_takes_too_much_work_is_neither_kept_nor_shown() {
    let repeated = format!("{}b", "a".repeat(200));
    for (secret, piece) in
        [(repeated.as_str(), "a"), (r"\\\\\\\\\x", r"\"), ("%%%%%%%%%%%%%%%%%%%%%%%%%%x", "%25")]
    {
        let (secrets, text) = (of(&[secret]), run(piece.as_bytes()));
        let why = secrets.refusal(&text);
        assert!(why.is_some_and(|why| why.contains("takes too long")), "{piece}: {why:?}");
        let message = format!("first {secret}, then {}", String::from_utf8(text).unwrap());
        assert!(secrets.are_in(&message));
        assert_eq!(secrets.hide(&message), format!("first {HIDDEN}{CUT}"), "{piece}");
        // What is no longer than an ordinary message is looked through all the same.
        let short = piece.repeat(200usize.div_ceil(piece.len()).min(secret.len() - 2));
        assert!(!secrets.are_in(&short) && secrets.refusal(short.as_bytes()).is_none(), "{piece}");
    }
}

/// As much of the secret as it takes to be looked at closely is no secret, and what is behind it is still found.
#[test]
fn a_secret_behind_megabytes_of_escapes_is_found() {
    let secrets = of(&["Tk-s3cret/bearer+0123456789"]);
    for piece in ["\\", "%25", "&amp;", "%", "&"] {
        let mut text = run(piece.as_bytes());
        text.extend_from_slice(br" Tk-s3cret\/bearer%2B0123456789 ");
        let why = secrets.refusal(&text);
        assert!(why.is_some_and(|why| why.contains("repeats a secret")), "{piece}: {why:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_naive_search_finds_no_more(texts in some_secrets(), text in some_text()) {
        let secrets = secrets_of(&texts);
        let answer: Vec<u8> = text.concat();
        let in_answers = |form: &Form| form.in_answers;
        let forms = secrets.forms.iter().filter(|form| in_answers(form)).collect();
        let found = Search::new(&answer, forms).next(0) != Ok(None);
        prop_assert_eq!(found, naive::find(&secrets, &answer, in_answers));
        let message = String::from_utf8_lossy(&answer);
        prop_assert_eq!(secrets.are_in(&message), naive::find(&secrets, message.as_bytes(), |_| true));
        prop_assert_eq!(secrets.hide(&message), naive::hide(&secrets, &message));
    }
}

/// Of few characters, so that they overlap themselves and each other.
fn some_secrets() -> impl Strategy<Value = Vec<(String, bool)>> {
    let secret = prop_oneof![
        r"[ab%5c\\&; +€]{4,9}",
        r"[aA]{4,6}b?",
        r"\\{4,6}x?",
        Just("s3cret".to_owned()),
        Just("a/b+%41&amp;\\".to_owned()),
        Just("Strä\u{200b}ße\u{308}fix".to_owned()),
    ];
    prop::collection::vec((secret, any::<bool>()), 1..4)
}

fn secrets_of(texts: &[(String, bool)]) -> Secrets {
    let mut secrets = Secrets::default();
    texts.iter().for_each(|(text, in_answers)| secrets.add_forms(text.as_bytes(), *in_answers));
    // So that some text has them: the base64 of few characters too.
    secrets.add_base64("ab>?", true);
    secrets
}

/// Characters of the secrets in any spelling, and what is a piece of one.
fn some_text() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let character = prop::sample::select(vec![
        'a', 'A', 'b', '%', '5', 'c', '\\', '&', ';', ' ', '+', '€', 'x', 's', '3', 'r', 'e', 't', '/', '4',
        '1', 'S', 'ä', 'ß', 'ẞ', 'ﬁ', 'ſ', 'Ａ', '\u{308}', '\u{200b}', '\n', '😀',
    ]);
    let spelled = (character, 0..18usize).prop_map(|(character, way)| spell(character, way).into_bytes());
    let piece = prop::sample::select(vec![
        "%",
        "25",
        "\\",
        "\\\\",
        "&",
        "amp;",
        "#",
        "x5c",
        "u",
        "{",
        "}",
        "00",
        "+",
        "e2",
        "82ac",
        "YWI-Pw",
        "YWI+P",
        "s3cre",
        "a/b+%41&amp;",
        "6161",
        "5c",
        "SHORT",
        "&auml;",
        "\\ud83d",
        "\\ude00",
        "\u{301}",
    ]);
    let piece = piece.prop_map(|piece| piece.as_bytes().to_vec());
    let whole = (
        prop::sample::select(vec![
            "s3cret",
            "aaaab",
            "a/b+%41&amp;\\",
            "\\\\\\\\x",
            "ab>?",
            "STRÄSSEﬁx",
            "straßefix",
        ]),
        prop::collection::vec(0..18usize, 20),
    );
    let whole = whole.prop_map(|(text, ways)| {
        text.chars().zip(ways).map(|(c, way)| spell(c, way)).collect::<String>().into_bytes()
    });
    let coded = prop::sample::select(vec!["s3cret", "aaaab", "\\\\\\\\x"])
        .prop_map(|text| encode_hex(text.as_bytes()).to_uppercase().into_bytes());
    let odd = prop::collection::vec(any::<u8>(), 1..4);
    prop::collection::vec(prop_oneof![6 => spelled, 3 => piece, 2 => whole, 1 => coded, 1 => odd], 0..12)
}

fn spell(character: char, way: usize) -> String {
    let bytes = character.to_string();
    let percent = |sign: &str| bytes.bytes().map(|byte| format!("{sign}{byte:02x}")).collect::<String>();
    let code = u32::from(character);
    match way {
        0 => percent("%"),
        1 => percent("%25"),
        2 => percent("%252525"),
        3 => format!("\\{character}"),
        4 => format!("\\u{code:04x}"),
        5 => format!("\\\\u{{{code:X}}}"),
        6 => format!("&#{code};"),
        7 => format!("&#x{code:x};"),
        8 if character == '&' => "&amp;".to_owned(),
        8 if character == ' ' => "+".to_owned(),
        9 if character == '\\' => "\\".repeat(16),
        10 => format!("\u{200b}{character}\u{301}"),
        11 => character.to_uppercase().to_string(),
        12 => format!("%u{code:04x}"),
        13 if code < 256 => format!("%{code:02X}"),
        14 => character.encode_utf16(&mut [0; 2]).iter().map(|half| format!("\\u{half:04x}")).collect(),
        15 => format!("{character}\\n&shy;"),
        _ => bytes,
    }
}

/// Each form at each place, with the places behind each character in a list.
mod naive {
    use super::super::{Coding, Form, HIDDEN, Secrets, hex};
    use crate::source::letters::letters;

    /// The most escapes of escapes that are seen through.
    const MAX_NESTED: usize = 4;

    pub(super) fn hide(secrets: &Secrets, text: &str) -> String {
        let mut out = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let found = secrets.forms.iter().filter_map(|form| end(form, text.as_bytes(), at));
            match found.max() {
                Some(end) => {
                    out.extend_from_slice(HIDDEN.as_bytes());
                    at = end;
                }
                None => {
                    out.push(text.as_bytes()[at]);
                    at += 1;
                }
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    pub(super) fn find(secrets: &Secrets, text: &[u8], meant: fn(&Form) -> bool) -> bool {
        let mut forms = secrets.forms.iter().filter(|form| meant(form));
        forms.any(|form| (0..text.len()).any(|at| end(form, text, at).is_some()))
    }

    /// The last place at which this form may end, if one of its readings begins at `start`.
    fn end(form: &Form, text: &[u8], start: usize) -> Option<usize> {
        let mut best = None;
        let mut now = vec![(start, 0)];
        while let Some((at, read_so_far)) = now.pop() {
            for (character, rest) in literal(&text[at..]).into_iter().chain(spelled(&text[at..])) {
                let behind = text.len() - rest.len();
                let found = letters(&character.to_string(), form.is_folded);
                // A form may begin in the middle of a character that has several letters.
                let skips = if at == start { 0..found.len() } else { 0..1 };
                for skip in skips {
                    let found = found.get(skip..).unwrap_or_default();
                    let wanted = &form.letters[read_so_far..];
                    let length = found.len().min(wanted.len());
                    if !found[..length]
                        .iter()
                        .zip(wanted)
                        .all(|(found, wanted)| is_same(form, *found, *wanted))
                    {
                        continue;
                    }
                    if length == wanted.len() {
                        best = best.max(Some(behind));
                        continue;
                    }
                    now.push((behind, read_so_far + length));
                }
            }
            now.sort_unstable();
            now.dedup();
        }
        best
    }

    fn is_same(form: &Form, found: char, wanted: char) -> bool {
        found == wanted || form.coding == Coding::Base64 && matches!((found, wanted), ('-', '+') | ('_', '/'))
    }

    /// A character as it stands, and what is behind it.
    fn literal(text: &[u8]) -> Option<(char, &[u8])> {
        let (first, rest) = text.split_first()?;
        if first.is_ascii() {
            return Some((char::from(*first), rest));
        }
        let utf8 = (2..=4).find_map(|length| {
            let (character, rest) = text.split_at_checked(length)?;
            Some((std::str::from_utf8(character).ok()?.chars().next()?, rest))
        });
        utf8.or((*first >= 0xc0).then_some((char::from(*first), rest)))
    }

    /// The characters that `text` may begin with in another spelling, each with what is behind it.
    fn spelled(text: &[u8]) -> Vec<(char, &[u8])> {
        match text.first() {
            Some(b'%') => {
                let nested = (0..MAX_NESTED).flat_map(|nested| [percent(text, nested), latin(text, nested)]);
                let code = text.strip_prefix(b"%u").and_then(|rest| hex(rest, 4));
                let code = code.and_then(|(value, rest)| Some((char::from_u32(value)?, rest)));
                nested.chain([code]).flatten().collect()
            }
            // In a query.
            Some(b'+') => vec![(' ', &text[1..])],
            Some(b'\\') => backslash(text),
            Some(b'&') => entity(text).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// `%41`, or `%2541` where that was encoded once more.
    fn percent(text: &[u8], nested: usize) -> Option<(char, &[u8])> {
        let byte = |text: &'_ [u8]| -> Option<(u8, usize)> {
            let mut rest = text.strip_prefix(b"%")?;
            for _ in 0..nested {
                rest = rest.strip_prefix(b"25")?;
            }
            let (value, rest) = hex(rest, 2)?;
            Some((u8::try_from(value).ok()?, text.len().saturating_sub(rest.len())))
        };
        let (mut bytes, mut rest) = (Vec::new(), text);
        while bytes.len() < 4 {
            let (value, length) = byte(rest)?;
            bytes.push(value);
            rest = rest.get(length..)?;
            if let Some(found) = std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next()) {
                return Some((found, rest));
            }
        }
        None
    }

    fn latin(text: &[u8], nested: usize) -> Option<(char, &[u8])> {
        let sign = format!("%{}", "25".repeat(nested));
        let (value, rest) = hex(text.strip_prefix(sign.as_bytes())?, 2)?;
        Some((char::from_u32(value).filter(|found| *found >= '\u{a0}')?, rest))
    }

    /// `\u0041`, `\u{41}`, `\x41` or `\/`, with more backslashes where that was escaped once more.
    fn backslash(text: &[u8]) -> Vec<(char, &[u8])> {
        let mut found = Vec::new();
        let mut rest = text;
        // Each level of escapes doubles them.
        for _ in 0..2usize.saturating_pow(u32::try_from(MAX_NESTED).unwrap_or_default()) {
            let Some(further) = rest.strip_prefix(b"\\") else { break };
            rest = further;
            found.extend(literal(rest));
            let braced = rest.strip_prefix(b"u{").and_then(|rest| {
                let length = rest.iter().position(|byte| *byte == b'}').filter(|length| *length <= 6)?;
                let (value, rest) = hex(rest, length)?;
                Some((value, rest.strip_prefix(b"}")?))
            });
            let four = rest.strip_prefix(b"u").and_then(|rest| hex(rest, 4));
            let two = rest.strip_prefix(b"x").and_then(|rest| hex(rest, 2));
            let coded = [braced, four, two].into_iter().flatten();
            found.extend(coded.filter_map(|(value, rest)| Some((char::from_u32(value)?, rest))));
            found.extend(pair(rest));
            if let Some((b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'0' | b'a', rest)) = rest.split_first() {
                found.push(('\n', rest));
            }
        }
        found
    }

    fn pair(text: &[u8]) -> Option<(char, &[u8])> {
        let (high, rest) = hex(text.strip_prefix(b"u")?, 4)?;
        let run = rest.iter().take(16).take_while(|byte| **byte == b'\\').count();
        let (low, rest) = hex(rest[run..].strip_prefix(b"u")?, 4)?;
        let halves = (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low) && run > 0;
        let value = 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
        Some((char::from_u32(value)?, rest)).filter(|_| halves)
    }

    /// `&#65;`, `&#x41;` or `&amp;`.
    fn entity(text: &[u8]) -> Option<(char, &[u8])> {
        let text = text.strip_prefix(b"&")?;
        let length = text.iter().take(13).position(|byte| *byte == b';')?;
        let (name, rest) = text.split_at_checked(length)?;
        let rest = rest.strip_prefix(b";")?;
        let name = std::str::from_utf8(name).ok()?;
        let found = match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            "auml" => 'ä',
            "shy" => '\u{ad}',
            _ => {
                let number = name.strip_prefix('#')?;
                let value = match number.strip_prefix(['x', 'X']) {
                    Some(number) => u32::from_str_radix(number, 16),
                    None => number.parse(),
                };
                char::from_u32(value.ok()?)?
            }
        };
        Some((found, rest))
    }
}
