//! Content codings (RFC 9110 section 8.4), and decoding them.
//!
//! We decode instead of the HTTP client: a gzip body may have several members (RFC 1952 section 2.2) and a zstd
//! body several frames (RFC 8878 section 3.1), as large static hosts produce. A decoder that stops after the
//! first returns a part as if it were the whole, without an error, and an honest log would be accused. Here the
//! result is everything that was sent, each member checked against its checksum, or an error.

use flate2::bufread::MultiGzDecoder;
use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read};

/// The value of `Accept-Encoding`.
pub(super) const ACCEPTED: &str = "gzip, zstd";

/// The most codings on top of each other. One is usual; two come from a cache that compresses compressed
/// content.
const MAX_CODINGS: usize = 4;

/// How many bytes are decoded at once.
const CHUNK: usize = 64 * 1024;

/// The window, as a power of two, that every zstd decoder supports (RFC 9659).
const MIN_WINDOW_LOG: u32 = 23;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Coding {
    Gzip,
    Zstd,
}

/// The codings of one body, in the order in which they were applied.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Codings(Vec<Coding>);

impl Codings {
    /// Reads the values of `Content-Encoding`. Names are case-insensitive, `x-gzip` means gzip, and empty list
    /// elements are ignored (RFC 9110 sections 5.6.1.2, 8.4.1 and 8.4.1.3).
    ///
    /// # Errors
    /// [`CodingError`]: a coding is unknown, or there are too many.
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

    /// Whether the body was sent without any coding.
    pub(super) fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// The most bytes in which a body of at most `limit` bytes may be sent. A coding that lengthens a body adds
    /// a few bytes to each block and member; only members of less than 200 bytes would reach this bound. The
    /// sum saturates, as it is only compared with lengths.
    pub(super) fn most_sent(&self, limit: usize) -> usize {
        match self.is_none() {
            true => limit,
            false => limit.saturating_add(limit / 8).saturating_add(CHUNK),
        }
    }

    /// Decodes the body that was `sent`. The caller stops at `limit` bytes; the intermediate results between
    /// two codings are bounded here.
    ///
    /// # Errors
    /// A decoder could not be created. Errors in the body appear when it is read.
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

    /// The first bytes of the decoded body, as far as `sent`, its beginning, determines them.
    pub(super) fn beginning(&self, sent: Vec<u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Ok(body) = self.decoder(sent, CHUNK) {
            // The input ends early, so an error is expected.
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

/// Why a body cannot be decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum CodingError {
    /// A coding that was not asked for.
    Unknown(String),
    /// More than [`MAX_CODINGS`] codings.
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

/// The smallest window that holds a whole body of `limit` bytes; a larger one has no use.
fn window(limit: usize) -> u32 {
    limit.checked_next_power_of_two().map_or(MIN_WINDOW_LOG, usize::trailing_zeros).clamp(MIN_WINDOW_LOG, 27)
}

/// An intermediate result is longer than any that an honest server sends.
#[derive(Debug)]
pub(super) struct DecodedTooLong;

impl fmt::Display for DecodedTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it grows past any bound between two codings")
    }
}

impl std::error::Error for DecodedTooLong {}

/// Fails once more than `left` bytes were read.
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
    fn content_encoding_values_are_parsed() {
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
        // A skippable zstd frame.
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
        assert_eq!(decode("zstd", [zstd(b"a"), skipped, zstd(b"b")].concat()).unwrap(), b"ab");
        // A member with every optional header field: extra field, name, comment.
        let header = flate2::GzBuilder::new().extra(vec![1, 2, 3]).filename("a").comment("b");
        let mut encoder = header.write(Vec::new(), Compression::fast());
        encoder.write_all(b"two").unwrap();
        assert_eq!(decode("gzip", [gzip(b"one"), encoder.finish().unwrap()].concat()).unwrap(), b"onetwo");
    }

    #[test]
    fn codings_are_decoded_in_reverse_order() {
        assert_eq!(decode("gzip, gzip", gzip(&gzip(b"body"))).unwrap(), b"body");
        assert_eq!(decode("gzip, zstd", zstd(&gzip(b"body"))).unwrap(), b"body");
        assert_eq!(decode("zstd, gzip", gzip(&zstd(b"body"))).unwrap(), b"body");
        assert!(decode("gzip, zstd", gzip(&zstd(b"body"))).is_err());
    }

    /// Every way to cut or change a body of two members is an error, except a cut between them, which nothing
    /// in the body reveals.
    #[test]
    fn a_truncated_body_is_an_error() {
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
            // A change of time, level or system in the header has no effect.
            assert!(decode("gzip", &flipped).map_or(true, |body| body == whole), "bit {bit}");
        }
    }

    #[test]
    fn intermediate_results_are_bounded() {
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
    fn the_beginning_of_a_partial_body_is_decoded() {
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
