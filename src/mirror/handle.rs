//! An open mirror: it holds the lock and the database, begins and ends transactions, and hands out the stores.

use super::connection::{configure, connect};
use super::create::create;
use super::db::Db;
use super::entry_columns::EntryColumns;
use super::error::{MirrorError, Result, beside_error, io_error, sql_error};
use super::findings::Findings;
use super::heads::Heads;
use super::leaves::LeafStore;
use super::lock::{Lock, lock};
use super::mark::{self, Mark, MarkRead};
use super::memory::EntryMemory;
use super::outbox::Outbox;
use super::path::{self, exists};
use super::peers::PeerStore;
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
    /// The mark of a mirror that no longer exists; a new mirror was created in its place.
    Over,
    /// A mirror without its mark; it was accepted as it is.
    Adopted,
}

/// Opening.
impl Mirror {
    /// Creates a mirror for the log with this key, or opens the one that exists already. This is the only way to
    /// create a mirror: a missing one is never taken for a first run.
    ///
    /// # Errors
    /// `MirrorError` if no mirror can be created there, or if the existing one is in use, of another log, rolled
    /// back, or damaged.
    pub fn create_or_open(path: &Path, key: &LogKey) -> Result<Mirror> {
        let path = &path::resolve(path)?;
        // Checked first, so that no lock file is left beside something that cannot be a mirror.
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

    /// Opens an existing mirror to check it, even if the head that confirms its entries is missing.
    ///
    /// # Errors
    /// `MirrorError` if it is missing, in use, of another log, or rolled back, or if its state is damaged.
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
    /// `MirrorError` if it is missing, in use, of another log, rolled back, or damaged.
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
        // The state is read before the connection is configured, which writes: a file that is not a mirror stays
        // unchanged.
        let state = state_row::read(&db, path)?;
        state_row::check_log(path, &state, key)?;
        // The mark is checked before any write increases the generation.
        let begun = check_mark(path, &state, adopt)?;
        configure(&db).map_err(|error| sql_error(path, error))?;
        migrate::migrate(&db, path, migrate::Heads::MustBeThere)?;
        let state = state_row::read(&db, path)?;
        Ok(Mirror { db: Db::new(db, path, state), begun, _lock: lock })
    }

    /// Checks that a head of at least the mirrored size is there: such a head proved what is mirrored, and heads are
    /// never deleted.
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

    /// The path of the mirror, with symbolic links resolved.
    pub fn path(&self) -> &Path {
        self.db.path()
    }

    /// The database, for checks of the mirror as a whole.
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
    pub fn leaves(&self) -> LeafStore<&Db> {
        LeafStore::new(&self.db)
    }

    /// The same, to be written in a transaction.
    pub fn leaves_mut(&mut self) -> LeafStore<&mut Db> {
        LeafStore::new(&mut self.db)
    }

    /// The fields of checked entries.
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

    /// Findings, including those that have ended.
    pub fn findings(&self) -> Findings<&Db> {
        Findings::new(&self.db)
    }

    /// The same, to be written in a transaction.
    pub fn findings_mut(&mut self) -> Findings<&mut Db> {
        Findings::new(&mut self.db)
    }

    /// The memory of the checks across entries.
    pub fn memory(&self) -> EntryMemory<&Db> {
        EntryMemory::new(&self.db)
    }

    /// The same, to be written in a transaction.
    pub fn memory_mut(&mut self) -> EntryMemory<&mut Db> {
        EntryMemory::new(&mut self.db)
    }

    /// How far the head histories of peers were read.
    pub fn peers(&self) -> PeerStore<&Db> {
        PeerStore::new(&self.db)
    }

    /// The same, to be written in a transaction.
    pub fn peers_mut(&mut self) -> PeerStore<&mut Db> {
        PeerStore::new(&mut self.db)
    }

    /// How far watch rules have looked.
    pub fn watch_rules(&self) -> WatchRules<&Db> {
        WatchRules::new(&self.db)
    }

    /// The same, to be written in a transaction.
    pub fn watch_rules_mut(&mut self) -> WatchRules<&mut Db> {
        WatchRules::new(&mut self.db)
    }

    /// What was reported to people, and what still has to be delivered.
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
    /// Begins a transaction, if the stored state is the one that this process read or wrote last.
    ///
    /// # Errors
    /// `MirrorError` if it cannot begin, or if another process wrote to the mirror in between.
    pub fn begin(&mut self) -> Result<()> {
        self.db.begin()
    }

    /// Commits with this state. The commit is durable when this returns.
    ///
    /// # Errors
    /// `MirrorError` if the mirror cannot be written; the transaction is then rolled back.
    pub fn commit(&mut self, state: State) -> Result<()> {
        self.db.commit(state)
    }

    /// Rolls a transaction back.
    ///
    /// # Errors
    /// `MirrorError` if there is no open transaction, or SQLite refused.
    pub fn rollback(&mut self) -> Result<()> {
        self.db.rollback()
    }

    /// Runs `act` in one transaction and commits it with the state as `act` leaves it, or rolls all of it back.
    ///
    /// # Errors
    /// The error of `act`, or `MirrorError` if the transaction cannot be begun or committed.
    pub fn transact<T>(&mut self, act: impl FnOnce(&mut Mirror, &mut State) -> Result<T>) -> Result<T> {
        self.begin()?;
        let mut state = self.state().clone();
        match act(self, &mut state) {
            Ok(value) => self.commit(state).map(|()| value),
            Err(error) => {
                // The first error matters more than an error of the rollback.
                let _ = self.rollback();
                Err(error)
            }
        }
    }

    /// Writes the mark, so that an older copy of the database is noticed from now on. Called after commits whose loss
    /// must not go unnoticed, and never before the database is durable.
    ///
    /// # Errors
    /// `MirrorError` if another process wrote to the mirror, or if the mark cannot be written.
    pub fn acknowledge(&self) -> Result<()> {
        // If another process wrote a mark, which may be newer, that mark stays.
        self.db.written_by_none_else()?;
        let mark = Mark { mirror: self.state().mirror.clone(), generation: self.state().generation };
        mark.write(self.path()).map_err(|error| beside_error(self.path(), ".mark", &error))
    }

    /// Restarts the check of all entries, in the open transaction: the memory of the checks across entries is
    /// cleared, and findings about entries are pending until they are found again. The leaves and the heads stay.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn forget_checks(&mut self, state: &mut State) -> Result<()> {
        self.memory_mut().forget()?;
        self.entries_mut().forget()?;
        // Findings beyond `verified`, made after a gap, would not be found again by checking what is mirrored.
        self.findings_mut().set_pending(state.verified)?;
        state.forget_checks();
        Ok(())
    }
}

/// Checks that the database is not older than its mark.
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
