//! Content encoding for clients that accept it, at levels that cost little.

use super::reply::{Reply, Sent};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

/// Bodies up to this are sent as they are.
const SMALL: usize = 1024;

/// The reply in the best encoding of `Accept-Encoding`; a body that is not whole stays as it is.
pub fn compressed(mut reply: Reply, accepted: &str) -> Reply {
    let accepts = |name: &str| accepted.split(',').any(|one| one.trim().eq_ignore_ascii_case(name));
    let Some(body) = reply.whole().filter(|body| body.len() > SMALL) else { return reply };
    let (encoding, smaller) = if accepts("zstd") {
        ("zstd", zstd::encode_all(body, 1).ok())
    } else if accepts("gzip") {
        ("gzip", gzip(body).ok())
    } else {
        return reply;
    };
    if let Some(smaller) = smaller {
        reply.sent = Sent::Whole(smaller);
        reply.headers.push(("content-encoding", encoding.to_owned()));
        reply.headers.push(("vary", "accept-encoding".to_owned()));
    }
    reply
}

/// The same, for whoever accepts gzip, in so many members one behind the other (RFC 1952 section 2.2), as static
/// hosts make them that compress a large file in parallel.
pub fn in_members(mut reply: Reply, accepted: &str, members: usize) -> Reply {
    let accepts = accepted.split(',').any(|one| one.trim().eq_ignore_ascii_case("gzip"));
    let Some(body) = reply.whole().filter(|body| accepts && !body.is_empty()) else { return reply };
    let parts = body.chunks(body.len().div_ceil(members.max(1)));
    if let Ok(parts) = parts.map(gzip).collect::<std::io::Result<Vec<_>>>() {
        reply.sent = Sent::Whole(parts.concat());
        reply.headers.push(("content-encoding", "gzip".to_owned()));
        reply.headers.push(("vary", "accept-encoding".to_owned()));
    }
    reply
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}
