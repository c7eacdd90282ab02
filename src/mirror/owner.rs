//! Files beside the mirror are of whoever owns the mirror, as SQLite has it with its own: an audit by hand, as root,
//! must not leave a file behind that the daemon's user cannot read.

use std::fs::File;
use std::path::Path;

/// Gives a file, just created, to the owner of the mirror, with the mirror's mode. Only root can; for all others
/// the file is theirs already, or the mirror is not theirs to write.
#[cfg(unix)]
pub fn give(file: &File, mirror: &Path) {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    let (Ok(ours), Ok(theirs)) = (file.metadata(), std::fs::metadata(mirror)) else { return };
    if ours.uid() == theirs.uid() && ours.gid() == theirs.gid() {
        return;
    }
    if fchown(file, Some(theirs.uid()), Some(theirs.gid())).is_ok() {
        // What cannot be changed is said by whoever cannot read it.
        let _ = file.set_permissions(std::fs::Permissions::from_mode(theirs.mode() & 0o666));
    }
}

/// Elsewhere files are of who may write the directory.
#[cfg(not(unix))]
pub fn give(_: &File, _: &Path) {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

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
