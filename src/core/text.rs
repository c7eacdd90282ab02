//! Makes untrusted text safe to display.
//!
//! A log, a server or a file name can contain characters that move the cursor, reorder the line or are invisible.
//! Displayed verbatim, they could change what a report seems to say.

use std::time::Duration;

/// `text` with every character that is invisible or affects its surroundings written as `\u{…}`: controls (including newline
/// and tab), line and paragraph separators, bidirectional controls and the other characters that Unicode excludes from
/// display.
///
/// The result is safe for one line of a terminal or log. It is not escaped for HTML, Markdown or JSON. A backslash is not
/// escaped, so the result is readable, can be escaped again without change, and cannot be unescaped.
///
/// Source: Unicode Standard Annex #9 section 2 and the property `Default_Ignorable_Code_Point`.
pub fn escape(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_invisible(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// The text with names and passwords in URLs replaced by `…`, also in malformed URLs. In each word with `//` or `:/`, the
/// part between that and the last `@` is replaced if it contains a colon. Other words stay unchanged.
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

/// Whether the text is printable ASCII. Nearly all displayed text is, and needs no further check.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Whether a character is invisible or affects its surroundings; see [`escape`].
pub(crate) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
            | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Characters of untrusted text that a message repeats.
const MAX_QUOTED_CHARS: usize = 100;

/// `text` in quotation marks for a message: control, format and other invisible characters are escaped as in Rust, and text
/// beyond 100 characters is cut with a visible `…`.
///
/// Messages carry log content to terminals, CI logs and HTML. An escape sequence or a right-to-left mark in it must not
/// change the words around it.
pub fn quoted(text: &str) -> String {
    if text.len() <= MAX_QUOTED_CHARS && is_plain(text) && !text.contains(['"', '\\']) {
        return ["\"", text, "\""].concat();
    }
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
    }
}

/// Characters of an error message about untrusted text.
const MAX_REASON_CHARS: usize = 400;

/// An error message about untrusted text, made safe for use inside another message: escaped, and cut if it is long. It
/// quotes the untrusted parts already, so no quotation marks are added.
pub fn reason(why: &str) -> String {
    match why.char_indices().nth(MAX_REASON_CHARS) {
        None => escape(why),
        Some((end, _)) => format!("{}…", escape(why.get(..end).unwrap_or_default())),
    }
}

/// The error message for a file that is [UTF-16](is_utf16).
pub const UTF_16: &str =
    "it is UTF-16 text, as some editors and shells write it, and not UTF-8: save it as that";

/// The error message for a file that does not parse because of its line ends.
pub const CRLF: &str = "its lines end in CRLF, as on Windows: save it with Unix line ends (LF)";

/// The bytes of a file without the byte order mark that some editors write before UTF-8.
pub fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Whether a file is UTF-16: it begins with a UTF-16 byte order mark, which is not valid UTF-8, or with an ASCII character
/// and a NUL, which no supported format does.
pub fn is_utf16(bytes: &[u8]) -> bool {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [0, ascii, ..] | [ascii, 0, ..] => (b'\t'..0x7f).contains(ascii),
        _ => false,
    }
}

/// A text as one word of a POSIX shell's command line, for commands that a person copies: a name that somebody else chose
/// must not become a command. Invisible characters are escaped, so a text that has some is another one there.
pub fn shell_word(text: &str) -> String {
    let text = escape(text);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A duration in words, truncated to seconds.
pub fn duration(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::{
        Duration, duration, escape, is_utf16, quoted, reason, shell_word, without_bom, without_userinfo,
    };

    #[test]
    fn passwords_in_urls_are_hidden() {
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
    fn quoting_escapes_control_and_invisible_characters() {
        assert_eq!(quoted("a\u{1b}[2J\u{202e}\n\""), r#""a\u{1b}[2J\u{202e}\n\"""#);
    }

    #[test]
    fn the_fast_path_quotes_the_same_way() {
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
    fn reasons_are_not_quoted_again() {
        let why = format!("it is of log {:?}", "a\u{1b}\"b");
        assert_eq!(reason(&why), why);
        assert_eq!(reason("a\u{1b}\n"), "a\\u{1b}\\u{a}");
        assert_eq!(reason(&"é".repeat(400)), "é".repeat(400));
        assert_eq!(reason(&"é".repeat(401)), format!("{}…", "é".repeat(400)));
    }

    #[test]
    fn byte_order_marks_and_utf16_are_recognised() {
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
    fn names_are_one_word_of_a_shell() {
        for (text, word) in [
            ("alex@corp.example", "alex@corp.example"),
            ("/srv/gate.db", "/srv/gate.db"),
            ("", "''"),
            ("-x", "'-x'"),
            ("a b", "'a b'"),
            ("$(id)`id`", "'$(id)`id`'"),
            ("it's;id", "'it'\\''s;id'"),
            ("a\nb", "'a\\u{a}b'"),
        ] {
            assert_eq!(shell_word(text), word);
        }
    }

    #[test]
    fn durations_are_shown_in_whole_seconds() {
        assert_eq!(duration(Duration::from_millis(90_061_999)), "1day 1h 1m 1s");
        assert!(!duration(Duration::MAX).is_empty());
    }
}
