//! Lies about how one answer is sent.

use super::super::reply::{Reply, Sent, Step};
use super::super::request::Request;
use super::{Kinds, TransportLie};
use countersign::core::api;
use flate2::{Compress, Compression, FlushCompress};
use std::sync::LazyLock;
use std::time::Duration;

/// Longer than any client waits.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// Bytes by which a body is too short.
const MISSING: usize = 10;

/// Arrays in each other.
const DEPTH: usize = 100_000;

/// Where redirects lead that lead away: nobody answers there.
const ELSEWHERE: &str = "http://elsewhere.invalid";

/// The reply to `request` after `lie`.
pub fn tell(lie: TransportLie, kinds: Kinds, request: &Request, mut reply: Reply) -> Reply {
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
                && let Some(sent) = spoil(lie, body, &reply)
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

/// An error answer of the JSON API.
pub fn error(status: u16) -> Reply {
    let message = match status {
        404 => "nothing here",
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

/// What is sent in place of `body`; `None` where the lie does not apply to it.
fn spoil(lie: TransportLie, body: &[u8], reply: &Reply) -> Option<Sent> {
    let json = reply.content_type == "application/json";
    let played = |steps: Vec<Step>, length: Option<usize>| Some(Sent::Played { steps, length });
    match lie {
        TransportLie::Empty => Some(Sent::Whole(Vec::new())),
        TransportLie::Malformed => Some(Sent::Whole(b"this is no head\n".to_vec())),
        TransportLie::Endless => {
            let spaces = Step::Endless(vec![b' '; 16 * 1024].into());
            played(vec![Step::Send(body.to_vec().into()), spaces], None)
        }
        TransportLie::Truncated => Some(truncated(body)),
        TransportLie::WrongLength => Some(Sent::Whole(body[..body.len().saturating_sub(MISSING)].to_vec())),
        TransportLie::GzipBomb => played(vec![Step::Send(GZIP_BOMB.clone().into())], Some(GZIP_BOMB.len())),
        TransportLie::ZstdBomb => {
            let bomb = zstd_bomb();
            let length = bomb.len();
            played(vec![Step::Send(bomb.into())], Some(length))
        }
        TransportLie::SlowDrip => {
            let drip = Step::Pieces { bytes: body.to_vec().into(), size: 1, pause: Duration::from_secs(1) };
            played(vec![drip], Some(body.len()))
        }
        TransportLie::InvalidUtf8 => Some(Sent::Whole(with_invalid_utf8(body, json))),
        TransportLie::DeepJson if json => Some(Sent::Whole([[b'['; DEPTH], [b']'; DEPTH]].concat())),
        TransportLie::Floats if json => Some(Sent::Whole(with_numbers(body, |digits| format!("{digits}.0")))),
        TransportLie::Strings if json => {
            Some(Sent::Whole(with_numbers(body, |digits| format!("\"{digits}\""))))
        }
        _ => None,
    }
}

/// The first half, and then the connection is closed.
pub fn truncated(body: &[u8]) -> Sent {
    // Without the wait the headers might go down with the connection.
    let wait = Step::Wait(Duration::from_millis(20));
    let half = Step::Send(body[..body.len() / 2].to_vec().into());
    Sent::Played { steps: vec![half, wait, Step::Abort], length: Some(body.len().max(1)) }
}

/// With 0xFF, which is in no UTF-8, as last byte of the last JSON string, or in the first leaf or line.
fn with_invalid_utf8(body: &[u8], json: bool) -> Vec<u8> {
    let mut body = body.to_vec();
    let at = match json {
        true => body.iter().rposition(|byte| *byte == b'"').and_then(|quote| quote.checked_sub(1)),
        // Behind the length of a leaf; a note has none there, and its origin is longer.
        false => Some(3),
    };
    if let Some(byte) = at.and_then(|at| body.get_mut(at)) {
        *byte = 0xff;
    }
    body
}

/// With every number of a JSON text written otherwise.
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

/// 1 GiB of zeros as gzip. Its last block and checksum are missing: nobody gets that far.
static GZIP_BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let zeros = vec![0; 1 << 20];
    let mut compress = Compress::new(Compression::best(), false);
    let mut piece = Vec::with_capacity(1 << 16);
    // A full flush ends at a byte and refers to nothing before it, so the piece can stand again and again.
    if compress.compress_vec(&zeros, &mut piece, FlushCompress::Full).is_err() {
        return Vec::new();
    }
    let mut bomb = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    for _ in 0..1024 {
        bomb.extend_from_slice(&piece);
    }
    bomb
});

/// 1 GiB of zeros as one zstd frame (RFC 8878): blocks of one byte that is repeated 128 KiB times.
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
