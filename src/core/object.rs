//! Strict parsing of closed JSON objects (specification section 1).
//!
//! serde's derived structs are more liberal than the specification in two ways: they accept an *array* of the members'
//! values, and they read a missing `Option` member as `null`. Either would give one value a second text, and a head that
//! everybody else refuses must not be accepted here.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

struct ObjectVisitor<T> {
    or_null: bool,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.or_null { "an object or null" } else { "an object" })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Option<T>, E> {
        if self.or_null { Ok(None) } else { Err(E::invalid_type(serde::de::Unexpected::Unit, &self)) }
    }
}

/// A nested value that must be an object, not an array of its members' values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        let object = deserializer.deserialize_any(ObjectVisitor { or_null: false, of: PhantomData })?;
        object.map(Object).ok_or_else(|| serde::de::Error::custom("not an object"))
    }
}

impl<T: Serialize> Serialize for Object<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// An array of at most `N` values. Parsing stops at the first value beyond.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AtMost<T, const N: usize>(pub Vec<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for AtMost<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AtMost<T, N>, D::Error> {
        deserializer.deserialize_seq(BoundedArrayVisitor(PhantomData))
    }
}

impl<T: Serialize, const N: usize> Serialize for AtMost<T, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

struct BoundedArrayVisitor<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for BoundedArrayVisitor<T, N> {
    type Value = AtMost<T, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of at most {N} values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<AtMost<T, N>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = array.next_element()? {
            if values.len() >= N {
                // The length is only for the message.
                return Err(serde::de::Error::invalid_length(values.len().saturating_add(1), &self));
            }
            values.push(value);
        }
        Ok(AtMost(values))
    }
}

/// Parses exactly one JSON object.
///
/// # Errors
/// The text is not an object of this shape, or something follows it.
pub fn from_slice<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let object = deserializer.deserialize_any(ObjectVisitor { or_null: false, of: PhantomData })?;
    deserializer.end()?;
    object.ok_or_else(|| serde::de::Error::custom("not an object"))
}

/// Deserialises a required member that is an object or `null`.
///
/// # Errors
/// The value is neither an object of this shape nor `null`.
pub fn or_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(ObjectVisitor { or_null: true, of: PhantomData })
}

/// Deserialises a required member that may be `null`.
///
/// # Errors
/// The value is neither of this type nor `null`.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::<T>::deserialize(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, PartialEq, Debug)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        a: u8,
    }

    #[derive(Deserialize, PartialEq, Debug)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(deserialize_with = "or_null")]
        inner: Option<Inner>,
        #[serde(deserialize_with = "present")]
        text: Option<String>,
    }

    #[test]
    fn arrays_are_not_read_as_objects() {
        let read = |text: &str| from_slice::<Outer>(text.as_bytes());
        assert_eq!(read(r#"{"inner":{"a":1},"text":"x"}"#).unwrap().inner, Some(Inner { a: 1 }));
        assert_eq!(read(r#" {"text":null,"inner":null} "#).unwrap().inner, None);
        for text in [
            r#"[{"a":1},"x"]"#,
            r#"{"inner":[1],"text":"x"}"#,
            r#"{"inner":{"a":1}}"#,
            r#"{"text":"x"}"#,
            r#"{"inner":1,"text":"x"}"#,
            r#"{"inner":null,"text":null}{}"#,
            r#"{"inner":null,"inner":null,"text":null}"#,
            "null",
            "1",
            "",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
