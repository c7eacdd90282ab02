//! Text that came from outside, made fit to be shown.
//!
//! A log, a server or a file name can carry characters that move the cursor, reorder the line or
//! are not seen at all; shown as they are, they could make a report say what we did not say.

/// `text` with every character that is invisible or acts on its surroundings written as `\u{…}`:
/// controls (newline and tab included), line and paragraph separators, bidirectional controls and
/// the other characters that Unicode says to ignore when displaying.
///
/// Safe for one line of a terminal or log; it does not escape for HTML, Markdown or JSON. A
/// backslash stays as it is, so the result reads well, may be escaped again without change, and
/// cannot be turned back.
///
/// Source: contract of the command line ("no control or bidi characters pass through"); Unicode
/// Standard Annex #9 section 2 and the property `Default_Ignorable_Code_Point`.
pub fn escape(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unseen(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// The text without what may be a name and a password in a URL, also in one that is written wrongly: in each word that
/// has `//` or `:/`, everything up to the last `@` is `…` where a colon stands before that. No word without both changes.
pub fn without_userinfo(text: &str) -> String {
    let ends =
        |character: char| character.is_whitespace() || matches!(character, '"' | '\'' | '<' | '>' | '`');
    text.split_inclusive(ends).map(word_without_userinfo).collect()
}

fn word_without_userinfo(word: &str) -> String {
    let parts = word.rsplit_once('@').and_then(|(before, after)| {
        let slashes = before.find("//").or_else(|| before.find(":/"))?;
        let (scheme, userinfo) = before.split_at_checked(slashes.checked_add(2)?)?;
        userinfo.contains(':').then_some((scheme, after))
    });
    parts.map_or_else(|| word.to_owned(), |(scheme, after)| format!("{scheme}…@{after}"))
}

/// Printable ASCII, which is nearly everything that is ever shown, and needs no look at each character.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Whether a character is invisible or acts on its surroundings: see [`escape`].
pub(crate) fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
            | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Characters of a stranger's text that a message repeats.
const SHOWN: usize = 100;

/// `text` in quotation marks for a message: control, format and other invisible characters are
/// escaped as Rust escapes them, and past 100 characters it ends in a visible `…`.
///
/// Log content reaches terminals, CI logs and HTML through messages; an escape sequence or a
/// right-to-left mark in it must not rewrite what we said around it.
pub fn quoted(text: &str) -> String {
    if text.len() <= SHOWN && is_plain(text) && !text.contains(['"', '\\']) {
        return ["\"", text, "\""].concat();
    }
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
    }
}

/// Characters of a sentence of ours about a stranger's text.
const SAID: usize = 400;

/// A sentence of ours that says what is wrong with a stranger's text, fit to stand in another: escaped, and cut where
/// it is long. Its quotation marks are around what is the stranger's already, so it gets none of its own.
pub fn reason(why: &str) -> String {
    match why.char_indices().nth(SAID) {
        None => escape(why),
        Some((end, _)) => format!("{}…", escape(why.get(..end).unwrap_or_default())),
    }
}

/// What is said of a file that is [UTF-16](is_utf16).
pub const UTF_16: &str =
    "it is UTF-16 text, as some editors and shells write it, and not UTF-8: save it as that";

/// What is said of a file where its line ends are why it does not parse.
pub const CRLF: &str = "its lines end in CRLF, as on Windows: save it with Unix line ends (LF)";

/// A file without the byte order mark that some editors write before UTF-8.
pub fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Whether a file is UTF-16: by its byte order mark, which begins no UTF-8, or by a first ASCII character of two
/// bytes, with which no text of ours begins.
pub fn is_utf16(bytes: &[u8]) -> bool {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [0, ascii, ..] | [ascii, 0, ..] => (b'\t'..0x7f).contains(ascii),
        _ => false,
    }
}

/// A time in Unix milliseconds as RFC 3339 in UTC; a time that no calendar has stays a number.
pub fn time(ms: u64) -> String {
    /// 9999-12-31T23:59:59Z.
    const LAST: u64 = 253_402_300_799_000;
    if ms > LAST {
        return format!("{ms} ms after 1970");
    }
    match std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_millis(ms)) {
        Some(time) => humantime::format_rfc3339_millis(time).to_string(),
        None => format!("{ms} ms after 1970"),
    }
}

/// The Unix milliseconds of a time in RFC 3339 in UTC; `None`: it is none, or lies before 1970.
pub fn parse_time(text: &str) -> Option<u64> {
    let since = humantime::parse_rfc3339(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

/// A span of milliseconds in words, to the second.
pub fn duration(ms: u64) -> String {
    let seconds = std::time::Duration::from_secs(ms / 1000);
    humantime::format_duration(seconds).to_string()
}

#[cfg(test)]
mod tests {
    use super::{duration, escape, is_utf16, quoted, reason, time, without_bom, without_userinfo};

    #[test]
    fn passwords_in_urls_are_not_shown_however_they_are_written() {
        for (text, shown) in [
            ("https//user:p/w?d@h/log", "https//…@h/log"),
            ("api+https//user:pass@h/log", "api+https//…@h/log"),
            ("http//:user:pass@h", "http//…@h"),
            ("file:///user:pass@h/log", "file://…@h/log"),
            (
                "cannot read \"api+http://user:p@ss@127.0.0.1:1/heads\": no",
                "cannot read \"api+http://…@127.0.0.1:1/heads\": no",
            ),
            ("http:/user:pass@h", "http:/…@h"),
            ("an alex@corp.example: no", "an alex@corp.example: no"),
            ("https://h:8443/log and a@b", "https://h:8443/log and a@b"),
            ("/srv/a@b/c: 1", "/srv/a@b/c: 1"),
        ] {
            assert_eq!(without_userinfo(text), shown);
        }
    }

    #[test]
    fn ordinary_text_is_untouched() {
        let text = r"/srv/log 2026/tile\x/Ünïcode-日本語-🙂 'q' <b>";
        assert_eq!(escape(text), text);
    }

    #[test]
    fn every_dangerous_character_is_escaped() {
        let ranges = [
            0x00..=0x1F,
            0x7F..=0x9F,
            0x061C..=0x061C,
            0x200B..=0x200F,
            0x2028..=0x202E,
            0x2060..=0x2069,
            0xFEFF..=0xFEFF,
            0xE0020..=0xE007F,
        ];
        for value in ranges.into_iter().flatten() {
            let character = char::from_u32(value).unwrap();
            assert_eq!(escape(&format!("a{character}b")), format!("a\\u{{{value:x}}}b"));
        }
    }

    #[test]
    fn escaping_twice_changes_nothing() {
        let once = escape("\u{1b}[31mred\u{202e}\n");
        assert_eq!(once, "\\u{1b}[31mred\\u{202e}\\u{a}");
        assert_eq!(escape(&once), once);
    }

    #[test]
    fn quoting_escapes_what_would_move_the_cursor_or_hide() {
        assert_eq!(quoted("a\u{1b}[2J\u{202e}\n\""), r#""a\u{1b}[2J\u{202e}\n\"""#);
    }

    #[test]
    fn plain_text_is_quoted_as_all_text_is() {
        for text in [
            "",
            "a",
            "id-1",
            " ",
            "~",
            "a\"b",
            "a\\b",
            "a'b",
            "\u{7f}",
            "\n",
            "é",
            &"x".repeat(100),
            &"x".repeat(101),
        ] {
            let cut: String = text.chars().take(100).collect();
            let more = if cut == text { "" } else { "…" };
            assert_eq!(quoted(text), format!("{cut:?}{more}"));
        }
    }

    #[test]
    fn quoting_cuts_between_characters_and_says_so() {
        let long = "é".repeat(101);
        assert_eq!(quoted(&long), format!("\"{}\"…", "é".repeat(100)));
        assert_eq!(quoted(&"é".repeat(100)), format!("\"{}\"", "é".repeat(100)));
    }

    #[test]
    fn a_reason_is_quoted_by_nobody_twice() {
        let why = format!("it is of log {:?}", "a\u{1b}\"b");
        assert_eq!(reason(&why), why);
        assert_eq!(reason("a\u{1b}\n"), "a\\u{1b}\\u{a}");
        assert_eq!(reason(&"é".repeat(400)), "é".repeat(400));
        assert_eq!(reason(&"é".repeat(401)), format!("{}…", "é".repeat(400)));
    }

    #[test]
    fn marks_and_odd_encodings_are_known() {
        assert_eq!(without_bom(b"\xef\xbb\xbf{}"), b"{}");
        assert_eq!(without_bom(b"{}\xef\xbb\xbf"), b"{}\xef\xbb\xbf");
        assert_eq!(without_bom(b"\xef\xbb"), b"\xef\xbb");
        for odd in [&b"\xff\xfe"[..], b"\xfe\xff{", b"{\0}\0", b"\0{\0}", b"\n\0"] {
            assert!(is_utf16(odd), "{odd:?}");
        }
        for usual in [&b""[..], b"{", b"{}", b"\xef\xbb\xbf{}", b"\0\0", b"\0", "é".as_bytes(), b"a\n\0"] {
            assert!(!is_utf16(usual), "{usual:?}");
        }
    }

    #[test]
    fn any_number_is_some_time() {
        assert_eq!(time(1_782_000_045_000), "2026-06-21T00:00:45.000Z");
        assert_eq!(time(u64::MAX), "18446744073709551615 ms after 1970");
        assert_eq!(duration(90_061_000), "1day 1h 1m 1s");
        assert!(!duration(u64::MAX).is_empty());
    }
}
