//! Hides secrets, in every common encoding in which they may come back.
//!
//! A server that receives a secret may send it back: as it was sent, percent-decoded, escaped for JSON or HTML,
//! in hexadecimal or base64, in another case, width or composition, with invisible characters in it, alone or
//! inside something longer. Encodings that a reader cannot recognise, such as a cipher, are out of scope.
//!
//! Lengths of secrets are added with saturation: a secret is at most a few kilobytes long.

use super::base64_runs::decode_runs;
use super::escapes::{hex, utf8_or_latin1};
use super::normaliser::normalise;
use super::search::{Search, SearchBudgetExceeded, SecretEncoding, SecretForm};
use crate::core::encoding::{decode_base64, encode_base64, encode_hex};
use reqwest::Url;

/// Replaces a secret.
const REDACTED: &str = "[a secret of yours]";

/// Replaces the rest of a message that takes too much work to search.
const CUT: &str = "[cut: looking for your secrets in the rest takes too long]";

/// The shortest secret, in bytes, that is searched for in what a server sends.
const MIN_SECRET: usize = 4;

/// The shortest base64 or hexadecimal form searched for in messages: ordinary text may look like shorter ones.
const MIN_CODED: usize = 6;

/// The same for answers, which may contain millions of such characters.
const MIN_CODED_IN_ANSWERS: usize = 10;

/// Shorter secrets are searched for in answers in their own case only, because a few megabytes of base64
/// contain every word of five letters in some case.
const MIN_FOLDED_IN_ANSWERS: usize = 8;

/// How often base64 inside base64 is decoded: a log's answer contains entries, and these contain what an
/// authenticator signed.
const MAX_BASE64_NESTING: usize = 4;

/// The shortest part of a header's value that is searched for: shorter parts are ordinary words.
const MIN_PART: usize = 8;

/// Texts that must not be shown. There is no `Debug` implementation.
#[derive(Clone, Default)]
pub struct Secrets {
    forms: Vec<SecretForm>,
}

impl Secrets {
    /// Adds a secret that no honest answer contains. A secret of less than four bytes is ignored, because it
    /// cannot be told from ordinary text.
    pub fn add(&mut self, secret: &str) {
        self.add_forms(secret.as_bytes(), true);
    }

    /// Adds a text that answers may contain, such as a log's name in a query. It is hidden in messages only.
    pub(super) fn add_unshown(&mut self, text: &str) {
        self.add_forms(text.as_bytes(), false);
    }

    /// The same for a part of a URL, both as written and percent-decoded.
    pub(super) fn add_part(&mut self, part: &str) {
        self.add_unshown(part);
        self.add_forms(&percent_decoded(part), false);
    }

    /// Adds user and password of a URL, which are percent-encoded there.
    pub(super) fn add_credentials(&mut self, user: &str, password: &str, in_answers: bool) {
        let [plain_user, plain_password] = [user, password].map(percent_decoded);
        for text in [password.as_bytes(), &plain_password] {
            self.add_forms(text, in_answers);
        }
        // The user name may be a token.
        if password.len() < MIN_SECRET {
            [user.as_bytes(), &plain_user].iter().for_each(|text| self.add_forms(text, false));
        }
        self.push_base64(&[&plain_user[..], b":", &plain_password].concat(), in_answers);
    }

    /// Adds the value of a header and its parts: the token after a scheme, a password in `Basic`, a cookie's
    /// value.
    pub(super) fn add_header(&mut self, name: &str, value: &str) {
        // Without the scheme, which precedes every bearer token and is not secret.
        self.add(value.strip_prefix("Bearer ").unwrap_or(value));
        if let Some((scheme, token)) = value.split_once(' ')
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        {
            self.add_forms(token.trim().as_bytes(), token.len() >= MIN_PART);
            let basic = decode_base64(token.trim()).unwrap_or_default();
            if let Some(colon) = basic.iter().position(|byte| *byte == b':') {
                self.add_forms(basic.get(colon.saturating_add(1)..).unwrap_or_default(), true);
                // Also without padding.
                self.push_base64(&basic, true);
            }
        }
        let parts = value.split([' ', ';', ',', '"']).flat_map(|part| {
            // The value of a cookie; a token may itself end with the sign.
            let value = part.split_once('=').map(|(_, value)| value);
            [Some(part), value].into_iter().flatten()
        });
        for part in parts.filter(|part| part.len() >= MIN_PART) {
            self.add_forms(part.as_bytes(), name.eq_ignore_ascii_case("cookie"));
        }
    }

    /// Adds the base64 of a text, such as user and password together.
    pub fn add_base64(&mut self, text: &str, in_answers: bool) {
        self.push_base64(text.as_bytes(), in_answers);
    }

    fn push_base64(&mut self, bytes: &[u8], in_answers: bool) {
        self.push_coded(&unpadded(bytes), SecretEncoding::Base64, in_answers, MIN_CODED);
    }

    fn add_forms(&mut self, secret: &[u8], in_answers: bool) {
        if secret.len() < MIN_SECRET {
            return;
        }
        let text = utf8_or_latin1(secret);
        self.push_text(&text, in_answers);
        in_a_host(&text).into_iter().for_each(|host| self.push_text(&host, in_answers));
        self.push_base64(secret, in_answers);
        for before in 0..3 {
            let inside = inside_base64(secret, before);
            self.push_coded(&inside, SecretEncoding::Base64, in_answers, MIN_PART);
        }
        self.push_coded(&encode_hex(secret), SecretEncoding::Hex, in_answers, MIN_CODED);
    }

    fn push_text(&mut self, text: &str, in_answers: bool) {
        let is_long = text.len() >= MIN_FOLDED_IN_ANSWERS;
        self.push(text, SecretEncoding::Plain, true, in_answers && is_long, MIN_SECRET);
        if in_answers && !is_long {
            self.push(text, SecretEncoding::Plain, false, true, MIN_SECRET);
        }
    }

    fn push_coded(&mut self, text: &str, coding: SecretEncoding, in_answers: bool, shortest: usize) {
        self.push(text, coding, true, in_answers && text.len() >= MIN_CODED_IN_ANSWERS, shortest);
    }

    fn push(
        &mut self,
        text: &str,
        coding: SecretEncoding,
        is_folded: bool,
        in_answers: bool,
        shortest: usize,
    ) {
        let form = SecretForm { letters: normalise(text, is_folded), coding, is_folded, in_answers };
        let length: usize = form.letters.iter().map(|letter| letter.len_utf8()).sum();
        if length >= shortest && !self.forms.contains(&form) {
            self.forms.push(form);
        }
    }

    /// Replaces every secret in `text`.
    pub fn hide(&self, text: &str) -> String {
        let mut search = Search::new(text.as_bytes(), self.forms.iter().collect());
        let mut out = Vec::new();
        let mut at = 0;
        loop {
            let (end, instead, next) = match search.next(at) {
                Ok(Some(found)) => (found.start, REDACTED, Some(found.end)),
                Ok(None) => (text.len(), "", None),
                Err(SearchBudgetExceeded) => (at, CUT, None),
            };
            out.extend_from_slice(text.as_bytes().get(at..end).unwrap_or_default());
            out.extend_from_slice(instead.as_bytes());
            match next {
                Some(next) => at = next,
                None => return String::from_utf8_lossy(&out).into_owned(),
            }
        }
    }

    /// Whether a message contains a secret, or cannot be searched with bounded work.
    pub fn contained_in(&self, message: &str) -> bool {
        let mut search = Search::new(message.as_bytes(), self.forms.iter().collect());
        search.next(0) != Ok(None)
    }

    /// Why an answer must be refused: it contains a secret, or may contain one. Base64 in the answer is decoded
    /// first, because findings show the decoded content.
    pub(super) fn refusal(&self, answer: &[u8]) -> Option<&'static str> {
        let forms: Vec<&SecretForm> = self.forms.iter().filter(|form| form.in_answers).collect();
        if forms.is_empty() {
            return None;
        }
        let mut decoded;
        let mut text = answer;
        for _ in 0..=MAX_BASE64_NESTING {
            match Search::new(text, forms.clone()).next(0) {
                Ok(None) => {}
                Ok(Some(_)) => return Some("the answer repeats a secret that was sent; it was not kept"),
                Err(SearchBudgetExceeded) => {
                    return Some(
                        "the answer resembles a secret that was sent so closely that searching for the secret \
                         takes too long; it was not kept",
                    );
                }
            }
            decoded = decode_runs(text);
            text = &decoded;
        }
        None
    }
}

/// The form of a non-ASCII text as the host name of a URL.
fn in_a_host(text: &str) -> Option<String> {
    let url = Url::parse(&format!("http://{text}/")).ok().filter(|_| !text.is_ascii())?;
    url.host_str().map(str::to_owned)
}

fn unpadded(bytes: &[u8]) -> String {
    encode_base64(bytes).trim_end_matches('=').to_owned()
}

/// The base64 characters that depend on the secret alone, if the number of bytes before it is `before` more
/// than a multiple of three.
fn inside_base64(secret: &[u8], before: usize) -> String {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(secret);
    // Each character has six bits. Leaves out those that also depend on the bytes before or after the secret.
    let (first, whole) = (before.saturating_mul(8).div_ceil(6), bytes.len().saturating_mul(8) / 6);
    unpadded(&bytes).get(first..whole).unwrap_or_default().to_owned()
}

fn percent_decoded(text: &str) -> Vec<u8> {
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
    bytes
}

#[cfg(test)]
#[path = "secrets_cost_tests.rs"]
mod cost_tests;

#[cfg(test)]
mod tests {
    use super::*;

    impl Secrets {
        fn are_in_answer(&self, answer: &[u8]) -> bool {
            self.refusal(answer).is_some()
        }
    }

    fn hidden(secrets: &Secrets, text: &str) -> bool {
        let hidden = secrets.hide(text);
        assert_eq!(hidden != text, secrets.contained_in(text), "{text}");
        assert!(!secrets.contained_in(&hidden), "{hidden}");
        hidden != text
    }

    /// The user `us` and the password `p/s:3 "cre€t`, as in a URL.
    fn of_a_url() -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add_credentials("us", "p%2fs:3%20%22cre%E2%82%act", true);
        secrets
    }

    #[test]
    fn a_secret_is_hidden_in_every_encoding() {
        let secrets = of_a_url();
        for spelling in [
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
            assert!(hidden(&secrets, spelling), "{spelling}");
            assert!(hidden(&secrets, &format!("a «{spelling}» b")), "{spelling}");
            let kept = secrets.hide(&format!("http://evil.example/{spelling}/x"));
            assert_eq!(kept, format!("http://evil.example/{REDACTED}/x"));
        }
        let plain = "p/s:3 \"cre€t";
        assert_eq!(
            secrets.hide(&encode_base64(b"us:p/s:3 \"cre\xe2\x82\xact")).trim_end_matches('='),
            REDACTED
        );
        let basic = encode_base64(format!("us:{plain}").as_bytes());
        for around in ["", "a", "ab", "abc", "somebody:", "\0us\0"] {
            for behind in ["", "x", "xy", "xyz"] {
                let coded = encode_base64(format!("{around}{plain}{behind}").as_bytes());
                let url = coded.replace('+', "-").replace('/', "_").replace('=', "");
                let escaped = coded.replace('/', "\\/").replace('+', "%2B").replace('=', "%3D");
                for spelling in [&coded, &url, &escaped] {
                    assert!(hidden(&secrets, &format!("x {spelling} y")), "{spelling}");
                    assert!(secrets.are_in_answer(spelling.as_bytes()), "{spelling}");
                }
            }
        }
        let hex = encode_hex(plain.as_bytes());
        for spelling in [&basic, basic.trim_end_matches('='), &hex, &hex.to_uppercase()] {
            assert!(hidden(&secrets, &format!("Basic {spelling}, or not")), "{spelling}");
            assert!(secrets.are_in_answer(spelling.as_bytes()), "{spelling}");
        }
    }

    #[test]
    fn other_text_is_kept() {
        let secrets = of_a_url();
        for spelling in
            ["", "p/s:3 \"cre€", "us", "HTTP 403 Forbidden", "%", "\\", "&", "%2", "\\u{", "&#;", "p%2"]
        {
            assert!(!hidden(&secrets, spelling), "{spelling}");
            assert!(!secrets.are_in_answer(spelling.as_bytes()));
        }
        let mut none = Secrets::default();
        none.add("abc");
        assert!(!none.contained_in("abc") && none.hide("abc") == "abc");
        // An answer may contain what only messages hide.
        let mut word = Secrets::default();
        word.add_unshown("checkpoint");
        assert!(word.contained_in("CHECKPOINT") && !word.are_in_answer(b"checkpoint"));
        let mut token = Secrets::default();
        token.add("Tk-s3cret-bearer");
        token.add("Sh0rt");
        assert!(token.are_in_answer(b"x Tk-s3cret-bearer") && token.are_in_answer(b"tk-S3CRET-bearer"));
        assert!(!token.are_in_answer(b"\xff\xfe%ff\\xff"));
        // A long answer contains every short word in some case.
        assert!(
            token.are_in_answer(b"x Sh0rt") && !token.are_in_answer(b"sh0rt") && token.contained_in("sh0rt")
        );
    }

    #[test]
    fn parts_of_headers_are_secrets() {
        let mut secrets = Secrets::default();
        secrets.add_header("authorization", "Basic dXM6czNjcmV0LXBhc3M=");
        secrets.add_header("cookie", "session=s3cret-cookie; theme=dark");
        secrets.add_header("x-api-key", "k3y with space");
        secrets.add_header("x-token", "Token s3cret-token");
        for spelling in [
            "dXM6czNjcmV0LXBhc3M=",
            "dXM6czNjcmV0LXBhc3M",
            "s3cret-pass",
            "us:s3cret-pass",
            "s3cret%2Dpass",
            "s3cret-cookie",
            "k3y%20with+space",
            "s3cret-token",
        ] {
            assert!(hidden(&secrets, spelling), "{spelling}");
            assert!(secrets.are_in_answer(spelling.as_bytes()), "{spelling}");
        }
        assert!(!hidden(&secrets, "Basic, session, theme, dark, Token, with, space"));
    }

    #[test]
    fn a_token_as_user_name_is_a_secret() {
        let mut secrets = Secrets::default();
        secrets.add_credentials("s3cret-user", "", true);
        assert!(hidden(&secrets, "s3cret-user") && hidden(&secrets, &encode_base64(b"s3cret-user:")));
    }
}
