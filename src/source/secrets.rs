//! Secrets that are shown to nobody, in whatever customary spelling they come back.
//!
//! Whoever a secret is sent to knows it and may send it back: as it was sent, percent-decoded, as JSON or HTML escapes it,
//! in hexadecimal or base64, alone or as a part of something longer. What nobody can recognise, such as a cipher, is
//! not meant.

use super::auth::SHORTEST;
use crate::core::encoding::{decode_base64, encode_base64, encode_hex};

/// What stands in a secret's place.
const HIDDEN: &str = "[a secret of yours]";

/// Shorter forms in base64 or hexadecimal are not looked for in messages, as ordinary text may look so.
const SHORTEST_CODED: usize = 6;

/// The same for answers, which may have millions of such characters.
const SHORTEST_CODED_IN_ANSWERS: usize = 10;

/// Shorter parts of a header's value are not looked for: they are ordinary words.
const SHORTEST_PART: usize = 8;

/// The most escapes of escapes that are seen through.
const MOST_NESTED: usize = 4;

/// Texts that are not to be repeated. There is no `Debug`.
#[derive(Clone, Default)]
pub struct Secrets {
    forms: Vec<Form>,
}

/// A secret in one of its codings.
#[derive(Clone, PartialEq, Eq)]
struct Form {
    text: String,
    coding: Coding,
    /// Looked for in answers too, and not in messages alone.
    in_answers: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Plain,
    /// Either alphabet, without padding.
    Base64,
    Hex,
}

impl Secrets {
    /// A secret that no answer has any business to contain. One of less than four bytes cannot be told from ordinary
    /// text, and is left out.
    pub fn add(&mut self, secret: &str) {
        self.add_forms(secret, true);
    }

    /// The same for a text that answers may well contain, such as a log's name in a query.
    pub(super) fn add_unshown(&mut self, text: &str) {
        self.add_forms(text, false);
    }

    /// The same for a part of a URL, as it stands there and percent-decoded.
    pub(super) fn add_part(&mut self, part: &str) {
        self.add_unshown(part);
        self.add_unshown(&percent_decoded(part));
    }

    /// What is sent for a user and a password of a URL, which are percent-encoded there.
    pub(super) fn add_credentials(&mut self, user: &str, password: &str, in_answers: bool) {
        let [plain_user, plain_password] = [user, password].map(percent_decoded);
        for text in [password, &plain_password] {
            self.add_forms(text, in_answers);
        }
        // A token may stand in the place of the user.
        if password.len() < SHORTEST {
            [user, &plain_user].iter().for_each(|text| self.add_forms(text, false));
        }
        self.add_base64(&format!("{plain_user}:{plain_password}"), in_answers);
    }

    /// The value of a header, and what is in it: the token behind a scheme, a password in `Basic`, a cookie's value.
    pub(super) fn add_header(&mut self, name: &str, value: &str) {
        // The one scheme that is no secret itself: it stands before each of ours.
        self.add(value.strip_prefix("Bearer ").unwrap_or(value));
        if let Some((scheme, token)) = value.split_once(' ')
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        {
            self.add_forms(token.trim(), token.len() >= SHORTEST_PART);
            let basic = decode_base64(token.trim()).and_then(|bytes| String::from_utf8(bytes).ok());
            if let Some(basic) = basic
                && let Some((_, password)) = basic.split_once(':')
            {
                self.add(password);
                // Also without its padding.
                self.add_base64(&basic, true);
            }
        }
        let parts = value.split([' ', ';', ',', '"']).flat_map(|part| {
            // Of a cookie, the value; a token may itself end with the sign.
            let value = part.split_once('=').map(|(_, value)| value);
            [Some(part), value].into_iter().flatten()
        });
        for part in parts.filter(|part| part.len() >= SHORTEST_PART) {
            self.add_forms(part, name.eq_ignore_ascii_case("cookie"));
        }
    }

    /// The base64 of a text, such as the user and the password together.
    pub fn add_base64(&mut self, text: &str, in_answers: bool) {
        self.push(unpadded(text.as_bytes()), Coding::Base64, in_answers, SHORTEST_CODED);
    }

    fn add_forms(&mut self, secret: &str, in_answers: bool) {
        if secret.len() < SHORTEST {
            return;
        }
        self.push(secret.to_owned(), Coding::Plain, in_answers, SHORTEST);
        self.add_base64(secret, in_answers);
        for before in 0..3 {
            self.push(inside_base64(secret, before), Coding::Base64, in_answers, SHORTEST_PART);
        }
        self.push(encode_hex(secret.as_bytes()), Coding::Hex, in_answers, SHORTEST_CODED);
    }

    fn push(&mut self, text: String, coding: Coding, in_answers: bool, shortest: usize) {
        if text.len() < shortest {
            return;
        }
        let in_answers = in_answers && (coding == Coding::Plain || text.len() >= SHORTEST_CODED_IN_ANSWERS);
        let form = Form { text, coding, in_answers };
        if !self.forms.contains(&form) {
            self.forms.push(form);
        }
    }

    /// `text` without any of them.
    pub fn hide(&self, text: &str) -> String {
        let starts = self.starts(true, |_| true);
        let mut out = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((first, further)) = rest.split_first() {
            let after = starts.may(*first).then(|| {
                self.forms.iter().filter_map(|form| form.after(rest, true)).min_by_key(|rest| rest.len())
            });
            match after.flatten() {
                Some(after) => {
                    out.extend_from_slice(HIDDEN.as_bytes());
                    rest = after;
                }
                None => {
                    out.push(*first);
                    rest = further;
                }
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Whether a message repeats any of them.
    pub fn are_in(&self, message: &str) -> bool {
        self.find(message.as_bytes(), true, |_| true)
    }

    /// Whether an answer repeats one that it must not.
    pub(super) fn are_in_answer(&self, answer: &[u8]) -> bool {
        self.find(answer, false, |form| form.in_answers)
    }

    fn find(&self, text: &[u8], any_case: bool, meant: fn(&Form) -> bool) -> bool {
        let starts = self.starts(any_case, meant);
        let mut rest = text;
        while let Some((first, further)) = rest.split_first() {
            let forms = || self.forms.iter().filter(|form| meant(form));
            if starts.may(*first) && forms().any(|form| form.after(rest, any_case).is_some()) {
                return true;
            }
            rest = further;
        }
        false
    }

    fn starts(&self, any_case: bool, meant: fn(&Form) -> bool) -> Starts {
        let mut starts = Starts([false; 256]);
        for form in self.forms.iter().filter(|form| meant(form)) {
            let Some(first) = form.text.chars().next() else { continue };
            let begins = |byte: &u8| {
                // Where a text is more than ASCII, the character is looked at later.
                !byte.is_ascii() && !first.is_ascii() || form.is_same(char::from(*byte), first, any_case)
            };
            let escapes = |byte: &u8| matches!(byte, b'%' | b'\\' | b'&') || *byte == b'+' && first == ' ';
            for (byte, place) in (0..=u8::MAX).zip(starts.0.iter_mut()) {
                *place = *place || begins(&byte) || escapes(&byte);
            }
        }
        starts
    }
}

/// The bytes that a secret can begin with: an answer of many megabytes is looked at closely only there.
struct Starts([bool; 256]);

impl Starts {
    fn may(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte)).copied().unwrap_or(true)
    }
}

impl Form {
    /// What stands behind this form, if `text` begins with it; each character may be spelled in its own way.
    fn after<'a>(&self, text: &'a [u8], any_case: bool) -> Option<&'a [u8]> {
        let mut behind = vec![text];
        for wanted in self.text.chars() {
            let mut next = Vec::new();
            for rest in behind {
                let found = literal(rest).into_iter().chain(spelled(rest));
                next.extend(found.filter(|(c, _)| self.is_same(*c, wanted, any_case)).map(|(_, rest)| rest));
                // In a query.
                next.extend(rest.strip_prefix(b"+").filter(|_| wanted == ' '));
            }
            next.sort_by_key(|rest| rest.len());
            next.dedup_by_key(|rest| rest.len());
            behind = next;
            if behind.is_empty() {
                return None;
            }
        }
        behind.first().copied()
    }

    fn is_same(&self, found: char, wanted: char, any_case: bool) -> bool {
        let is_folded = any_case || self.coding == Coding::Hex;
        found == wanted
            || is_folded && found.eq_ignore_ascii_case(&wanted)
            || self.coding == Coding::Base64 && matches!((found, wanted), ('-', '+') | ('_', '/'))
    }
}

/// A character as it stands, and what is behind it.
fn literal(text: &[u8]) -> Option<(char, &[u8])> {
    let (first, rest) = text.split_first()?;
    if first.is_ascii() {
        return Some((char::from(*first), rest));
    }
    (2..=4).find_map(|length| {
        let (character, rest) = text.split_at_checked(length)?;
        Some((std::str::from_utf8(character).ok()?.chars().next()?, rest))
    })
}

/// The characters that `text` may begin with in another spelling, each with what is behind it.
fn spelled(text: &[u8]) -> Vec<(char, &[u8])> {
    match text.first() {
        Some(b'%') => (0..MOST_NESTED).filter_map(|nested| percent(text, nested)).collect(),
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

/// `\u0041`, `\u{41}`, `\x41` or `\/`, with more backslashes where that was escaped once more.
fn backslash(text: &[u8]) -> Vec<(char, &[u8])> {
    let mut found = Vec::new();
    let mut rest = text;
    // Each level of escapes doubles them.
    for _ in 0..2usize.saturating_pow(u32::try_from(MOST_NESTED).unwrap_or_default()) {
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
    }
    found
}

/// `&#65;`, `&#x41;` or `&amp;`.
fn entity(text: &[u8]) -> Option<(char, &[u8])> {
    let text = text.strip_prefix(b"&")?;
    let length = text.iter().take(10).position(|byte| *byte == b';')?;
    let (name, rest) = text.split_at_checked(length)?;
    let rest = rest.strip_prefix(b";")?;
    let name = std::str::from_utf8(name).ok()?;
    let found = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
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

/// So many hexadecimal digits, in capitals or not.
fn hex(text: &[u8], digits: usize) -> Option<(u32, &[u8])> {
    let (number, rest) = text.split_at_checked(digits)?;
    let number = std::str::from_utf8(number).ok().filter(|text| !text.starts_with('+'))?;
    Some((u32::from_str_radix(number, 16).ok()?, rest))
}

fn unpadded(bytes: &[u8]) -> String {
    encode_base64(bytes).trim_end_matches('=').to_owned()
}

/// What base64 makes of the secret whatever stands around it, where so many bytes more than a multiple of three stand
/// before it.
fn inside_base64(secret: &str, before: usize) -> String {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(secret.as_bytes());
    // Of six bits each, those that are partly of what is before, and those that are partly of what is behind.
    let (first, whole) = (before.saturating_mul(8).div_ceil(6), bytes.len().saturating_mul(8) / 6);
    unpadded(&bytes).get(first..whole).unwrap_or_default().to_owned()
}

fn percent_decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, further)) = rest.split_first() {
        let coded = rest.strip_prefix(b"%").and_then(|rest| hex(rest, 2));
        match coded.and_then(|(value, rest)| Some((u8::try_from(value).ok()?, rest))) {
            Some((byte, after)) => {
                bytes.push(byte);
                rest = after;
            }
            None => {
                bytes.push(*first);
                rest = further;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(secrets: &Secrets, text: &str) -> bool {
        let hidden = secrets.hide(text);
        assert_eq!(hidden != text, secrets.are_in(text), "{text}");
        assert!(!secrets.are_in(&hidden), "{hidden}");
        hidden != text
    }

    /// As a URL has it: the user `us`, the password `p/s:3 "cre€t`.
    fn of_a_url() -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add_credentials("us", "p%2fs:3%20%22cre%E2%82%act", true);
        secrets
    }

    #[test]
    fn a_secret_is_known_in_every_spelling() {
        let secrets = of_a_url();
        for said in [
            "p/s:3 \"cre€t",
            "P/S:3 \"CRE€T",
            "p%2fs:3%20%22cre%E2%82%act",
            "p%2Fs%3A3%20%22cre%e2%82%AC%74",
            "p/s:3%20%22cre%E2%82%ACt",
            "p%2Fs%3A3+%22cre%E2%82%ACt",
            "%70%2F%73%3A%33%20%22%63%72%65%E2%82%AC%74",
            "p%252Fs:3%2520%2522cre%25E2%2582%25ACt",
            r#"p/s:3 \"cre€t"#,
            r#"p\/s:3 \"cre\u20act"#,
            r#"\u0070/s:3\u0020\u0022cre\u20ACt"#,
            r#"p/s:3 \\\"cre\\u20act"#,
            r"p/s:3 \x22cre\u{20ac}t",
            "p/s:3 &quot;cre&#8364;t",
            "p&#x2F;s:3 &#34;cre&#x20ac;t",
        ] {
            assert!(hidden(&secrets, said), "{said}");
            assert!(hidden(&secrets, &format!("a «{said}» b")), "{said}");
            let kept = secrets.hide(&format!("http://evil.example/{said}/x"));
            assert_eq!(kept, format!("http://evil.example/{HIDDEN}/x"));
        }
        let plain = "p/s:3 \"cre€t";
        assert_eq!(
            secrets.hide(&encode_base64(b"us:p/s:3 \"cre\xe2\x82\xact")).trim_end_matches('='),
            HIDDEN
        );
        let basic = encode_base64(format!("us:{plain}").as_bytes());
        for around in ["", "a", "ab", "abc", "somebody:", "\0us\0"] {
            for behind in ["", "x", "xy", "xyz"] {
                let coded = encode_base64(format!("{around}{plain}{behind}").as_bytes());
                let url = coded.replace('+', "-").replace('/', "_").replace('=', "");
                let escaped = coded.replace('/', "\\/").replace('+', "%2B").replace('=', "%3D");
                for said in [&coded, &url, &escaped] {
                    assert!(hidden(&secrets, &format!("x {said} y")), "{said}");
                    assert!(secrets.are_in_answer(said.as_bytes()), "{said}");
                }
            }
        }
        let hex = encode_hex(plain.as_bytes());
        for said in [&basic, basic.trim_end_matches('='), &hex, &hex.to_uppercase()] {
            assert!(hidden(&secrets, &format!("Basic {said}, or not")), "{said}");
            assert!(secrets.are_in_answer(said.as_bytes()), "{said}");
        }
    }

    #[test]
    fn what_is_none_stays() {
        let secrets = of_a_url();
        for said in
            ["", "p/s:3 \"cre€", "us", "HTTP 403 Forbidden", "%", "\\", "&", "%2", "\\u{", "&#;", "p%2"]
        {
            assert!(!hidden(&secrets, said), "{said}");
            assert!(!secrets.are_in_answer(said.as_bytes()));
        }
        let mut none = Secrets::default();
        none.add("abc");
        assert!(!none.are_in("abc") && none.hide("abc") == "abc");
        // What a message hides, an answer may well have.
        let mut word = Secrets::default();
        word.add_unshown("checkpoint");
        assert!(word.are_in("CHECKPOINT") && !word.are_in_answer(b"checkpoint"));
        let mut token = Secrets::default();
        token.add("Tk-s3cret-bearer");
        assert!(token.are_in_answer(b"x Tk-s3cret-bearer") && !token.are_in_answer(b"tk-S3CRET-bearer"));
        assert!(!token.are_in_answer(b"\xff\xfe%ff\\xff"));
    }

    #[test]
    fn headers_have_secrets_inside() {
        let mut secrets = Secrets::default();
        secrets.add_header("authorization", "Basic dXM6czNjcmV0LXBhc3M=");
        secrets.add_header("cookie", "session=s3cret-cookie; theme=dark");
        secrets.add_header("x-api-key", "k3y with space");
        secrets.add_header("x-token", "Token s3cret-token");
        for said in [
            "dXM6czNjcmV0LXBhc3M=",
            "dXM6czNjcmV0LXBhc3M",
            "s3cret-pass",
            "us:s3cret-pass",
            "s3cret%2Dpass",
            "s3cret-cookie",
            "k3y%20with+space",
            "s3cret-token",
        ] {
            assert!(hidden(&secrets, said), "{said}");
            assert!(secrets.are_in_answer(said.as_bytes()), "{said}");
        }
        assert!(!hidden(&secrets, "Basic, session, theme, dark, Token, with, space"));
    }

    #[test]
    fn a_token_in_the_place_of_the_user_is_a_secret() {
        let mut secrets = Secrets::default();
        secrets.add_credentials("s3cret-user", "", true);
        assert!(hidden(&secrets, "s3cret-user") && hidden(&secrets, &encode_base64(b"s3cret-user:")));
    }
}
