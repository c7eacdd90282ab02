//! An open mirror: it has the lock and the database, begins and ends transactions, and hands out the stores.

use super::connection::{configure, connect};
use super::create::create;
use super::db::Db;
use super::entry_columns::EntryColumns;
use super::error::{MirrorError, Result, beside_error, io_error, sql_error};
use super::findings::Findings;
use super::heads::Heads;
use super::leaves::Leaves;
use super::lock::{Lock, lock};
use super::mark::{self, Mark, MarkRead};
use super::memory::EntryMemory;
use super::outbox::Outbox;
use super::path::{self, exists};
use super::peers::Peers;
use super::state::State;
use super::watch_rules::WatchRules;
use super::{migrate, state_row};
use crate::core::head::LogKey;
use rusqlite::OpenFlags;
use std::path::Path;

/// An open mirror, held by this process alone.
pub struct Mirror {
    db: Db,
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

/// Opening.
impl Mirror {
    /// Creates a mirror for the log with this key; where one is there already, opens it. The only
    /// way to a new mirror: a missing one is never taken for a first run.
    ///
    /// # Errors
    /// None can be made there; or what is there is in use, of another log, rolled back, or damaged.
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
    ///
    /// # Errors
    /// It is not there, in use, of another log, rolled back, or damaged.
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
        let state = state_row::read(&db, path)?;
        state_row::check_log(path, &state, key)?;
        // Before anything moves its generation on.
        let begun = check_mark(path, &state, adopt)?;
        configure(&db).map_err(|error| sql_error(path, error))?;
        migrate::migrate(&db, path, migrate::Heads::MustBeThere)?;
        let state = state_row::read(&db, path)?;
        Ok(Mirror { db: Db::new(db, path, state), begun, _lock: lock })
    }

    /// What is mirrored was proved by a head of at least that size, which is kept for ever.
    pub(super) fn check_head_of_tree(&self) -> Result<()> {
        let verified = self.state().verified;
        if verified == 0 || self.heads().has_beyond(verified)? {
            return Ok(());
        }
        let why = format!("it has {verified} entries, and no signed head that commits to them");
        Err(self.db.damaged(why))
    }

    /// What `--init` found.
    pub fn begun(&self) -> Begun {
        self.begun
    }

    /// Where the mirror is, its links resolved.
    pub fn path(&self) -> &Path {
        self.db.path()
    }

    /// For checks of the mirror as a whole.
    pub(super) fn db(&self) -> &Db {
        &self.db
    }
}

/// Stores.
impl Mirror {
    /// The cursors and counts as of the last commit.
    pub fn state(&self) -> &State {
        self.db.state()
    }

    /// The leaves, and the roots of their perfect subtrees.
    pub fn leaves(&self) -> Leaves<&Db> {
        Leaves::new(&self.db)
    }

    /// The same, to be written in a transaction.
    pub fn leaves_mut(&mut self) -> Leaves<&mut Db> {
        Leaves::new(&mut self.db)
    }

    /// What the checked entries say.
    pub fn entries(&self) -> EntryColumns<&Db> {
        EntryColumns::new(&self.db)
    }

    /// The same, to be written in a transaction.
    pub fn entries_mut(&mut self) -> EntryColumns<&mut Db> {
        EntryColumns::new(&mut self.db)
    }

    /// Every signed head ever seen.
    pub fn heads(&self) -> Heads<&Db> {
        Heads::new(&self.db)
    }

    /// The same, to be written in a transaction.
    pub fn heads_mut(&mut self) -> Heads<&mut Db> {
        Heads::new(&mut self.db)
    }

    /// Findings, those that ended included.
    pub fn findings(&self) -> Findings<&Db> {
        Findings::new(&self.db)
    }

    /// The same, to be written in a transaction.
    pub fn findings_mut(&mut self) -> Findings<&mut Db> {
        Findings::new(&mut self.db)
    }

    /// What the checks across entries remember.
    pub fn memory(&self) -> EntryMemory<&Db> {
        EntryMemory::new(&self.db)
    }

    /// The same, to be written in a transaction.
    pub fn memory_mut(&mut self) -> EntryMemory<&mut Db> {
        EntryMemory::new(&mut self.db)
    }

    /// How far the histories of heads that peers keep were read.
    pub fn peers(&self) -> Peers<&Db> {
        Peers::new(&self.db)
    }

    /// The same, to be written in a transaction.
    pub fn peers_mut(&mut self) -> Peers<&mut Db> {
        Peers::new(&mut self.db)
    }

    /// How far watch rules looked.
    pub fn watch_rules(&self) -> WatchRules<&Db> {
        WatchRules::new(&self.db)
    }

    /// The same, to be written in a transaction.
    pub fn watch_rules_mut(&mut self) -> WatchRules<&mut Db> {
        WatchRules::new(&mut self.db)
    }

    /// What people were told, and what is to be told.
    pub fn outbox(&self) -> Outbox<&Db> {
        Outbox::new(&self.db)
    }

    /// The same, to be written in a transaction.
    pub fn outbox_mut(&mut self) -> Outbox<&mut Db> {
        Outbox::new(&mut self.db)
    }
}

/// Transactions.
impl Mirror {
    /// Begins a transaction on what this process read or wrote last.
    ///
    /// # Errors
    /// Also where another process wrote in between: this one would write over it.
    pub fn begin(&mut self) -> Result<()> {
        self.db.begin()
    }

    /// Commits with this state. Durable when it returns.
    ///
    /// # Errors
    /// The mirror cannot be written; the transaction is then given up.
    pub fn commit(&mut self, state: State) -> Result<()> {
        self.db.commit(state)
    }

    /// Gives a transaction up.
    ///
    /// # Errors
    /// There is none, or SQLite refused.
    pub fn rollback(&mut self) -> Result<()> {
        self.db.rollback()
    }

    /// Does `act` in one transaction, with the state as `act` leaves it: all of it, or nothing.
    ///
    /// # Errors
    /// That of `act`; or the transaction cannot be begun or committed.
    pub fn transact<T>(&mut self, act: impl FnOnce(&mut Mirror, &mut State) -> Result<T>) -> Result<T> {
        self.begin()?;
        let mut state = self.state().clone();
        match act(self, &mut state) {
            Ok(value) => self.commit(state).map(|()| value),
            Err(error) => {
                // The error that matters is the one that is there already.
                let _ = self.rollback();
                Err(error)
            }
        }
    }

    /// Writes the mark: from here on, an older copy of the database is noticed. Called after
    /// commits whose loss must not go unseen, never before the database is durable.
    ///
    /// # Errors
    /// Another process wrote to the mirror, or the mark cannot be written.
    pub fn acknowledge(&self) -> Result<()> {
        // The mark of another process, which may be further on, stays.
        self.db.written_by_none_else()?;
        let mark = Mark { mirror: self.state().mirror.clone(), generation: self.state().generation };
        mark.write(self.path()).map_err(|error| beside_error(self.path(), ".mark", &error))
    }

    /// Begins the check of all entries anew, in the open transaction: what the checks across
    /// entries remember is forgotten, and findings of entries are pending until they are made
    /// again. The leaves and the heads stay.
    ///
    /// # Errors
    /// The mirror is damaged, or cannot be written.
    pub fn forget_checks(&mut self, state: &mut State) -> Result<()> {
        self.memory_mut().forget()?;
        self.entries_mut().forget()?;
        // Findings beyond, made after a hole, are not made again by checking what is mirrored.
        self.findings_mut().set_pending(state.verified)?;
        state.forget_checks();
        Ok(())
    }
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
