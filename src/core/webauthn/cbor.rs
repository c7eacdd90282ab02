//! A strict reader for the CBOR in COSE keys and authenticator extensions (RFC 8949; CTAP2 canonical
//! form uses definite lengths only, and so does this reader).
//!
//! Items that it reads are well-formed (RFC 8949 section 5.3.1 and Appendix C), and text is UTF-8. It does not require
//! shortest heads or sorted maps: nothing is re-encoded, and the received bytes are hashed and compared. It never
//! allocates, so an announced length costs nothing.

use crate::core::limits::MAX_CBOR_DEPTH;
use std::fmt;

/// Why bytes are not one well-formed item of this subset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CborError {
    /// The bytes end inside an item.
    Truncated,
    /// A reserved or meaningless encoding.
    NotWellFormed,
    /// An indefinite length, which CTAP2 forbids.
    Indefinite,
    /// Text that is not UTF-8.
    NotUtf8,
    /// Nested deeper than [`MAX_CBOR_DEPTH`].
    TooDeep,
    /// A well-formed item of another type than the requested one.
    OtherType,
    /// An integer beyond the range of 64 bits.
    OutOfRange,
}

impl fmt::Display for CborError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CborError::Truncated => "CBOR ends inside an item",
            CborError::NotWellFormed => "CBOR is not well-formed",
            CborError::Indefinite => "CBOR with indefinite length",
            CborError::NotUtf8 => "CBOR text is not UTF-8",
            CborError::TooDeep => "CBOR is nested too deep",
            CborError::OtherType => "CBOR of an unexpected type",
            CborError::OutOfRange => "CBOR integer out of range",
        })
    }
}

impl std::error::Error for CborError {}

/// The head of an item: its major type (RFC 8949 section 3.1) and argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Head {
    Unsigned(u64),
    Negative(u64),
    Bytes(u64),
    Text(u64),
    Array(u64),
    Map(u64),
    Tag,
    /// A simple value or float, which has no content after its head.
    Simple,
}

/// Reads items one after another from the front of a slice.
#[derive(Clone, Debug)]
pub struct CborReader<'a> {
    rest: &'a [u8],
}

impl<'a> CborReader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> CborReader<'a> {
        CborReader { rest: bytes }
    }

    /// The bytes that have not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], CborError> {
        let length = usize::try_from(length).map_err(|_| CborError::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn big_endian(&mut self, length: u64) -> Result<u64, CborError> {
        Ok(self.take(length)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn head(&mut self) -> Result<Head, CborError> {
        let [initial] = self.take(1)? else { return Err(CborError::Truncated) };
        let (major, info) = (initial >> 5, initial & 0x1f);
        let argument = match info {
            0..=23 => u64::from(info),
            24 => self.big_endian(1)?,
            25 => self.big_endian(2)?,
            26 => self.big_endian(4)?,
            27 => self.big_endian(8)?,
            31 if (2..=5).contains(&major) => return Err(CborError::Indefinite),
            _ => return Err(CborError::NotWellFormed),
        };
        Ok(match major {
            0 => Head::Unsigned(argument),
            1 => Head::Negative(argument),
            2 => Head::Bytes(argument),
            3 => Head::Text(argument),
            4 => Head::Array(argument),
            5 => Head::Map(argument),
            6 => Head::Tag,
            // Simple values below 32 have one form only, in the initial byte (RFC 8949 section 3.3).
            _ if info == 24 && argument < 32 => return Err(CborError::NotWellFormed),
            _ => Head::Simple,
        })
    }

    fn text_of(&mut self, length: u64) -> Result<&'a str, CborError> {
        std::str::from_utf8(self.take(length)?).map_err(|_| CborError::NotUtf8)
    }

    /// Reads an integer.
    ///
    /// # Errors
    /// [`CborError::OtherType`] for another item, [`CborError::OutOfRange`] outside `i64`.
    pub fn integer(&mut self) -> Result<i64, CborError> {
        match self.head()? {
            Head::Unsigned(value) => i64::try_from(value).map_err(|_| CborError::OutOfRange),
            // −1 − value, which is the bitwise complement.
            Head::Negative(value) => {
                i64::try_from(value).map(|value| !value).map_err(|_| CborError::OutOfRange)
            }
            _ => Err(CborError::OtherType),
        }
    }

    /// Reads a byte string.
    ///
    /// # Errors
    /// [`CborError::OtherType`] for another item.
    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        if let Head::Bytes(length) = self.head()? { self.take(length) } else { Err(CborError::OtherType) }
    }

    /// Reads a text string.
    ///
    /// # Errors
    /// [`CborError::OtherType`] for another item.
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        if let Head::Text(length) = self.head()? { self.text_of(length) } else { Err(CborError::OtherType) }
    }

    /// Reads the head of a map and returns the announced number of pairs, which is unverified.
    ///
    /// # Errors
    /// [`CborError::OtherType`] for another item.
    pub fn map(&mut self) -> Result<u64, CborError> {
        if let Head::Map(pairs) = self.head()? { Ok(pairs) } else { Err(CborError::OtherType) }
    }

    /// Reads one whole item of any type and returns its exact bytes.
    ///
    /// # Errors
    /// [`CborError`]. The position is undefined then.
    pub fn item(&mut self) -> Result<&'a [u8], CborError> {
        let start = self.rest;
        self.skip(MAX_CBOR_DEPTH)?;
        let length = start.len().checked_sub(self.rest.len());
        length.and_then(|length| start.get(..length)).ok_or(CborError::Truncated)
    }

    /// Skips one item. Each item takes at least one byte, so the loops end with the input, for any announced count.
    fn skip(&mut self, depth: usize) -> Result<(), CborError> {
        let inside = || depth.checked_sub(1).ok_or(CborError::TooDeep);
        match self.head()? {
            Head::Unsigned(_) | Head::Negative(_) | Head::Simple => {}
            Head::Bytes(length) => {
                self.take(length)?;
            }
            Head::Text(length) => {
                self.text_of(length)?;
            }
            Head::Tag => self.skip(inside()?)?,
            Head::Array(items) => {
                let depth = inside()?;
                for _ in 0..items {
                    self.skip(depth)?;
                }
            }
            Head::Map(pairs) => {
                let depth = inside()?;
                for _ in 0..pairs {
                    self.skip(depth)?;
                    self.skip(depth)?;
                }
            }
        }
        Ok(())
    }
}

/// Whether `bytes` are exactly one well-formed item.
///
/// # Errors
/// [`CborError`]. Bytes after the item are [`CborError::NotWellFormed`].
pub fn check_one_item(bytes: &[u8]) -> Result<(), CborError> {
    let mut reader = CborReader::new(bytes);
    reader.item()?;
    if reader.rest().is_empty() { Ok(()) } else { Err(CborError::NotWellFormed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_integers_to_both_ends() {
        let read = |bytes: &[u8]| CborReader::new(bytes).integer();
        assert_eq!(read(&[0x17]), Ok(23));
        assert_eq!(read(&[0x39, 0x01, 0x00]), Ok(-257));
        assert_eq!(read(&[0x3b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Ok(i64::MIN));
        assert_eq!(read(&[0x3b, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err(CborError::OutOfRange));
        assert_eq!(read(&[0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err(CborError::OutOfRange));
        assert_eq!(read(&[0x40]), Err(CborError::OtherType));
    }

    #[test]
    fn an_item_is_exactly_its_bytes() {
        let mut reader = CborReader::new(&[0xa1, 0x61, b'a', 0x82, 0x01, 0xf5, 0x42, 7, 8, 0x00]);
        assert_eq!(reader.item().unwrap(), [0xa1, 0x61, b'a', 0x82, 0x01, 0xf5]);
        assert_eq!(reader.bytes().unwrap(), [7, 8]);
        assert_eq!(reader.rest(), [0]);
    }

    #[test]
    fn announced_lengths_cost_nothing() {
        for head in [0x5b, 0x7b, 0x9b, 0xbb] {
            let bytes = [head, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00];
            assert_eq!(check_one_item(&bytes), Err(CborError::Truncated));
        }
    }

    #[test]
    fn depth_is_bounded_for_containers_and_tags() {
        for nest in [&[0x81][..], &[0xa1, 0x00], &[0xc1]] {
            let deep = |levels| [nest.repeat(levels), vec![0]].concat();
            assert_eq!(check_one_item(&deep(MAX_CBOR_DEPTH)), Ok(()));
            assert_eq!(check_one_item(&deep(MAX_CBOR_DEPTH + 1)), Err(CborError::TooDeep));
            assert!(check_one_item(&deep(100_000)).is_err());
        }
    }

    #[test]
    fn refuses_what_is_not_well_formed() {
        let cases: [&[u8]; 12] = [
            &[],
            &[0x18],
            &[0x1c],
            &[0x3f],
            &[0x61, 0xff],
            &[0x5f, 0xff],
            &[0xff],
            &[0xf8, 0x1f],
            &[0xf8],
            &[0xa1, 0x00],
            &[0xc1],
            &[0x00, 0x00],
        ];
        for case in cases {
            assert!(check_one_item(case).is_err(), "{case:x?}");
        }
        let floats: [&[u8]; 4] = [&[0xf9, 0x3c, 0x00], &[0xfa, 0, 0, 0, 0], &[0xf8, 0x20], &[0xf6]];
        for case in floats {
            assert_eq!(check_one_item(case), Ok(()));
        }
    }
}
