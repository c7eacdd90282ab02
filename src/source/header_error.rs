//! Why a secret header is refused.

use std::fmt;

/// More headers than this are a mistake, such as the wrong file.
pub(super) const MAX_HEADERS: usize = 32;

/// The longest value. Common servers accept 8 KiB of headers in all.
pub(super) const MAX_VALUE: usize = 8 * 1024;

/// Why a secret header is refused. Its text never contains a value, nor anything that may turn out to be one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HeaderError {
    /// The bearer token is empty.
    EmptyToken,
    /// The bearer token has a character that a token cannot have.
    TokenCharacter,
    /// The text has no header at all.
    NoHeader,
    /// The line has no colon.
    NoColon,
    /// The text before the colon is not a header name.
    Name,
    /// The client itself sets this header.
    Reserved(String),
    /// The value is empty.
    EmptyValue,
    /// The value has a character that a header cannot carry.
    ValueCharacter,
    /// The HTTP library refuses the value.
    Value,
    /// The value is too long, or there are too many headers.
    TooMuch,
    /// `Authorization` is given twice.
    TwoAuthorizations,
    /// Another header is given twice.
    Duplicate,
    /// A line of a file of headers is refused: its number, from 1, and why.
    Line(u32, Box<HeaderError>),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeaderError::EmptyToken => "the token is empty",
            HeaderError::TokenCharacter => {
                "a token has no spaces, line breaks, control or non-ASCII characters"
            }
            HeaderError::NoHeader => "there is no header in it",
            HeaderError::NoColon => "write it as \"Name: value\"",
            HeaderError::Name => "the part before the colon is not a header name",
            HeaderError::Reserved(name) => {
                return write!(f, "{name} is a header that only the client itself can set");
            }
            HeaderError::EmptyValue => "the value is empty",
            HeaderError::ValueCharacter => "the value has control or non-ASCII characters",
            HeaderError::Value => "the value is not valid in a header",
            HeaderError::TooMuch => {
                return write!(
                    f,
                    "more than {MAX_VALUE} bytes in a value, or more than {MAX_HEADERS} headers"
                );
            }
            HeaderError::TwoAuthorizations => "two secrets for Authorization: give one",
            HeaderError::Duplicate => "the same header is given twice",
            HeaderError::Line(number, error) => return write!(f, "line {number}: {error}"),
        })
    }
}

impl std::error::Error for HeaderError {}
