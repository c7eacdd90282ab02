//! Strict JSON in, canonical JSON out (RFC 8785, on the I-JSON profile of RFC 7493).
//!
//! A text that parses is one I-JSON value: UTF-8, no repeated member names (compared after unescaping, so `"a"` and
//! `"\u0061"` are the same name), no lone surrogates, every number within the double range, nothing after the value, and
//! no deeper than the caller allows. It need not be canonical: compare it with the result of [`canonicalize`] to find out
//! (specification section 2).

mod canonical;

pub use canonical::{canonical_number, canonicalize, write_canonical_string};

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::fmt;

use crate::core::limits::MAX_INTEGER;
use crate::core::text::quoted;

/// A JSON value. Members keep the order of the text, and their names are unique.
#[derive(Clone, PartialEq, Debug)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number. [`Json::parse`] returns only finite ones.
    Number(f64),
    /// A string without lone surrogates.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, its members in the order of the text.
    Object(Vec<(String, Json)>),
}

/// Why a text is not strict JSON.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JsonError {
    /// Not JSON, not UTF-8, a lone surrogate, a number outside the double range, or trailing data. The text says which and
    /// where.
    Malformed(String),
    /// A member name that occurs twice in one object, after unescaping.
    RepeatedName(String),
    /// Nested deeper than this many levels.
    TooDeep(usize),
    /// A number that JSON cannot represent: infinite or not a number. Parsing never returns one.
    NotFinite,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonError::Malformed(why) => write!(f, "not strict JSON: {why}"),
            JsonError::RepeatedName(name) => write!(f, "member name {} is repeated", quoted(name)),
            JsonError::TooDeep(limit) => write!(f, "nested deeper than {limit} levels"),
            JsonError::NotFinite => f.write_str("a number that is not finite"),
        }
    }
}

impl std::error::Error for JsonError {}

/// The parser's message, with its word for `true`, `false` and `null` explained.
fn in_plain_words(error: &serde_json::Error) -> String {
    error.to_string().replace("expected ident", "a word that is neither true, false nor null")
}

impl Json {
    /// Parses exactly one JSON value. A scalar has depth 0, `{}` and `[]` have depth 1.
    ///
    /// # Errors
    /// [`JsonError`]. More than 127 levels are [`JsonError::Malformed`] for any `max_depth`: serde_json's own guard against
    /// a stack overflow stays on.
    pub fn parse(bytes: &[u8], max_depth: usize) -> Result<Json, JsonError> {
        let error_slot = RefCell::new(None);
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let seed = Seed { left: max_depth, max_depth, error_slot: &error_slot };
        let parsed = seed.deserialize(&mut deserializer).and_then(|json| {
            deserializer.end()?;
            Ok(json)
        });
        parsed.map_err(|error| {
            error_slot.take().unwrap_or_else(|| JsonError::Malformed(in_plain_words(&error)))
        })
    }

    /// The member with this name; `None` if there is none or this is not an object.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.as_object()?.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// The members, if this is an object.
    pub fn as_object(&self) -> Option<&[(String, Json)]> {
        if let Json::Object(members) = self { Some(members) } else { None }
    }

    /// The items, if this is an array.
    pub fn as_array(&self) -> Option<&[Json]> {
        if let Json::Array(items) = self { Some(items) } else { None }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Json::String(text) = self { Some(text) } else { None }
    }

    /// The number, if this is an integer as in specification section 1: 0 to 2^53 − 1. `1.0` and `1e0` are 1 here; only
    /// the canonical form distinguishes them.
    pub fn as_integer(&self) -> Option<u64> {
        match self {
            // Every integer up to 2^53 is exact as a double, and prints as its digits.
            Json::Number(n) if *n >= 0.0 && *n <= MAX_INTEGER as f64 && n.fract() == 0.0 => {
                format!("{}", n.abs()).parse().ok()
            }
            _ => None,
        }
    }
}

/// Parses one value with `left` levels still allowed. The precise error goes to `error_slot`, because a serde error can
/// carry only text.
#[derive(Clone, Copy)]
struct Seed<'f> {
    left: usize,
    max_depth: usize,
    error_slot: &'f RefCell<Option<JsonError>>,
}

impl Seed<'_> {
    fn fail<E: serde::de::Error>(self, error: JsonError) -> E {
        self.error_slot.replace(Some(error));
        E::custom("refused")
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Seed { left, ..self }),
            None => Err(self.fail(JsonError::TooDeep(self.max_depth))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    // The two integer conversions round to the nearest double, ties to even, as ECMAScript's parser (the reference of
    // RFC 8785) does with the same digits.
    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        if value.is_finite() { Ok(Json::Number(value)) } else { Err(self.fail(JsonError::NotFinite)) }
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let seed = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(seed)? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let seed = self.deeper()?;
        let mut members: Vec<(String, Json)> = Vec::new();
        while let Some(name) = access.next_key::<String>()? {
            members.push((name, access.next_value_seed(seed)?));
        }
        match repeated_name(members.iter().map(|(name, _)| name.as_str())) {
            Some(name) => Err(self.fail(JsonError::RepeatedName(name))),
            None => Ok(Json::Object(members)),
        }
    }
}

/// A name that occurs twice. Up to sixteen names, comparing each pair is fastest; for more they are sorted, because a
/// hundred thousand members would take ten thousand million comparisons.
fn repeated_name<'n>(names: impl ExactSizeIterator<Item = &'n str> + Clone) -> Option<String> {
    if names.len() <= 16 {
        let earlier = |i: usize| names.clone().take(i);
        let mut numbered = names.clone().enumerate();
        return numbered
            .find(|(i, name)| earlier(*i).any(|seen| seen == *name))
            .map(|(_, name)| name.to_owned());
    }
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.iter().zip(names.iter().skip(1)).find(|(a, b)| a == b).map(|(name, _)| (*name).to_owned())
}

#[cfg(test)]
#[path = "jcs_tests.rs"]
mod tests;
