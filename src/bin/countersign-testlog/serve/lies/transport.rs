//! Lies about how one response is sent.

use super::super::reply::{BodyPlan, BodyStep, Reply};
use super::super::request::Request;
use super::{ResourceKinds, TransportLie};
use countersign::core::api;
use flate2::{Compress, Compression, FlushCompress};
use std::sync::LazyLock;
use std::time::Duration;

/// A delay that is longer than any client waits.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// The number of bytes missing from a body.
const MISSING: usize = 10;

/// The nesting of arrays.
const DEPTH: usize = 100_000;

/// The target of redirects to another origin. It does not exist.
const ELSEWHERE: &str = "http://elsewhere.invalid";

/// Applies `lie` to the reply to `request`.
pub fn apply(lie: TransportLie, kinds: ResourceKinds, request: &Request, mut reply: Reply) -> Reply {
    if !kinds.include(request.kind()) {
        return reply;
    }
    match lie {
        TransportLie::Status(status) => error(status),
        TransportLie::Timeout => Reply { delay: NEVER, ..reply },
        TransportLie::TooMany(seconds) => {
            let mut reply = error(429);
            reply.headers.extend(seconds.map(|seconds| ("retry-after", seconds.to_string())));
            reply
        }
        TransportLie::RedirectLoop => {
            let joint = if request.target.contains('?') { '&' } else { '?' };
            redirect(format!("{}{joint}hop=1", request.target))
        }
        TransportLie::RedirectElsewhere => redirect(format!("{ELSEWHERE}{}", request.target)),
        TransportLie::Html => {
            let page = b"<!doctype html><title>Log in</title><p>Please log in to see this page.";
            Reply::new(200, "text/html; charset=utf-8", page.to_vec())
        }
        _ => {
            if let (200, Some(body)) = (reply.status, reply.whole())
                && let Some(sent) = corrupt(lie, body, &reply)
            {
                let bomb = match lie {
                    TransportLie::GzipBomb => Some("gzip"),
                    TransportLie::ZstdBomb => Some("zstd"),
                    _ => None,
                };
                reply.headers.extend(bomb.map(|encoding| ("content-encoding", encoding.to_owned())));
                reply.sent = sent;
            }
            reply
        }
    }
}

/// An error response of the JSON API.
pub fn error(status: u16) -> Reply {
    let message = match status {
        404 => "nothing here",
        413 => "the body is too long",
        429 => "too many requests",
        503 => "try again later",
        _ => "something went wrong",
    };
    Reply::new(status, "application/json", api::write_error(message))
}

fn redirect(to: String) -> Reply {
    let mut reply = Reply::new(302, "text/plain; charset=utf-8", b"moved".to_vec());
    reply.headers.push(("location", to));
    reply
}

/// The replacement for `body`; `None` if the lie does not apply to it.
fn corrupt(lie: TransportLie, body: &[u8], reply: &Reply) -> Option<BodyPlan> {
    let json = reply.content_type == "application/json";
    let steps_of = |steps: Vec<BodyStep>, length: Option<usize>| Some(BodyPlan::Steps { steps, length });
    match lie {
        TransportLie::Empty => Some(BodyPlan::Whole(Vec::new())),
        TransportLie::Malformed => Some(BodyPlan::Whole(b"this is no head\n".to_vec())),
        TransportLie::Endless => {
            let spaces = BodyStep::Endless(vec![b' '; 16 * 1024].into());
            steps_of(vec![BodyStep::Send(body.to_vec().into()), spaces], None)
        }
        TransportLie::Truncated => Some(truncated(body)),
        TransportLie::WrongLength => {
            Some(BodyPlan::Whole(body[..body.len().saturating_sub(MISSING)].to_vec()))
        }
        TransportLie::GzipBomb => {
            steps_of(vec![BodyStep::Send(GZIP_BOMB.clone().into())], Some(GZIP_BOMB.len()))
        }
        TransportLie::ZstdBomb => {
            let bomb = zstd_bomb();
            let length = bomb.len();
            steps_of(vec![BodyStep::Send(bomb.into())], Some(length))
        }
        TransportLie::SlowDrip => {
            let drip =
                BodyStep::Pieces { bytes: body.to_vec().into(), size: 1, pause: Duration::from_secs(1) };
            steps_of(vec![drip], Some(body.len()))
        }
        TransportLie::InvalidUtf8 => Some(BodyPlan::Whole(with_invalid_utf8(body, json))),
        TransportLie::DeepJson if json => Some(BodyPlan::Whole([[b'['; DEPTH], [b']'; DEPTH]].concat())),
        TransportLie::Floats if json => {
            Some(BodyPlan::Whole(with_numbers(body, |digits| format!("{digits}.0"))))
        }
        TransportLie::Strings if json => {
            Some(BodyPlan::Whole(with_numbers(body, |digits| format!("\"{digits}\""))))
        }
        _ => None,
    }
}

/// Sends the first half, and then closes the connection.
pub fn truncated(body: &[u8]) -> BodyPlan {
    // Without the wait the headers might be lost with the connection.
    let wait = BodyStep::Wait(Duration::from_millis(20));
    let half = BodyStep::Send(body[..body.len() / 2].to_vec().into());
    BodyPlan::Steps { steps: vec![half, wait, BodyStep::Abort], length: Some(body.len().max(1)) }
}

/// Puts 0xFF, which is not valid in UTF-8, at the end of the last JSON string, or into the first leaf or line.
fn with_invalid_utf8(body: &[u8], json: bool) -> Vec<u8> {
    let mut body = body.to_vec();
    let at = match json {
        true => body.iter().rposition(|byte| *byte == b'"').and_then(|quote| quote.checked_sub(1)),
        // After the length of a leaf. A note has no length there, and its origin is longer.
        false => Some(3),
    };
    if let Some(byte) = at.and_then(|at| body.get_mut(at)) {
        *byte = 0xff;
    }
    body
}

/// Writes every number of a JSON text in another form.
fn with_numbers(json: &[u8], write: impl Fn(&str) -> String) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let (mut in_string, mut escaped, mut digits) = (false, false, String::new());
    for &byte in json {
        if !in_string && byte.is_ascii_digit() {
            digits.push(char::from(byte));
            continue;
        }
        if !digits.is_empty() {
            out.extend_from_slice(write(&std::mem::take(&mut digits)).as_bytes());
        }
        match byte {
            b'"' if !escaped => in_string = !in_string,
            _ => {}
        }
        escaped = in_string && byte == b'\\' && !escaped;
        out.push(byte);
    }
    out
}

/// 1 GiB of zeros as gzip. The last block and checksum are missing, because no client gets that far.
static GZIP_BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let zeros = vec![0; 1 << 20];
    let mut compress = Compress::new(Compression::best(), false);
    let mut piece = Vec::with_capacity(1 << 16);
    // A full flush ends at a byte boundary and refers to nothing before it, so the piece can be repeated.
    if compress.compress_vec(&zeros, &mut piece, FlushCompress::Full).is_err() {
        return Vec::new();
    }
    let mut bomb = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    for _ in 0..1024 {
        bomb.extend_from_slice(&piece);
    }
    bomb
});

/// 1 GiB of zeros as one zstd frame (RFC 8878), in blocks of one byte that is repeated 128 KiB times.
fn zstd_bomb() -> Vec<u8> {
    // Magic number, no content size and no checksum, a window of 128 KiB.
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 7 << 3];
    let blocks = 8192;
    for block in 0..blocks {
        let last = u32::from(block == blocks - 1);
        let [a, b, c, _] = ((1 << 17) << 3 | 1 << 1 | last).to_le_bytes();
        bomb.extend_from_slice(&[a, b, c, 0]);
    }
    bomb
}
