//! Secrets for a log that is not public. They are sent to its origin and never shown: no error here contains a
//! value, nor anything that may turn out to be one.

use super::header_error::{HeaderError, MAX_HEADERS, MAX_VALUE};
use super::secrets::Secrets;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use std::fmt;

/// Headers about the transfer, the accepted answers and the client: only the client sets them.
const RESERVED_HEADERS: [&str; 14] = [
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

/// Headers with secret values. `Debug` shows neither values nor names.
#[derive(Clone, Default)]
pub struct SecretHeaders(HeaderMap);

impl SecretHeaders {
    /// Adds `Authorization: Bearer` with this token, after removing one line end from it.
    ///
    /// # Errors
    /// The token is empty, has a character that a token cannot have, or is a second secret for `Authorization`.
    pub fn add_bearer(&mut self, token: &str) -> Result<(), HeaderError> {
        let token = checked_token(token)?;
        self.add(AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// Adds one header, after removing one line end from its value.
    ///
    /// # Errors
    /// The value is empty, or has a character that a token cannot have.
    pub fn add_token(&mut self, name: &'static str, token: &str) -> Result<(), HeaderError> {
        let token = checked_token(token)?;
        self.add(HeaderName::from_static(name), token)
    }

    /// Adds headers, each on a line `Name: value`. Empty lines are skipped.
    ///
    /// # Errors
    /// There is no header, or a line is not one: [`HeaderError::Line`] with its number.
    pub fn add_lines(&mut self, lines: &str) -> Result<(), HeaderError> {
        let mut none = true;
        for (number, line) in (1u32..).zip(lines.split('\n')) {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if !line.is_empty() {
                none = false;
                self.add_line(line).map_err(|error| HeaderError::Line(number, Box::new(error)))?;
            }
        }
        if none { Err(HeaderError::NoHeader) } else { Ok(()) }
    }

    fn add_line(&mut self, line: &str) -> Result<(), HeaderError> {
        let Some((name, value)) = line.split_once(':') else {
            return Err(HeaderError::NoColon);
        };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeaderError::Name)?;
        let value = value.trim_matches([' ', '\t']);
        if RESERVED_HEADERS.contains(&name.as_str()) {
            return Err(HeaderError::Reserved(name.to_string()));
        }
        if value.is_empty() {
            return Err(HeaderError::EmptyValue);
        }
        if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(HeaderError::ValueCharacter);
        }
        self.add(name, value)
    }

    fn add(&mut self, name: HeaderName, value: &str) -> Result<(), HeaderError> {
        if value.len() > MAX_VALUE || self.0.len() >= MAX_HEADERS {
            return Err(HeaderError::TooMuch);
        }
        if self.0.contains_key(&name) {
            return Err(match name {
                AUTHORIZATION => HeaderError::TwoAuthorizations,
                _ => HeaderError::Duplicate,
            });
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| HeaderError::Value)?;
        // Keeps the value out of the HTTP/2 compression tables and out of logs.
        value.set_sensitive(true);
        self.0.insert(name, value);
        Ok(())
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the values to the secrets that must not be shown.
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

/// The token in a text that may end a line.
fn checked_token(text: &str) -> Result<&str, HeaderError> {
    let token = without_line_end(text);
    if token.is_empty() {
        return Err(HeaderError::EmptyToken);
    }
    match token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(token),
        false => Err(HeaderError::TokenCharacter),
    }
}

fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// Removes user and password, which are percent-encoded, from a URL and returns them.
pub(super) fn take_credentials(url: &mut Url) -> Option<(String, Option<String>)> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let credentials = (url.username().to_owned(), url.password().map(str::to_owned));
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(credentials)
}

/// Whether `host`, as written in a URL, is this machine, so that nobody can read the traffic on its way.
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
    fn headers_are_sent_as_given() {
        let mut headers = SecretHeaders::default();
        headers.add_bearer("s3cret.token==\r\n").unwrap();
        headers.add_lines("X-Api-Key:  k3y with space \r\n\nCookie: a=b\n").unwrap();
        assert_eq!(headers.0[AUTHORIZATION], "Bearer s3cret.token==");
        assert_eq!(headers.0["x-api-key"], "k3y with space");
        assert_eq!(headers.0["cookie"], "a=b");
        assert!(headers.0.values().all(HeaderValue::is_sensitive));
        assert_eq!(format!("{headers:?}"), "SecretHeaders(not shown)");
        assert!(headers.add_bearer("another").unwrap_err().to_string().contains("give one"));
    }

    #[test]
    fn errors_never_show_the_value() {
        for token in ["", "\n", "s3cret\n\n", "s3 cret", "s3cret\0", "s3cret\u{e9}"] {
            let why = SecretHeaders::default().add_bearer(token).unwrap_err().to_string();
            assert!(!why.contains("s3"), "{why}");
        }
        for (lines, part) in [
            ("", "no header"),
            ("\r\n\n", "no header"),
            ("s3cret", "line 1: write it as"),
            ("A: b\ns3cret thing: x", "line 2: the part before"),
            (": s3cret", "the part before"),
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
            let why = SecretHeaders::default().add_lines(lines).unwrap_err().to_string();
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
