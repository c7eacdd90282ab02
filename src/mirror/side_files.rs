//! Files beside the mirror: the mark, the lock, the record of reports made without the mirror, misbehaviour files.
//!
//! Each is written atomically and belongs to the owner of the mirror, as SQLite does with its own files: an audit
//! that root runs by hand must not leave a file that the daemon's user cannot read. That user can create anything in
//! the directory, and must not be able to make root write through a symbolic link: a new file is created only where
//! no file exists. Anything that is not a regular file, such as a pipe, is never opened, because opening it could
//! block for ever.

use super::file_kind::{plain, sole};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The path of a file beside another: the other's path with `suffix` appended.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// The directory that a file is in.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Replaces a file atomically: the new one is written beside it, synced and renamed, and the directory is synced. A
/// crash leaves either the old file or the new one. The file is given to the owner of the mirror.
///
/// # Errors
/// [`io::Error`] of the file system; the old file is then still there.
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

/// Opens a file for writing and creates it if it does not exist; its content stays. Anything but a regular file with
/// a single name is refused.
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

/// Reads a whole file. Anything but a regular file, including a symbolic link, is refused.
///
/// # Errors
/// [`io::Error`] of the file system; of the kind `InvalidData` if the file is longer than `limit` bytes.
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

/// Opens a regular file, without blocking until the other end of a pipe is opened.
///
/// # Errors
/// [`io::Error`] of the file system, or if there is something else than a regular file.
pub(crate) fn open_plain(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Checked before it is opened, because opening some devices has side effects …
    plain(&fs::symlink_metadata(path)?)?;
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path)?;
    // … and again afterwards, because the file may have been replaced in between.
    plain(&file.metadata()?).map(|()| file)
}

/// Makes a rename or creation in the file's directory durable.
pub(super) fn sync_directory(file: &Path) -> io::Result<()> {
    File::open(folder(file))?.sync_all()
}

/// Gives a new file to the owner of the mirror, with the mirror's mode. Only root can do so; for other users, the
/// file already belongs to them, or they cannot write to the mirror.
#[cfg(unix)]
pub(super) fn give(file: &File, mirror: &Path) {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    let (Ok(ours), Ok(theirs)) = (file.metadata(), fs::symlink_metadata(mirror)) else { return };
    if ours.uid() == theirs.uid() && ours.gid() == theirs.gid() {
        return;
    }
    if fchown(file, Some(theirs.uid()), Some(theirs.gid())).is_ok() {
        // If this fails, a user who cannot read the file gets an error then.
        let _ = file.set_permissions(fs::Permissions::from_mode(theirs.mode() & 0o666));
    }
}

/// On other systems, files belong to whoever can write to the directory.
#[cfg(not(unix))]
pub(super) fn give(_: &File, _: &Path) {}

/// Gives a database that is to replace `mirror` the owner and mode of `mirror`, which may be stricter than those of a
/// new file.
///
/// # Errors
/// [`io::Error`] if they cannot be set: users who could read the mirror could not read the new one, or others could.
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

/// On other systems, files belong to whoever can write to the directory.
///
/// # Errors
/// Never fails.
#[cfg(not(unix))]
pub(super) fn succeed(_: &Path, _: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

    /// The owner of the directory has put links in all the places.
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
    fn the_lock_file_is_created_once_and_its_content_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (mirror, lock) = (folder.path().join("m.db"), folder.path().join("m.db.lock"));
        open(&lock, &mirror).unwrap().write_all(b"who").unwrap();
        drop(open(&lock, &mirror).unwrap());
        assert_eq!(std::fs::read(&lock).unwrap(), b"who");
    }

    #[test]
    fn files_created_by_root_belong_to_the_owner_of_the_mirror() {
        let folder = tempfile::tempdir().unwrap();
        let (mirror, beside) = (folder.path().join("m.db"), folder.path().join("m.db.mark"));
        std::fs::write(&mirror, "m").unwrap();
        std::fs::set_permissions(&mirror, std::fs::Permissions::from_mode(0o600)).unwrap();
        let own = std::fs::metadata(&mirror).unwrap().uid();
        // Without root, the owner cannot be changed, so there is nothing to give.
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
