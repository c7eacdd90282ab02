//! Why a command failed.

use std::fmt;

/// A user-facing message: what is wrong, and where it helps, what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TestlogError(String);

impl fmt::Display for TestlogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TestlogError {}

impl From<String> for TestlogError {
    fn from(message: String) -> TestlogError {
        TestlogError(message)
    }
}

impl From<&str> for TestlogError {
    fn from(message: &str) -> TestlogError {
        TestlogError(message.to_owned())
    }
}
