//! Content encoding for clients that accept it, at fast levels.

use super::reply::{BodyPlan, Reply};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

/// Bodies up to this length are not compressed.
const SMALL: usize = 1024;

/// The reply in the best encoding of `Accept-Encoding`. A body that is not whole is not changed.
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
        reply.sent = BodyPlan::Whole(smaller);
        reply.headers.push(("content-encoding", encoding.to_owned()));
        reply.headers.push(("vary", "accept-encoding".to_owned()));
    }
    reply
}

/// The reply as gzip of this many members (RFC 1952 section 2.2), if the client accepts gzip. Static hosts that compress a
/// large file in parallel send such bodies.
pub fn in_members(mut reply: Reply, accepted: &str, members: usize) -> Reply {
    let accepts = accepted.split(',').any(|one| one.trim().eq_ignore_ascii_case("gzip"));
    let Some(body) = reply.whole().filter(|body| accepts && !body.is_empty()) else { return reply };
    let parts = body.chunks(body.len().div_ceil(members.max(1)));
    if let Ok(parts) = parts.map(gzip).collect::<std::io::Result<Vec<_>>>() {
        reply.sent = BodyPlan::Whole(parts.concat());
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
