//! The access to files and URLs that resolving settings needs. The caller provides it.

use super::error::Error;
use std::path::Path;

/// Reads a whole file of at most so many bytes.
pub type ReadFile<'a> = dyn Fn(&Path, usize) -> Result<Vec<u8>, Error> + 'a;

/// Functions that read files named by settings, and parse URLs.
pub struct Outside<'a> {
    /// Reads a whole file of at most so many bytes.
    pub read: &'a ReadFile<'a>,
    /// The host and port of a URL in a form that may be shown, or `None` if it has no host.
    pub host_of: fn(&str) -> Option<String>,
}
