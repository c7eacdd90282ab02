//! The path of a mirror. Its lock, its mark and SQLite's write-ahead log are named after its file, so a file must
//! have only one name: two processes that open it under two names would not see each other's files.
//!
//! - Symbolic links, of the file and of the directories above it, are resolved before anything is named after it.
//! - A file with a second name that is not a symbolic link (a hard link, a mount of the file alone) is refused.
//! - Anything that is not a regular file, such as a pipe, is refused before it is opened, because opening it could
//!   block for ever. The same applies to the names that SQLite opens by itself.

use super::error::{MirrorError, Result, beside_error, io_error};
use super::file_kind::{links, plain, sole};
use super::mark;
use super::side_files::{beside, folder};
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The same limit as in Linux.
const MAX_LINKS: usize = 40;

/// The suffixes of the files that SQLite keeps beside a database.
const OF_SQLITE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The resolved path, after which all files beside the mirror are named. Links are resolved as far as they lead, even
/// if there is no file yet, or no directory.
pub fn place_of(path: &Path) -> PathBuf {
    let mut place = path.to_owned();
    for _ in 0..MAX_LINKS {
        if let Ok(whole) = fs::canonicalize(&place) {
            return whole;
        }
        let Ok(target) = fs::read_link(&place) else { break };
        place = folder(&place).join(target);
    }
    match (fs::canonicalize(folder(&place)), place.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => place,
    }
}

/// A value that two paths of one mirror share: the resolved path, or, with hard links, the identity of the file.
pub fn identity_of(path: &Path) -> (PathBuf, Option<(u64, u64)>) {
    let place = place_of(path);
    let file = fs::symlink_metadata(&place).ok().and_then(|metadata| number_of(&metadata));
    (place, file)
}

/// Whether there is a mirror, or another file, at a path.
///
/// # Errors
/// [`MirrorError`] if what is there cannot be a mirror, or if no mirror can be created there.
pub fn is_there(path: &Path) -> Result<bool> {
    exists(&resolve(path)?)
}

/// The resolved path of a mirror that is to be opened or created.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf> {
    let fault = |why: String| Err(MirrorError::Io(path.to_owned(), why));
    match fs::canonicalize(path) {
        Ok(place) => return Ok(place),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io_error(path, &error)),
        Err(_) => {}
    }
    // If a disk is not mounted, no new mirror may be created in its place, because it would lack every known head.
    if let Ok(target) = fs::read_link(path) {
        return fault(format!(
            "it is a symbolic link to {target:?}, which does not exist. Mount or restore that file; to begin a new \
             mirror there, give that path itself with --db"
        ));
    }
    // Otherwise, `x/` and `x/.` would be resolved to the file x.
    let bytes = path.as_os_str().as_encoded_bytes();
    if !path.file_name().is_some_and(|name| bytes.ends_with(name.as_encoded_bytes())) {
        return fault("this is not the name of a file".to_owned());
    }
    match fs::metadata(folder(path)) {
        Ok(_) => Ok(place_of(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fault(format!("its directory, {:?}, does not exist: create it", folder(path)))
        }
        Err(error) => Err(io_error(path, &error)),
    }
}

/// Whether there is a database at this path. If so, it can be opened without blocking, and has only this name.
pub(crate) fn exists(place: &Path) -> Result<bool> {
    let metadata = match fs::symlink_metadata(place) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(io_error(place, &error)),
    };
    plain(&metadata).map_err(|error| io_error(place, &error))?;
    if let Some(why) = other_name(place, &metadata) {
        return Err(MirrorError::Io(place.to_owned(), why));
    }
    for suffix in OF_SQLITE {
        match fs::symlink_metadata(beside(place, suffix)) {
            Ok(metadata) => sole(&metadata).map_err(|error| beside_error(place, suffix, &error))?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(beside_error(place, suffix, &error)),
        }
    }
    Ok(true)
}

/// The second name by which a database can be reached, in a message that tells the user what to do.
fn other_name(place: &Path, metadata: &Metadata) -> Option<String> {
    let names = links(metadata);
    if names > 1 {
        return Some(format!(
            "it has {names} names (hard links), and its lock and its write-ahead log belong to only one of them. \
             Keep the name that has the \".mark\" file beside it, remove the others (`find -samefile` lists them), \
             and make symbolic links in their place"
        ));
    }
    is_mount(place).then(|| {
        "the file is mounted by itself, so that it has another name elsewhere, and its lock and its write-ahead \
         log belong to only one of them. Mount its directory instead"
            .to_owned()
    })
}

/// Earlier versions named the mark after a link to the mirror. If such a mark is still there, the error says so.
pub(super) fn with_mark_of_link(error: MirrorError, given: &Path) -> MirrorError {
    let MirrorError::RolledBack(place, why) = error else { return error };
    let (ours, of_link) = (mark::path_of(&place), mark::path_of(given));
    let is_left = fs::symlink_metadata(&ours).is_err()
        && fs::symlink_metadata(&of_link).is_ok_and(|metadata| metadata.is_file());
    let message = if is_left {
        format!("{why}. There is one beside the link that leads to it: move {of_link:?} to {ours:?}")
    } else {
        why
    };
    MirrorError::RolledBack(place, message)
}

/// Creates the file in which a new database is built, and fails if the name is taken. The file stays open beside
/// SQLite and must be closed after the database: closing it earlier would release the locks of the database.
pub(super) fn fresh(temporary: &Path) -> io::Result<File> {
    for suffix in [""].iter().chain(&OF_SQLITE) {
        match fs::remove_file(beside(temporary, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    options.open(temporary)
}

/// Checks that a name still refers to the file that was created under it.
pub(super) fn still_is(file: &File, name: &Path) -> io::Result<()> {
    let (ours, there) = (file.metadata()?, fs::symlink_metadata(name)?);
    sole(&there)?;
    if number_of(&ours) != number_of(&there) {
        return Err(io::Error::other(
            "the file was replaced by another one while the mirror was created in it",
        ));
    }
    Ok(())
}

/// Checks that no files of an earlier database are left, which SQLite would treat as part of the new one.
pub(crate) fn no_remains(place: &Path) -> Result<()> {
    let holds = |suffix: &str| fs::symlink_metadata(beside(place, suffix)).is_ok_and(|found| found.len() > 0);
    match ["-wal", "-journal"].into_iter().find(|suffix| holds(suffix)) {
        None => Ok(()),
        Some(suffix) => {
            let why = format!(
                "the database itself is gone, and its {suffix:?} file, which holds what was written last, is still \
                 there. Bring the database back, or move that file to where the database went"
            );
            Err(MirrorError::Io(place.to_owned(), why))
        }
    }
}

#[cfg(unix)]
fn number_of(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn number_of(_: &Metadata) -> Option<(u64, u64)> {
    None
}

/// Whether the file itself is a mount point, as in containers. `false` if the system does not say.
#[cfg(target_os = "linux")]
fn is_mount(place: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let found = statx(CWD, place, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty());
    found.is_ok_and(|found| {
        found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
            && found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
    })
}

#[cfg(not(target_os = "linux"))]
fn is_mount(_: &Path) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_resolved_as_far_as_they_lead() {
        let folder = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(folder.path()).unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("data")).unwrap();
        fs::write(at("data/m.db"), "").unwrap();
        symlink("data", at("linked")).unwrap();
        symlink("linked/m.db", at("there")).unwrap();
        symlink("linked/new.db", at("new")).unwrap();
        symlink("new", at("chain")).unwrap();
        symlink("no/such/m.db", at("nowhere")).unwrap();
        symlink("circle", at("circle")).unwrap();
        for (name, place) in [
            ("data/m.db", "data/m.db"),
            ("linked/m.db", "data/m.db"),
            ("linked/../there", "data/m.db"),
            ("there", "data/m.db"),
            ("linked/new.db", "data/new.db"),
            ("new", "data/new.db"),
            ("chain", "data/new.db"),
            ("circle", "circle"),
        ] {
            assert_eq!(place_of(&at(name)), real.join(place), "{name}");
            assert_eq!(identity_of(&at(name)).0, real.join(place), "{name}");
        }
        assert!(place_of(&at("nowhere")).ends_with("no/such/m.db"));
        assert!(place_of(Path::new("m.db")).is_absolute());
        for (name, is) in
            [("there", Some(true)), ("linked/new.db", Some(false)), ("new", None), ("circle", None)]
        {
            assert_eq!(is_there(&at(name)).ok(), is, "{name}");
        }
    }

    #[test]
    fn a_replaced_new_file_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("secret"), "of somebody else").unwrap();
        symlink(at("secret"), at("m.db.new")).unwrap();
        fs::write(at("m.db.new-journal"), "of an earlier one").unwrap();
        let file = fresh(&at("m.db.new")).unwrap();
        assert!(!at("m.db.new-journal").exists());
        still_is(&file, &at("m.db.new")).unwrap();
        fs::hard_link(at("m.db.new"), at("second")).unwrap();
        assert!(still_is(&file, &at("m.db.new")).is_err());
        fs::remove_file(at("second")).unwrap();
        fs::rename(at("m.db.new"), at("elsewhere")).unwrap();
        assert!(still_is(&file, &at("m.db.new")).is_err());
        symlink(at("elsewhere"), at("m.db.new")).unwrap();
        assert!(still_is(&file, &at("m.db.new")).is_err());
        fs::remove_file(at("m.db.new")).unwrap();
        fs::write(at("m.db.new"), "").unwrap();
        assert!(still_is(&file, &at("m.db.new")).is_err());
        assert_eq!(fs::read_to_string(at("secret")).unwrap(), "of somebody else");
    }

    /// As a last line of defence, SQLite itself follows no link.
    #[test]
    fn a_database_is_not_opened_through_a_link() {
        use crate::mirror::connection::connect;
        use rusqlite::OpenFlags;
        let folder = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir(real.join("data")).unwrap();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        drop(connect(&real.join("data/m.db"), flags).unwrap());
        symlink("data", real.join("linked")).unwrap();
        symlink("data/m.db", real.join("m.db")).unwrap();
        symlink("data/new.db", real.join("new.db")).unwrap();
        for name in ["linked/m.db", "m.db", "new.db"] {
            assert!(connect(&real.join(name), flags).is_err(), "{name}");
        }
        assert!(!real.join("data/new.db").exists());
    }
}
