//! The canonical form of a JSON text (RFC 8785 section 3.2), written while the text is parsed.
//!
//! No tree of values is built: for a hostile text of a million small arrays it would take twenty times the text's length.
//! Writing directly takes about that length.

use super::{JsonError, in_plain_words, repeated_name};
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

/// The canonical form of a JSON text: members sorted by UTF-16 code units, ECMAScript numbers, minimal
/// escapes, no white space.
///
/// # Errors
/// As [`Json::parse`](super::Json::parse), for the same texts.
pub fn canonicalize(bytes: &[u8], max_depth: usize) -> Result<Vec<u8>, JsonError> {
    let (error_slot, out) = (RefCell::new(None), RefCell::new(Vec::with_capacity(bytes.len())));
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let writer = Writer { left: max_depth, max_depth, out: &out, error_slot: &error_slot };
    let written = writer.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match written {
        Ok(()) => Ok(out.into_inner()),
        Err(error) => Err(error_slot.take().unwrap_or_else(|| JsonError::Malformed(in_plain_words(&error)))),
    }
}

/// A number in the form of RFC 8785 section 3.2.2.3 (ECMAScript `Number::toString`).
///
/// # Errors
/// [`JsonError::NotFinite`] for infinities and NaN, which RFC 8785 forbids.
pub fn canonical_number(value: f64) -> Result<String, JsonError> {
    if value.is_finite() {
        Ok(ryu_js::Buffer::new().format_finite(value).to_owned())
    } else {
        Err(JsonError::NotFinite)
    }
}

/// Appends `text` as a canonical JSON string (RFC 8785 section 3.2.2.2): only `"`, `\` and the control characters below
/// U+0020 are escaped, in the short form if there is one.
pub fn write_canonical_string(out: &mut Vec<u8>, text: &str) {
    // A hint only.
    out.reserve(text.len().saturating_add(2));
    out.push(b'"');
    // The escaped characters are ASCII, and no byte of a multi-byte character is. Splitting at them therefore keeps the
    // characters between them whole, and a run without escapes is copied at once.
    for run in text.as_bytes().split_inclusive(|byte| needs_escape(*byte)) {
        match run.split_last() {
            Some((last, before)) if needs_escape(*last) => {
                out.extend_from_slice(before);
                write_escape(out, *last);
            }
            _ => out.extend_from_slice(run),
        }
    }
    out.push(b'"');
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        b'"' | b'\\' => byte,
        _ => {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// The order of RFC 8785 section 3.2.3. UTF-8 bytes sort like code points. UTF-16 differs only for characters beyond
/// U+FFFF, whose surrogates sort below U+E000.
fn utf16_order(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

/// Writes one value with `left` levels still allowed. The precise error goes to `error_slot`, because a serde error can
/// carry only text.
#[derive(Clone, Copy)]
struct Writer<'w> {
    left: usize,
    max_depth: usize,
    out: &'w RefCell<Vec<u8>>,
    error_slot: &'w RefCell<Option<JsonError>>,
}

/// The output only grows while an object is read, so its values stay where they were written.
fn misplaced() -> JsonError {
    JsonError::Malformed("a value was lost while its object was sorted".to_owned())
}

impl Writer<'_> {
    fn fail<E: serde::de::Error>(self, error: JsonError) -> E {
        self.error_slot.replace(Some(error));
        E::custom("refused")
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Writer { left, ..self }),
            None => Err(self.fail(JsonError::TooDeep(self.max_depth))),
        }
    }

    fn put<E>(self, text: &[u8]) -> Result<(), E> {
        self.out.borrow_mut().extend_from_slice(text);
        Ok(())
    }

    fn number<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        match canonical_number(value) {
            Ok(text) => self.put(text.as_bytes()),
            Err(error) => Err(self.fail(error)),
        }
    }

    fn length(self) -> usize {
        self.out.borrow().len()
    }

    /// Sorts the members of an object, which were written from `start` on in the order of the text.
    fn sort<E: serde::de::Error>(
        self,
        start: usize,
        mut members: Vec<(String, Range<usize>)>,
    ) -> Result<(), E> {
        let mut out = self.out.borrow_mut();
        let values = out.split_off(start);
        members.sort_unstable_by(|(a, _), (b, _)| utf16_order(a, b));
        out.push(b'{');
        for (i, (name, place)) in members.into_iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_canonical_string(&mut out, &name);
            out.push(b':');
            // A value left out would be a canonical form of something else.
            let value = values.get(place).ok_or_else(|| self.fail::<E>(misplaced()))?;
            out.extend_from_slice(value);
        }
        out.push(b'}');
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Writer<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Writer<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.put(b"null")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.put(if value { b"true" } else { b"false" })
    }

    // The two integer conversions round to the nearest double, ties to even, as ECMAScript's parser (the reference of
    // RFC 8785) does with the same digits.
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.number(value as f64)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.number(value as f64)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.number(value)
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        write_canonical_string(&mut self.out.borrow_mut(), text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        self.put(b"[")?;
        let mut any = false;
        while access.next_element_seed(inner)?.is_some() {
            any = true;
            self.put(b",")?;
        }
        if any {
            // The comma after the last item.
            self.out.borrow_mut().pop();
        }
        self.put(b"]")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let start = self.length();
        let mut members: Vec<(String, Range<usize>)> = Vec::new();
        while let Some(name) = access.next_key::<String>()? {
            let from = self.length();
            access.next_value_seed(inner)?;
            let place = from.checked_sub(start).zip(self.length().checked_sub(start));
            let (from, to) = place.ok_or_else(|| self.fail::<A::Error>(misplaced()))?;
            members.push((name, from..to));
        }
        match repeated_name(members.iter().map(|(name, _)| name.as_str())) {
            Some(name) => Err(self.fail(JsonError::RepeatedName(name))),
            None => self.sort(start, members),
        }
    }
}
