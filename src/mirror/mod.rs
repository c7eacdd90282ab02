//! The mirror: the auditor's own copy of the log, in SQLite. The only SQL of the crate.
//!
//! It keeps the leaves byte for byte, every signed head ever seen, what was found, and three
//! cursors that mean three things, so that a crash at any moment is safe:
//!
//! - *downloaded*: leaves `[0, downloaded)` are stored;
//! - *verified*: leaves `[0, verified)` are proved to be what a signed head commits to;
//! - *checked*: the entries `[0, checked)` were checked.
//!
//! `checked <= verified <= downloaded`. Every change is one transaction that moves the cursors with
//! the rows they speak of, and is durable (`synchronous=FULL`) before anything is acknowledged.
//!
//! | file | holds |
//! |---|---|
//! | `schema.sql`, `seen.sql`, `outbox.sql`, `watching.sql` | tables, and the views that an auditor may query |
//! | [`state`] | the cursors and counts |
//! | `mark` | how a rolled-back mirror is noticed |
//! | `path` | where the mirror is: one name for one file, and no file that is none |
//! | `lock`, `holder` | that one process has the mirror, and which |
//! | `sole` | that nobody else wrote to it, whatever became of the lock |
//! | `side_files` | the files beside it, written whole, and whose they are |
//! | `write`, `read` | leaves, nodes, columns |
//! | `heads`, `head_query`, `listed`, `links` | signed heads; which of them the log lists itself, and which are of one history by proof |
//! | `decided` | when entries say that they were decided, against the heads that cover them |
//! | `times` | which signed heads are out of order by their times |
//! | `head_lines` | the history of heads for others, read beside a running audit |
//! | `findings`, `memory` | findings; what the checks across entries remember |
//! | `check`, `rebuild` | a check of all of it, and what is made again of a damaged one |
//! | `seal` | what must be true of each table, so that a page that the disk lost is noticed |
//! | `migrate` | mirrors of earlier formats |
//! | `seen` | ids, nonces and assertions that were seen, authenticated at every look-up |
//! | `peers` | how far the histories of others were read |
//! | `watch_rules` | how far watch rules looked, and what they look at |
//! | `outbox` | alerts: what was told to people, and what is on its way |

mod check;
mod decided;
mod error;
mod findings;
mod head_lines;
mod head_list;
mod head_query;
mod heads;
mod holder;
mod links;
mod lock;
mod mark;
mod memory;
mod migrate;
mod outbox;
mod path;
mod peers;
mod read;
mod rebuild;
mod seal;
mod seen;
mod side_files;
mod sole;
pub mod state;
mod times;
mod watch_rules;
mod write;

pub use check::{Checked, Part};
pub use decided::{Decided, Span};
pub use error::MirrorError;
pub use findings::StoredFinding;
pub use head_lines::{HeadLine, HeadReader, read_heads};
pub use heads::{HeadStatus, Provenance, StoredHead};
pub use holder::{holder_id, holder_of};
pub use outbox::{Attempt, Due, Failing, LONGEST_WAIT, Notification, Outgoing, Queue};
pub use path::{identity_of, is_there, place_of};
pub use peers::PeerProgress;
pub use read::Reader;
pub use rebuild::{Rebuilt, rebuild};
pub use seen::Cursor as SeenCursor;
pub use side_files::{beside, folder, read as read_beside, replace};
pub use watch_rules::Looked;

use crate::core::head::LogKey;
use lock::{Lock, lock};
use mark::{Mark, MarkRead};
use path::exists;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use seal::{Seals, Table, approver_slot};
use seen::Seen;
use state::State;
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

type Result<T> = std::result::Result<T, MirrorError>;

/// `user_version` of the schema that this program writes. It reads every earlier one, and brings it up
/// to this when it opens it: a mirror holds every head ever seen, so none may become unreadable.
const SCHEMA_VERSION: i64 = 5;

/// The outbox, which format 3 brought. Creates only what is not there.
const OUTBOX: &str = include_str!("outbox.sql");

/// How far peers were read and watch rules looked, which format 4 brought. Creates only what is not there.
const WATCHING: &str = include_str!("watching.sql");

/// The views, which are the stable interface.
const VIEWS: &str = include_str!("views.sql");

/// How soon a check of the whole file notices that it is to end.
const STOP_WITHIN: Duration = Duration::from_millis(50);

/// `application_id`: "csig".
const APPLICATION_ID: i64 = 0x6373_6967;

/// An open mirror, held by this process alone.
pub struct Mirror {
    db: Connection,
    path: PathBuf,
    state: State,
    seals: RefCell<Seals>,
    seen: Seen,
    begun: Begun,
    _lock: Lock,
}

/// What `--init` found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begun {
    /// Nothing out of the ordinary.
    Ordinarily,
    /// The mark of a mirror that is gone: a new mirror stands in its place.
    Over,
    /// A mirror without its mark: it was taken as it is.
    Adopted,
}

impl Mirror {
    /// Creates a mirror for the log with this key; where one is there already, opens it. The only
    /// way to a new mirror: a missing one is never taken for a first run.
    pub fn create_or_open(path: &Path, key: &LogKey) -> Result<Mirror> {
        let path = &path::resolve(path)?;
        // Before a lock is left beside something that can be no mirror.
        exists(path)?;
        let lock = lock(path)?;
        let is_new = !exists(path)?;
        if is_new {
            path::no_remains(path)?;
        }
        let started_over = is_new && mark::remove(path).map_err(|error| io_error(path, &error))?;
        if is_new {
            create(path, key)?;
        }
        let mirror = Mirror::open_locked(path, key, lock, true)?;
        Ok(if started_over { Mirror { begun: Begun::Over, ..mirror } } else { mirror })
    }

    /// Opens an existing mirror to check it: also one without the head that bears its entries out.
    ///
    /// # Errors
    /// It is not there, in use, of another log, rolled back, or its state is damaged.
    pub fn open_to_check(path: &Path, key: &LogKey) -> Result<Mirror> {
        let path = &path::resolve(path)?;
        if !exists(path)? {
            return Err(MirrorError::Missing(path.to_owned()));
        }
        let lock = lock(path)?;
        Mirror::open_unchecked(path, key, lock, false)
    }

    /// Opens an existing mirror.
    pub fn open(given: &Path, key: &LogKey) -> Result<Mirror> {
        let path = &path::resolve(given)?;
        if !exists(path)? {
            return Err(MirrorError::Missing(path.to_owned()));
        }
        let lock = lock(path)?;
        Mirror::open_locked(path, key, lock, false).map_err(|error| path::with_mark_of_link(error, given))
    }

    fn open_locked(path: &Path, key: &LogKey, lock: Lock, adopt: bool) -> Result<Mirror> {
        let mirror = Mirror::open_unchecked(path, key, lock, adopt)?;
        mirror.check_head_of_tree()?;
        mirror.acknowledge()?;
        Ok(mirror)
    }

    fn open_unchecked(path: &Path, key: &LogKey, lock: Lock, adopt: bool) -> Result<Mirror> {
        let db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Looked at before it is configured, which writes: a file that is not ours stays as it is.
        let state = read::state(&db, path)?;
        check_log(path, &state, key)?;
        // Before anything moves its generation on.
        let begun = check_mark(path, &state, adopt)?;
        configure(&db).map_err(|error| sql_error(path, error))?;
        migrate::migrate(&db, path, migrate::Heads::MustBeThere)?;
        let state = read::state(&db, path)?;
        let seals = RefCell::new(Seals::new(state.seals().unwrap_or_default()));
        let seen = Seen::new(&state.seen);
        Ok(Mirror { db, path: path.to_owned(), state, seals, seen, begun, _lock: lock })
    }

    /// What is mirrored was proved by a head of at least that size, which is kept for ever.
    fn check_head_of_tree(&self) -> Result<()> {
        let verified = self.state.verified;
        if verified == 0 || self.has_head_beyond(verified)? {
            return Ok(());
        }
        let why = format!("it has {verified} entries, and no signed head that commits to them");
        Err(MirrorError::Damaged(self.path.clone(), why))
    }

    /// Writes the mark: from here on, an older copy of the database is noticed. Called after
    /// commits whose loss must not go unseen, never before the database is durable.
    pub fn acknowledge(&self) -> Result<()> {
        // The mark of another process, which may be further on, stays.
        self.written_by_none_else()?;
        let mark = Mark { mirror: self.state.mirror.clone(), generation: self.state.generation };
        mark.write(&self.path).map_err(|error| beside_error(&self.path, ".mark", &error))
    }

    /// The cursors and counts as of the last commit.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What `--init` found.
    pub fn begun(&self) -> Begun {
        self.begun
    }

    /// Whether this approver has signed anything in the log.
    pub fn has_signed(&self, approver: &str) -> Result<bool> {
        let slot = approver_slot(approver);
        self.trust(Table::ApproverKeys, slot..=slot)?;
        let sql = "SELECT EXISTS (SELECT 1 FROM approver_keys WHERE slot = ?1 AND approver = ?2)";
        let result = self.db.query_row(sql, rusqlite::params![write::int(slot), approver], |row| row.get(0));
        self.sql(result)
    }

    /// Where the mirror is, its links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SQLite's own check of the whole file. Time in proportion to the mirror; `false` where `stopped` ended it, and
    /// nothing is known.
    pub fn check_integrity(&self, stopped: &(dyn Fn() -> bool + Sync)) -> Result<bool> {
        if stopped() {
            return Ok(false);
        }
        let interrupt = self.db.get_interrupt_handle();
        let (done, waiting) = channel::<()>();
        let listen = move || {
            while waiting.recv_timeout(STOP_WITHIN) == Err(RecvTimeoutError::Timeout) {
                if stopped() {
                    interrupt.interrupt();
                }
            }
        };
        let answer = std::thread::scope(|scope| {
            let listening = std::thread::Builder::new().spawn_scoped(scope, listen);
            let answer = listening
                .map(|_| self.db.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0)));
            drop(done);
            answer
        });
        match answer.map_err(|error| io_error(&self.path, &error))? {
            Ok(answer) if answer == "ok" => Ok(true),
            Ok(answer) => Err(MirrorError::Damaged(self.path.clone(), answer)),
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => {
                Ok(false)
            }
            Err(error) => Err(sql_error(&self.path, error)),
        }
    }

    fn sql<T>(&self, result: rusqlite::Result<T>) -> Result<T> {
        result.map_err(|error| sql_error(&self.path, error))
    }
}

/// Builds the database beside its place and renames it there, so that a crash leaves either no
/// mirror or a whole one.
fn create(path: &Path, key: &LogKey) -> Result<()> {
    let temporary = beside(path, ".new");
    let file = path::fresh(&temporary).map_err(|error| beside_error(path, ".new", &error))?;
    let db = connect(&temporary, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    path::still_is(&file, &temporary).map_err(|error| beside_error(path, ".new", &error))?;
    let build = || -> rusqlite::Result<()> {
        db.execute_batch("PRAGMA page_size = 8192")?;
        [include_str!("schema.sql"), seen::TABLE, OUTBOX, WATCHING, VIEWS]
            .iter()
            .try_for_each(|sql| db.execute_batch(sql))?;
        let mirror: String = db.query_row("SELECT lower(hex(randomblob(16)))", [], |row| row.get(0))?;
        write::insert_state(&db, &State::new(mirror, key))
    };
    build().map_err(|error| sql_error(path, error))?;
    db.close().map_err(|(_, error)| sql_error(path, error))?;
    let publish = || {
        file.sync_all()?;
        path::still_is(&file, &temporary)?;
        fs::rename(&temporary, path)?;
        side_files::sync_directory(path)
    };
    publish().map_err(|error| io_error(path, &error))
}

/// Opens a database at a place that was resolved: whatever was made a link since is not followed.
fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    Connection::open_with_flags(path, flags).map_err(|error| sql_error(path, error))
}

fn configure(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(Duration::from_secs(10))?;
    db.set_prepared_statement_cache_capacity(64);
    // Whoever wrote to the file must not have us do more than we ask for.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    // WAL lets an auditor query while an audit writes; FULL makes each commit durable; the cache
    // bounds memory (KiB, negative) whatever the size of the mirror.
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;
         PRAGMA wal_autocheckpoint = 8000; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;
         PRAGMA trusted_schema = OFF;",
    )
}

/// The database must not be behind its mark.
fn check_mark(path: &Path, state: &State, adopt: bool) -> Result<Begun> {
    let rolled_back = |why: String| Err(MirrorError::RolledBack(path.to_owned(), why));
    match Mark::read(path).map_err(|error| beside_error(path, ".mark", &error))? {
        MarkRead::Mark(mark) => match mark.is_ahead_of(&state.mirror, state.generation) {
            Some(why) => rolled_back(why),
            None => Ok(Begun::Ordinarily),
        },
        MarkRead::Missing if state.generation == 0 => Ok(Begun::Ordinarily),
        MarkRead::Missing if adopt => Ok(Begun::Adopted),
        MarkRead::Missing => rolled_back("its \".mark\" file, which would tell, is missing".to_owned()),
        MarkRead::Damaged => rolled_back("its \".mark\" file, which would tell, is damaged".to_owned()),
    }
}

fn check_log(path: &Path, state: &State, key: &LogKey) -> Result<()> {
    let ours = key.verifier().to_string();
    if state.origin != key.origin() {
        let why = format!("it mirrors {:?}, and the log key is of {:?}", state.origin, key.origin());
        return Err(MirrorError::OtherLog(path.to_owned(), why));
    }
    if state.log_key != ours {
        let why = format!("it was written under the log key {}, now {ours} is given", state.log_key);
        return Err(MirrorError::OtherLog(path.to_owned(), why));
    }
    Ok(())
}

/// The mirror cannot be used for a file beside it.
fn beside_error(path: &Path, suffix: &str, error: &std::io::Error) -> MirrorError {
    MirrorError::Io(path.to_owned(), format!("its {suffix:?} file: {error}"))
}

fn io_error(path: &Path, error: &std::io::Error) -> MirrorError {
    MirrorError::Io(path.to_owned(), error.to_string())
}

fn sql_error(path: &Path, error: rusqlite::Error) -> MirrorError {
    use rusqlite::ErrorCode;
    let why = error.to_string();
    match &error {
        rusqlite::Error::SqliteFailure(failure, _)
            if matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) =>
        {
            MirrorError::Damaged(path.to_owned(), why)
        }
        rusqlite::Error::SqliteFailure(failure, _)
            if matches!(failure.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) =>
        {
            MirrorError::InUse(path.to_owned())
        }
        rusqlite::Error::SqliteFailure(failure, _)
            if matches!(
                failure.code,
                ErrorCode::DiskFull
                    | ErrorCode::ReadOnly
                    | ErrorCode::PermissionDenied
                    | ErrorCode::CannotOpen
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::OutOfMemory
            ) =>
        {
            MirrorError::Io(path.to_owned(), why)
        }
        // A missing table or column, a value of another type, a violated constraint: somebody or
        // something changed what this program wrote.
        _ => MirrorError::Damaged(path.to_owned(), why),
    }
}
