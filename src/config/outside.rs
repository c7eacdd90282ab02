//! What settings need of the world, in the hands of whoever resolves them.

use super::error::Error;
use std::path::Path;

/// All of a file of at most so many bytes.
pub type ReadFile<'a> = dyn Fn(&Path, usize) -> Result<Vec<u8>, Error> + 'a;

/// Files that settings name, and what a URL says.
pub struct Outside<'a> {
    /// All of a file of at most so many bytes.
    pub read: &'a ReadFile<'a>,
    /// Host and port of a URL, as they may be shown; `None` where it has none.
    pub host_of: fn(&str) -> Option<String>,
}
