//! The program behind a gate: found before anybody is asked, and run once.
//!
//! What it needs is prepared before the approval is consumed, so that as little as possible can fail afterwards: a consumed
//! approval is used up, whether its program ran or not. The payload is on a file without a name, which it reads as stdin:
//! it gets these bytes and no others, and whether it reads them does not matter.

use crate::cli::signals::Handover;
use crate::core::text::quoted;
use crate::gate::row::Ending;
use crate::service::gate::random_name;
use crate::service::{Error, files};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

/// The exit code of a refusal. Any other is the command's.
pub const REFUSED: u8 = 125;

/// The exit code if the program is there and cannot be run.
const CANNOT_RUN: u8 = 126;

/// The exit code if the program is not there.
const NOT_THERE: u8 = 127;

/// The variable with the path of the receipt.
const RECEIPT_VARIABLE: &str = "COUNTERSIGN_RECEIPT";

/// The variable with the nonce.
const NONCE_VARIABLE: &str = "COUNTERSIGN_NONCE";

/// Where programs are looked for if nothing says so.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Why a program cannot be run.
pub struct Unusable {
    /// The exit code.
    pub exit: u8,
    /// Why.
    pub why: String,
}

/// A program that can be run, with its arguments.
pub struct Program {
    place: PathBuf,
    name: OsString,
    arguments: Vec<OsString>,
}

impl Program {
    /// Finds a program as the system would: by its path, or in `PATH`. `None` if there is no command.
    ///
    /// # Errors
    /// [`Unusable`] if it is not there, or is not an executable file.
    pub fn find(command: &[OsString]) -> Result<Option<Program>, Unusable> {
        let Some((name, arguments)) = command.split_first() else { return Ok(None) };
        let mut found_other = false;
        for place in places(name) {
            let Ok(found) = place.metadata() else { continue };
            if found.is_file() && is_executable(&place) {
                return Ok(Some(Program { place, name: name.clone(), arguments: arguments.to_vec() }));
            }
            found_other = true;
        }
        let name = quoted(&name.to_string_lossy());
        Err(match found_other {
            true => Unusable {
                exit: CANNOT_RUN,
                why: format!("{name} is not an executable file and cannot be run"),
            },
            false => Unusable { exit: NOT_THERE, why: format!("the program {name} was not found") },
        })
    }

    /// Prepares to run it with this payload.
    ///
    /// # Errors
    /// Returns [`Error`] if the files for it cannot be made.
    pub fn prepare(self, payload: &str) -> Result<Prepared, Error> {
        let folder = PrivateFolder::new()?;
        let failed = |error: io::Error| Error::not_written("the payload for the command", &error);
        let path = folder.0.join("payload.json");
        private_file(&path, payload.as_bytes()).map_err(failed)?;
        let stdin = File::open(&path).map_err(failed)?;
        // Nothing can change what has no name.
        fs::remove_file(&path).map_err(failed)?;
        Ok(Prepared { program: self, folder, stdin })
    }
}

/// A program that can be started at once.
pub struct Prepared {
    program: Program,
    folder: PrivateFolder,
    stdin: File,
}

impl Prepared {
    /// Writes the receipt for the program.
    ///
    /// # Errors
    /// Why it could not be written.
    pub fn write_receipt(&self, receipt: &[u8]) -> Result<(), String> {
        private_file(&self.receipt(), receipt)
            .map_err(|error| Error::not_written("the receipt for the command", &error).to_string())
    }

    fn receipt(&self) -> PathBuf {
        self.folder.0.join("receipt.json")
    }

    /// Runs the program to its end, without the variable `hidden` in its environment. The signals are the program's
    /// meanwhile.
    pub fn run(self, nonce: &str, hidden: &str, signals: &Handover) -> (u8, Ending) {
        let receipt = self.receipt();
        let Prepared { program, folder, stdin } = self;
        let mut command = Command::new(&program.place);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::arg0(&mut command, &program.name);
        command.args(&program.arguments).stdin(stdin).env_remove(hidden);
        command.env(RECEIPT_VARIABLE, receipt).env(NONCE_VARIABLE, nonce);
        let ended = match command.spawn() {
            Ok(child) => await_end(child, signals),
            Err(error) => {
                let exit = if error.kind() == io::ErrorKind::NotFound { NOT_THERE } else { CANNOT_RUN };
                (
                    exit,
                    Ending::Failed(format!(
                        "{} could not be started: {error}",
                        quoted(&program.name.to_string_lossy())
                    )),
                )
            }
        };
        drop(folder);
        ended
    }
}

/// Waits for the end of the program, and passes signals on until then.
fn await_end(mut child: Child, signals: &Handover) -> (u8, Ending) {
    signals.pass_to(child.id());
    let status = signals.until_ended(child.id()).and_then(|()| child.wait());
    match status {
        Ok(status) => ending(status),
        Err(error) => {
            (CANNOT_RUN, Ending::Failed(format!("it was started, and how it ended is not known: {error}")))
        }
    }
}

fn ending(status: ExitStatus) -> (u8, Ending) {
    match status.code() {
        Some(0) => (0, Ending::Ok),
        Some(code) => (u8::try_from(code).unwrap_or(u8::MAX), Ending::Failed(format!("exit code {code}"))),
        None => {
            let signal = signal(status);
            let exit = u8::try_from(signal).unwrap_or_default().saturating_add(128);
            (exit, Ending::Failed(format!("ended by signal {signal}")))
        }
    }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> i32 {
    std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or_default()
}

/// Other systems have no signals.
#[cfg(not(unix))]
fn signal(_: ExitStatus) -> i32 {
    0
}

/// The files that a program of this name can be. An empty entry of `PATH` is the working directory.
fn places(name: &OsString) -> Vec<PathBuf> {
    let path = Path::new(name);
    if name.is_empty() {
        return Vec::new();
    }
    // As `execvp` has it: a name with a slash is a path.
    if name.as_encoded_bytes().contains(&b'/') || path.is_absolute() {
        return vec![path.to_owned()];
    }
    let folders = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let here = |folder: PathBuf| if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
    std::env::split_paths(&folders).map(|folder| here(folder).join(path)).collect()
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Other systems tell when it is run.
#[cfg(not(unix))]
fn is_executable(_: &Path) -> bool {
    true
}

/// Writes a new file that only this user can read.
fn private_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}

/// A new directory that only this user can enter, removed when this is dropped.
struct PrivateFolder(PathBuf);

impl PrivateFolder {
    fn new() -> Result<PrivateFolder, Error> {
        let path = std::env::temp_dir().join(format!("countersign-gate-{}", random_name()?));
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|error| Error::not_written(files::name(&path), &error))?;
        Ok(PrivateFolder(path))
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // What is left is readable for this user alone.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn find(name: &str) -> Result<PathBuf, u8> {
        let found = Program::find(&[OsString::from(name)]).map_err(|unusable| unusable.exit)?;
        Ok(found.unwrap().place)
    }

    #[test]
    fn a_program_is_found_before_it_is_needed() {
        assert!(Program::find(&[]).is_ok_and(|found| found.is_none()));
        assert!(find("sh").unwrap().is_absolute());
        assert_eq!(find("/bin/sh"), Ok(PathBuf::from("/bin/sh")));
        for (name, exit) in [
            ("/bin/no-such-program", 127),
            ("no-such-program", 127),
            ("", 127),
            ("/bin", 126),
            ("/etc/passwd", 126),
        ] {
            assert_eq!(find(name), Err(exit), "{name}");
        }
    }

    #[test]
    fn what_a_program_gets_is_for_this_user_alone() {
        let program = Program::find(&["true".into()]).ok().flatten().unwrap();
        let prepared = program.prepare("{}").unwrap();
        prepared.write_receipt(b"{\"a\":1}").unwrap();
        let (folder, receipt) = (prepared.folder.0.clone(), prepared.receipt());
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&receipt)), (0o700, 0o600));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "the payload has no name");
        assert!(prepared.write_receipt(b"{}").is_err(), "a file that is there is not written to");
        drop(prepared);
        assert!(!folder.exists());
    }
}
