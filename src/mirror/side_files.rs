//! Files beside the mirror: the mark, the lock, what was told without it, misbehaviour files.
//!
//! Each is written whole or not at all, and is of whoever owns the mirror, as SQLite has it with its own: an audit by
//! hand, as root, must not leave a file behind that the daemon's user cannot read. Nor may that user, who can
//! put anything into the directory, have root write through a link of his: a file is made where there is none. What is
//! no file, such as a pipe, is not opened either: that could wait for ever.

use super::path::sole;
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The name of a file beside another: the other's, with `suffix` after it.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// The directory that a file is in.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Replaces a file as a whole: written beside it, synced, renamed, directory synced. A crash leaves the old one or
/// the new one, never half of one. It is given to the owner of the mirror.
///
/// # Errors
/// Of the file system; the old file is then still there.
pub fn replace(path: &Path, mirror: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path, ".new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::create_new(&temporary)?;
    give(&file, mirror);
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_directory(path)
}

/// Opens a file for writing, which is made where there is none; its content stays. What is no file by one name alone
/// is refused.
pub(super) fn open(path: &Path, mirror: &Path) -> io::Result<File> {
    match File::create_new(path) {
        Ok(file) => {
            give(&file, mirror);
            Ok(file)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let file = open_plain(path, File::options().write(true))?;
            sole(&file.metadata()?).map(|()| file)
        }
        Err(error) => Err(error),
    }
}

/// Reads a whole file. What is no file is refused, and so is a link.
///
/// # Errors
/// Of the file system; `InvalidData` where it is longer than `limit` bytes.
pub fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = open_plain(path, File::options().read(true))?;
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(bound).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        let why = format!("it is longer than the {limit} bytes that such a file may have");
        return Err(io::Error::new(ErrorKind::InvalidData, why));
    }
    Ok(bytes)
}

/// Opens what is a file, and waits for nobody to open its other end.
fn open_plain(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Looked at first, as some devices do something when they are opened …
    plain(&fs::symlink_metadata(path)?)?;
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path)?;
    // … and again, as another may have been put there since.
    plain(&file.metadata()?).map(|()| file)
}

/// A regular file, and nothing else.
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

/// Makes a rename or creation in the file's directory durable.
pub(super) fn sync_directory(file: &Path) -> io::Result<()> {
    File::open(folder(file))?.sync_all()
}

/// Gives a file that was made just now to the owner of the mirror, with the mirror's mode. Only root can; for all
/// others the file is theirs already, or the mirror is not theirs to write.
#[cfg(unix)]
pub(super) fn give(file: &File, mirror: &Path) {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    let (Ok(ours), Ok(theirs)) = (file.metadata(), fs::symlink_metadata(mirror)) else { return };
    if ours.uid() == theirs.uid() && ours.gid() == theirs.gid() {
        return;
    }
    if fchown(file, Some(theirs.uid()), Some(theirs.gid())).is_ok() {
        // What cannot be changed is said by whoever cannot read it.
        let _ = file.set_permissions(fs::Permissions::from_mode(theirs.mode() & 0o666));
    }
}

/// Elsewhere files are of who may write the directory.
#[cfg(not(unix))]
pub(super) fn give(_: &File, _: &Path) {}

/// Gives a database that is to take the place of `mirror` its owner and its mode, which may be stricter than that of a
/// new one.
///
/// # Errors
/// They cannot be given: whoever could read the mirror could not read this one, or others could.
#[cfg(unix)]
pub(super) fn succeed(place: &Path, mirror: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let (file, theirs) = (File::open(place)?, fs::symlink_metadata(mirror)?);
    give(&file, mirror);
    file.set_permissions(theirs.permissions())?;
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) != (theirs.uid(), theirs.gid()) {
        return Err(io::Error::new(
            ErrorKind::PermissionDenied,
            "it is of another user: run this as its owner",
        ));
    }
    Ok(())
}

/// Elsewhere files are of who may write the directory.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub(super) fn succeed(_: &Path, _: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

    /// Whoever owns the directory has links in all the places.
    #[test]
    fn nothing_is_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("m.db"), "m").unwrap();
        std::fs::write(at("secret"), "of somebody else").unwrap();
        for link in ["m.db.mark", "m.db.mark.new", "m.db.lock"] {
            std::os::unix::fs::symlink(at("secret"), at(link)).unwrap();
        }
        replace(&at("m.db.mark"), &at("m.db"), b"mark").unwrap();
        assert!(open(&at("m.db.lock"), &at("m.db")).is_err());
        assert_eq!(std::fs::read_to_string(at("secret")).unwrap(), "of somebody else");
        assert!(at("m.db.mark").symlink_metadata().unwrap().is_file());
        assert_eq!(std::fs::read(at("m.db.mark")).unwrap(), b"mark");
    }

    #[test]
    fn a_lock_is_made_once_and_its_content_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (mirror, lock) = (folder.path().join("m.db"), folder.path().join("m.db.lock"));
        open(&lock, &mirror).unwrap().write_all(b"who").unwrap();
        drop(open(&lock, &mirror).unwrap());
        assert_eq!(std::fs::read(&lock).unwrap(), b"who");
    }

    #[test]
    fn a_file_that_root_makes_is_of_the_owner_of_the_mirror() {
        let folder = tempfile::tempdir().unwrap();
        let (mirror, beside) = (folder.path().join("m.db"), folder.path().join("m.db.mark"));
        std::fs::write(&mirror, "m").unwrap();
        std::fs::set_permissions(&mirror, std::fs::Permissions::from_mode(0o600)).unwrap();
        let own = std::fs::metadata(&mirror).unwrap().uid();
        // Without root nobody can be made its owner, and then there is nothing to give.
        let other = if chown(&mirror, Some(65534), Some(65534)).is_ok() { 65534 } else { own };
        let file = File::create(&beside).unwrap();
        give(&file, &mirror);
        give(&file, &folder.path().join("missing"));
        assert_eq!(std::fs::metadata(&beside).unwrap().uid(), other);
        if other != own {
            assert_eq!(std::fs::metadata(&beside).unwrap().mode() & 0o777, 0o600);
        }
    }
}
