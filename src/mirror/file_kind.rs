//! Checks that a file is a regular file with a single name.

use std::fs::Metadata;
use std::io;

/// Accepts only a regular file.
pub(super) fn plain(metadata: &Metadata) -> io::Result<()> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(io::Error::other(format!("it is not a file but {}", kind_of(metadata)))),
    }
}

fn kind_of(metadata: &Metadata) -> &'static str {
    if metadata.is_symlink() {
        return "a symbolic link";
    }
    if metadata.is_dir() {
        return "a directory";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return "a FIFO (named pipe)";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    "a device"
}

/// Accepts only a regular file with a single name, so that a write to it changes no other file.
pub(super) fn sole(metadata: &Metadata) -> io::Result<()> {
    plain(metadata)?;
    match links(metadata) {
        0 | 1 => Ok(()),
        names => Err(io::Error::other(format!("it has {names} names (hard links): remove the others"))),
    }
}

/// How many names a file has; 0 if the system does not say.
#[cfg(unix)]
pub(super) fn links(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

#[cfg(not(unix))]
pub(super) fn links(_: &Metadata) -> u64 {
    1
}
