//! Content codings (RFC 9110 section 8.4): in which a body was sent, and the body out of them.
//!
//! Ours, and not the HTTP client's: a gzip body may have several members (RFC 1952 section 2.2) and a zstd body
//! several frames (RFC 8878 section 3.1), which large static hosts make. A decoder that stops after the first gives
//! a part for the whole, without an error, and an honest log would be accused. Here what comes out is the whole of
//! what was sent, each member with the checksum that it ends with, or an error.

use flate2::bufread::MultiGzDecoder;
use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read};

/// What a server is told that it may send.
pub(super) const ACCEPTED: &str = "gzip, zstd";

/// Codings on top of each other. One is ordinary, and two come of a cache that compresses what is compressed.
const MAX_CODINGS: usize = 4;

/// How much of a coded body is decoded at once.
const CHUNK: usize = 64 * 1024;

/// The window that every zstd decoder has room for (RFC 9659), as a power of two.
const MIN_WINDOW_LOG: u32 = 23;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Coding {
    Gzip,
    Zstd,
}

/// The codings of one body, in the order in which they were put on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Codings(Vec<Coding>);

impl Codings {
    /// Those that the values of `Content-Encoding` name. Names are in any case, `x-gzip` is gzip, and an empty
    /// element of a list is nothing (RFC 9110 sections 5.6.1.2, 8.4.1 and 8.4.1.3).
    ///
    /// # Errors
    /// What was named, where it cannot be decoded.
    pub(super) fn read<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Codings, CodingError> {
        let mut codings = Vec::new();
        for name in values.into_iter().flat_map(|value| value.split(',')) {
            let coding = match name.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "zstd" => Coding::Zstd,
                _ => return Err(CodingError::Unknown(name.trim().to_owned())),
            };
            if codings.len() >= MAX_CODINGS {
                return Err(CodingError::TooMany);
            }
            codings.push(coding);
        }
        Ok(Codings(codings))
    }

    /// Whether the body was sent as it is.
    pub(super) fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Most bytes that a body of at most `limit` may be sent in. A coding that makes a body longer adds little: a
    /// few bytes to a block and to a member, which only members of less than 200 bytes would fill this with.
    pub(super) fn most_sent(&self, limit: usize) -> usize {
        match self.is_none() {
            true => limit,
            false => limit.saturating_add(limit / 8).saturating_add(CHUNK),
        }
    }

    /// The body that was `sent`, and which is at most `limit` bytes long; it is for the reader to stop there.
    /// What stands between two codings is bounded here.
    ///
    /// # Errors
    /// Only a decoder that cannot be made. What is wrong with the body comes of reading it.
    pub(super) fn decoder(&self, sent: Vec<u8>, limit: usize) -> io::Result<Box<dyn BufRead>> {
        let mut body: Box<dyn BufRead> = Box::new(Cursor::new(sent));
        for (inner, coding) in self.0.iter().enumerate().rev() {
            let decoded: Box<dyn Read> = match coding {
                Coding::Gzip => Box::new(MultiGzDecoder::new(body)),
                Coding::Zstd => {
                    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
                    decoder.window_log_max(window(limit))?;
                    Box::new(decoder)
                }
            };
            let left = if inner == 0 { usize::MAX } else { self.most_sent(limit) };
            body = Box::new(BufReader::with_capacity(CHUNK, BoundedReader { inner: decoded, left }));
        }
        Ok(body)
    }

    /// The first bytes of the body of which `sent` is the beginning, as far as they can be told.
    pub(super) fn beginning(&self, sent: Vec<u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Ok(body) = self.decoder(sent, CHUNK) {
            // The rest was not read, so that this may well end in an error.
            let _ = body.take(1024).read_to_end(&mut bytes);
        }
        bytes
    }
}

impl fmt::Display for Codings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, coding) in self.0.iter().enumerate() {
            f.write_str(if place > 0 { ", " } else { "" })?;
            f.write_str(match coding {
                Coding::Gzip => "gzip",
                Coding::Zstd => "zstd",
            })?;
        }
        Ok(())
    }
}

/// Why a body cannot be decoded at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum CodingError {
    /// Nobody asked for this one.
    Unknown(String),
    /// More than [`MAX_CODINGS`].
    TooMany,
}

impl fmt::Display for CodingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodingError::Unknown(name) => write!(
                f,
                "sent in an encoding that was not asked for (Content-Encoding: {name}): the server, or the cache \
                 before it, must send {ACCEPTED} or the file as it is; then run again"
            ),
            CodingError::TooMany => {
                write!(f, "sent in more than {MAX_CODINGS} codings on top of each other (Content-Encoding)")
            }
        }
    }
}

/// A window that holds a whole body of `limit` bytes, which is the largest that one has use for.
fn window(limit: usize) -> u32 {
    limit.checked_next_power_of_two().map_or(MIN_WINDOW_LOG, usize::trailing_zeros).clamp(MIN_WINDOW_LOG, 27)
}

/// A body between two codings that is longer than any that honest ones make.
#[derive(Debug)]
pub(super) struct DecodedTooLong;

impl fmt::Display for DecodedTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it grows past any bound between two codings")
    }
}

impl std::error::Error for DecodedTooLong {}

/// Reads no more than so many bytes.
struct BoundedReader<R> {
    inner: R,
    left: usize,
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count).ok_or_else(|| io::Error::other(DecodedTooLong))?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 3).unwrap()
    }

    fn decode(coding: &str, sent: impl AsRef<[u8]>) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        let codings = Codings::read([coding]).unwrap();
        codings.decoder(sent.as_ref().to_vec(), 1 << 20)?.read_to_end(&mut body).map(|_| body)
    }

    #[test]
    fn how_codings_are_named() {
        use Coding::{Gzip, Zstd};
        for (values, expected) in [
            (&[][..], &[][..]),
            (&[""], &[]),
            (&["identity"], &[]),
            (&[" , ,,\t"], &[]),
            (&["gzip"], &[Gzip]),
            (&["GZip"], &[Gzip]),
            (&["X-GZIP"], &[Gzip]),
            (&[",gzip,"], &[Gzip]),
            (&["gzip , zstd"], &[Gzip, Zstd]),
            (&["Identity,\tZSTD"], &[Zstd]),
            (&["gzip", "zstd, gzip"], &[Gzip, Zstd, Gzip]),
        ] {
            assert_eq!(Codings::read(values.iter().copied()), Ok(Codings(expected.to_vec())), "{values:?}");
        }
        for (value, name) in [("br", "br"), ("gzip, Deflate", "Deflate"), ("gzip;q=1", "gzip;q=1")] {
            assert_eq!(Codings::read([value]), Err(CodingError::Unknown(name.to_owned())));
        }
        assert!(Codings::read(["gzip,".repeat(MAX_CODINGS).as_str()]).is_ok());
        assert_eq!(Codings::read(["gzip,".repeat(MAX_CODINGS + 1).as_str()]), Err(CodingError::TooMany));
    }

    #[test]
    fn all_members_and_all_frames_are_read() {
        let parts = [&b"one"[..], b"", &[7; 100_000], b"four"];
        let whole = parts.concat();
        assert_eq!(decode("gzip", parts.map(gzip).concat()).unwrap(), whole);
        assert_eq!(decode("zstd", parts.map(zstd).concat()).unwrap(), whole);
        // A zstd frame that is to be passed over.
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
        assert_eq!(decode("zstd", [zstd(b"a"), skipped, zstd(b"b")].concat()).unwrap(), b"ab");
        // A member with everything that a header may have: extra field, name, comment, checksum of the header.
        let header = flate2::GzBuilder::new().extra(vec![1, 2, 3]).filename("a").comment("b");
        let mut encoder = header.write(Vec::new(), Compression::fast());
        encoder.write_all(b"two").unwrap();
        assert_eq!(decode("gzip", [gzip(b"one"), encoder.finish().unwrap()].concat()).unwrap(), b"onetwo");
    }

    #[test]
    fn codings_are_taken_off_in_reverse_order() {
        assert_eq!(decode("gzip, gzip", gzip(&gzip(b"body"))).unwrap(), b"body");
        assert_eq!(decode("gzip, zstd", zstd(&gzip(b"body"))).unwrap(), b"body");
        assert_eq!(decode("zstd, gzip", gzip(&zstd(b"body"))).unwrap(), b"body");
        assert!(decode("gzip, zstd", gzip(&zstd(b"body"))).is_err());
    }

    /// Every way of cutting or changing a body of two members is an error, but for the cut between them, which
    /// nothing in the body tells.
    #[test]
    fn a_part_is_never_taken_for_the_whole() {
        for (coding, encode) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("zstd", zstd)] {
            let first = encode(b"the first member, of some length");
            let sent = [first.clone(), encode(b"and the second, of some more length")].concat();
            for length in (0..sent.len()).filter(|length| *length != first.len()) {
                let error = decode(coding, &sent[..length]).expect_err("was taken for whole");
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{coding} cut at {length}: {error}");
            }
            for garbage in [&b"\0"[..], b"x", b"trailing garbage", &[0; 512], &[0x1f, 0x8b], &sent[..9]] {
                assert!(decode(coding, [&sent[..], garbage].concat()).is_err(), "{coding}: {garbage:?}");
            }
        }
        let sent = [gzip(b"one"), gzip(b"two")].concat();
        let whole = decode("gzip", &sent).unwrap();
        for bit in 0..sent.len() * 8 {
            let mut flipped = sent.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // Time, level and system of a header change nothing.
            assert!(decode("gzip", &flipped).map_or(true, |body| body == whole), "bit {bit}");
        }
    }

    #[test]
    fn what_grows_between_two_codings_is_bounded() {
        let codings = Codings::read(["gzip, gzip"]).unwrap();
        let mut decoder = codings.decoder(gzip(&vec![0; 64 << 20]), 1024).unwrap();
        let error = decoder.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(
            error.get_ref().is_some_and(|cause| !cause.is::<DecodedTooLong>()),
            "no gzip inside: {error}"
        );
        let inside = vec![gzip(b""); 10_000].concat();
        let mut decoder = codings.decoder(gzip(&inside), 1024).unwrap();
        let error = decoder.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.get_ref().is_some_and(|cause| cause.is::<DecodedTooLong>()), "{error}");
    }

    #[test]
    fn a_window_is_as_large_as_the_body_may_be() {
        assert_eq!([0, 1024, 1 << 23, (1 << 23) + 1, 1 << 40].map(window), [23, 23, 23, 24, 27]);
        let long = vec![7; 200_000];
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(25).unwrap();
        encoder.write_all(&long).unwrap();
        let sent = encoder.finish().unwrap();
        assert!(decode("zstd", sent).is_err(), "32 MiB for a body of at most 1 MiB");
    }

    #[test]
    fn the_beginning_of_a_body_is_told_from_the_beginning_of_what_was_sent() {
        let page = [b"<html>", &fastrand_bytes()[..]].concat();
        let sent = gzip(&page);
        let codings = Codings::read(["gzip"]).unwrap();
        assert!(codings.beginning(sent[..sent.len() / 2].to_vec()).starts_with(b"<html>"));
        assert_eq!(Codings::default().beginning(b"abc".to_vec()), b"abc");
        assert!(codings.beginning(b"no gzip".to_vec()).is_empty());
    }

    fn fastrand_bytes() -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(1);
        (0..10_000).map(|_| random.u8(..)).collect()
    }
}
