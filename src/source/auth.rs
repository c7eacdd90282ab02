//! Secrets that open a log which is not public. They are sent to its origin and shown to nobody:
//! no error here repeats a value, nor anything that could turn out to be one.

use super::secrets::Secrets;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use std::fmt;

/// More headers than this are a slip: the wrong file.
const MAX_HEADERS: usize = 32;

/// The longest value. Common servers take 8 KiB of headers in all.
const MAX_VALUE: usize = 8 * 1024;

/// Headers that say how a message is carried, what we ask for and who we are: the client's own.
const NOT_YOURS: [&str; 14] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "user-agent",
    "accept-encoding",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "range",
];

/// Headers with secret values. `Debug` shows none of them, not even their names.
#[derive(Clone, Default)]
pub struct SecretHeaders(HeaderMap);

impl SecretHeaders {
    /// Adds `Authorization: Bearer` with this token; one line end after it is taken away.
    ///
    /// # Errors
    /// Why it is none: a sentence without the token.
    pub fn add_bearer(&mut self, token: &str) -> Result<(), String> {
        let token = without_line_end(token);
        if token.is_empty() {
            return Err("the token is empty".to_owned());
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a token has no spaces, line breaks, control or non-ASCII characters".to_owned());
        }
        self.add(AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// Adds headers, each a line `Name: value`; empty lines are passed over.
    ///
    /// # Errors
    /// Why a line is none: a sentence without its value.
    pub fn add_lines(&mut self, lines: &str) -> Result<(), String> {
        let mut none = true;
        for (number, line) in (1u32..).zip(lines.split('\n')) {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if !line.is_empty() {
                none = false;
                self.add_line(line).map_err(|why| format!("line {number}: {why}"))?;
            }
        }
        if none { Err("there is no header in it".to_owned()) } else { Ok(()) }
    }

    fn add_line(&mut self, line: &str) -> Result<(), String> {
        let Some((name, value)) = line.split_once(':') else {
            return Err("write it as \"Name: value\"".to_owned());
        };
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| "what stands before the colon is no header name".to_owned())?;
        let value = value.trim_matches([' ', '\t']);
        if NOT_YOURS.contains(&name.as_str()) {
            return Err(format!("{name} is a header that only the client itself can set"));
        }
        if value.is_empty() {
            return Err("the value is empty".to_owned());
        }
        if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err("the value has control or non-ASCII characters".to_owned());
        }
        self.add(name, value)
    }

    fn add(&mut self, name: HeaderName, value: &str) -> Result<(), String> {
        if value.len() > MAX_VALUE || self.0.len() >= MAX_HEADERS {
            return Err(format!(
                "more than {MAX_VALUE} bytes in a value, or more than {MAX_HEADERS} headers"
            ));
        }
        if self.0.contains_key(&name) {
            return Err(match name {
                AUTHORIZATION => "two secrets for Authorization: give one".to_owned(),
                _ => "the same header is given twice".to_owned(),
            });
        }
        let mut value =
            HeaderValue::from_str(value).map_err(|_| "no header can carry the value".to_owned())?;
        // Kept out of the compression tables of HTTP/2, and out of anybody's logs.
        value.set_sensitive(true);
        self.0.insert(name, value);
        Ok(())
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what must not be repeated to anybody.
    pub(super) fn hide_in(&self, secrets: &mut Secrets) {
        for (name, value) in &self.0 {
            value.to_str().into_iter().for_each(|value| secrets.add_header(name.as_str(), value));
        }
    }

    pub(super) fn has_authorization(&self) -> bool {
        self.0.contains_key(AUTHORIZATION)
    }

    /// For the client alone.
    pub(super) fn expose(&self) -> HeaderMap {
        self.0.clone()
    }
}

impl fmt::Debug for SecretHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "SecretHeaders(none)" } else { "SecretHeaders(not shown)" })
    }
}

fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// Whether `host`, as a URL has it, is this machine, so that nobody is on the way to it.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent() {
        let mut headers = SecretHeaders::default();
        headers.add_bearer("s3cret.token==\r\n").unwrap();
        headers.add_lines("X-Api-Key:  k3y with space \r\n\nCookie: a=b\n").unwrap();
        assert_eq!(headers.0[AUTHORIZATION], "Bearer s3cret.token==");
        assert_eq!(headers.0["x-api-key"], "k3y with space");
        assert_eq!(headers.0["cookie"], "a=b");
        assert!(headers.0.values().all(HeaderValue::is_sensitive));
        assert_eq!(format!("{headers:?}"), "SecretHeaders(not shown)");
        assert!(headers.add_bearer("another").unwrap_err().contains("give one"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_value() {
        for token in ["", "\n", "s3cret\n\n", "s3 cret", "s3cret\0", "s3cret\u{e9}"] {
            let why = SecretHeaders::default().add_bearer(token).unwrap_err();
            assert!(!why.contains("s3"), "{why}");
        }
        for (lines, part) in [
            ("", "no header"),
            ("\r\n\n", "no header"),
            ("s3cret", "line 1: write it as"),
            ("A: b\ns3cret thing: x", "line 2: what stands before"),
            (": s3cret", "what stands before"),
            ("X-Key: ", "empty"),
            ("X-Key: s3cret\x07", "control"),
            ("X-Key: s3cret\tx", "control"),
            ("X-Key: s3cret\rX-Other: y", "control"),
            ("X-Key: s3cret\nx-key: s3cret", "twice"),
            ("Authorization: Basic s3cret\nauthorization: s3cret", "give one"),
            ("Host: s3cret", "host is a header that only"),
            ("content-LENGTH: s3cret", "only the client"),
            ("Transfer-Encoding: s3cret", "only the client"),
            ("Connection: s3cret", "only the client"),
            ("User-Agent: s3cret", "only the client"),
            ("Accept-Encoding: s3cret", "only the client"),
        ] {
            let why = SecretHeaders::default().add_lines(lines).unwrap_err();
            assert!(why.contains(part) && !why.contains("s3"), "{lines:?}: {why}");
        }
        assert!(SecretHeaders::default().add_bearer(&"x".repeat(MAX_VALUE)).is_err());
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for host in ["127.0.0.1", "127.8.9.10", "[::1]", "localhost", "LOCALHOST"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["10.0.0.1", "[::2]", "localhost.example", "127.0.0.1.example", "", "0.0.0.0", "log.example"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
