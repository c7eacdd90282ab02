//! Judges the status and the headers of a response, before any of its body is read.

use super::coding::Codings;
use super::escapes::utf8_or_latin1;
use super::failure::FetchFailure;
use super::requests::RequestOutcome;
use super::retry::retry_after;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, RETRY_AFTER, TRANSFER_ENCODING};
use reqwest::{Response, StatusCode};
use std::time::SystemTime;

pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The content codings of a response that has the file. `required` is as in
/// [`FileRequest`](super::tiled::FileRequest).
pub(super) fn check(response: &Response, required: bool) -> Result<Codings, FetchFailure> {
    check_status(response, required)?;
    check_transfer(response)?;
    let values: Vec<String> = values(response, &CONTENT_ENCODING).collect();
    Codings::read(values.iter().map(String::as_str)).map_err(|error| FetchFailure::Refused(error.to_string()))
}

fn check_status(response: &Response, required: bool) -> Result<(), FetchFailure> {
    let status = response.status();
    match status.as_u16() {
        200 => Ok(()),
        404 | 410 => Err(FetchFailure::Absent),
        // An object store that forbids listing answers 403 for every file that it does not have.
        403 if !required => Err(FetchFailure::Absent),
        400 | 416 | 422 => Err(FetchFailure::Rejected(format!("HTTP {status}"))),
        408 | 425 | 429 | 500..=599 => Err(FetchFailure::Failed {
            cause: format!("HTTP {status}"),
            outcome: match status.as_u16() {
                429 | 503 => RequestOutcome::Busy,
                _ => RequestOutcome::ServerError,
            },
            retry_after: header(response, &RETRY_AFTER).and_then(|v| retry_after(&v, SystemTime::now())),
        }),
        _ => Err(FetchFailure::Refused(format!("HTTP {status}"))),
    }
}

/// The client decodes chunks. Any other transfer coding, which nobody may send unasked, would stay in the body.
fn check_transfer(response: &Response) -> Result<(), FetchFailure> {
    for value in values(response, &TRANSFER_ENCODING) {
        for coding in value.split(',').map(str::trim) {
            if !["", "chunked", "identity"].iter().any(|known| coding.eq_ignore_ascii_case(known)) {
                return Err(FetchFailure::Refused(format!(
                    "sent with Transfer-Encoding: {coding}, which was not asked for: the server, or the proxy before \
                     it, must send the file without; then run again"
                )));
            }
        }
    }
    Ok(())
}

/// The `Content-Type`, if it is that of a web page. Sites that answer every path with a page, and log-in pages,
/// answer 200 as well.
pub(super) fn page_type(response: &Response) -> Option<String> {
    let kind = header(response, &CONTENT_TYPE)?;
    let lower = kind.trim_start().to_ascii_lowercase();
    (lower.starts_with("text/html") || lower.starts_with("application/xhtml")).then_some(kind)
}

/// The failure for a body that is labelled as a web page and begins with these bytes.
pub(super) fn page(kind: &str, beginning: &[u8]) -> FetchFailure {
    let text = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning).trim_ascii_start();
    let is_page = match text {
        [b'<', next, ..] => next.is_ascii_alphabetic() || matches!(next, b'!' | b'?' | b'/'),
        _ => text.is_empty(),
    };
    FetchFailure::Refused(match is_page {
        true => "an HTML page was served in its place".to_owned(),
        false => format!(
            "served as Content-Type: {kind}, though it is not a web page, so it was not read: have the server \
             label it application/octet-stream, then run again"
        ),
    })
}

/// The first value of a header as text. A value that is not UTF-8 is read as Latin-1, the encoding of headers
/// before: replacement characters would hide a secret that it repeats.
pub(super) fn header(response: &Response, name: &HeaderName) -> Option<String> {
    values(response, name).next()
}

fn values(response: &Response, name: &HeaderName) -> impl Iterator<Item = String> {
    let values = response.headers().get_all(name).iter();
    values.map(|value| utf8_or_latin1(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mislabelled_file_is_not_a_page() {
        let message = |beginning: &[u8]| match page("text/html; charset=utf-8", beginning) {
            FetchFailure::Refused(why) => why,
            _ => panic!("not refused"),
        };
        for page in
            [&b"<!doctype html>"[..], b"\xef\xbb\xbf\r\n <p>our log", b"<?xml?>", b"<html", b"", b" \n"]
        {
            assert!(message(page).contains("HTML page"), "{page:?}");
        }
        for file in [&b"log.example\n1\n"[..], b"{\"a\":1}", b"<\0", b"<", b"\0\x01a"] {
            let message = message(file);
            assert!(message.contains("Content-Type: text/html; charset=utf-8, though"), "{message}");
            assert!(message.contains("application/octet-stream"), "{message}");
        }
    }
}
