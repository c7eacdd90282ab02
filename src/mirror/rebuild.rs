//! `countersign mirror check --rebuild`: a damaged mirror made again, from those of its leaves that a signed head bears
//! out.
//!
//! What follows from the leaves (nodes, columns, keys, what was seen) is not taken over: the next audit checks all entries
//! again. Heads are taken over where their signature verifies, findings where they are the ones that were made; what is
//! missing of them nobody can make again, and it is said. The damaged file is kept beside the new one.

use super::check::Folded;
use super::head_lines::{Place, place};
use super::head_query::{SELECT, raw, stored_head};
use super::mark::{Mark, MarkRead};
use super::migrate::{Heads, migrate};
use super::path::{exists, resolve};
use super::seal::{Node, Seals, Table, seal_all, total};
use super::state::State;
use super::write::{int, state_row};
use super::{
    APPLICATION_ID, MirrorError, Result, beside, beside_error, configure, connect, create, io_error, lock,
    read, sql_error,
};
use crate::core::head::LogKey;
use crate::core::tree::CompactRange;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, params, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A header that asks for a longer file than this is damaged itself.
const MAX_FILLED: u64 = 1 << 44;

/// What a rebuilt mirror has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rebuilt {
    /// Entries that a signed head bears out.
    pub entries: u64,
    /// Entries that the damaged mirror said it had; `None` where its state could not be read.
    pub entries_before: Option<u64>,
    /// Heads that were taken over.
    pub heads: u64,
    /// What cannot be made again.
    pub lost: Vec<String>,
    /// Where the damaged file is now.
    pub kept: PathBuf,
}

/// Makes a mirror again.
///
/// # Errors
/// It is of another log, or one that was rolled back, or cannot be written; then the old one is still in its place.
pub fn rebuild(path: &Path, key: &LogKey) -> Result<Rebuilt> {
    let path = &resolve(path)?;
    if !exists(path)? {
        return Err(MirrorError::Missing(path.clone()));
    }
    let _lock = lock(path)?;
    whole_pages(path).map_err(|error| io_error(path, &error))?;
    let old = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let state = match read::state(&old, path) {
        Ok(state) => Some(state),
        // Nor is a file that is not ours made one of ours.
        Err(MirrorError::Damaged(..)) if read::is_mirror(&old, path)? => None,
        Err(error) => return Err(error),
    };
    let lost = match &state {
        Some(state) => {
            super::check_log(path, state, key)?;
            lost_with_mark(path, state)?
        }
        None => Vec::new(),
    };
    migrate(&old, path, Heads::MayBeGone)?;
    let state = state.and_then(|_| read::state(&old, path).ok());
    let new_place = beside(path, ".rebuilt");
    remove_all(path, &new_place)?;
    let rebuilt = rebuild_at(&new_place, path, key, old, state, lost);
    if rebuilt.is_err() {
        // What is left of it only takes room. The error that matters is the one that is there already.
        let _ = remove_all(path, &new_place);
    }
    rebuilt
}

/// Makes it again at a new place, and puts it into the place of the old one.
fn rebuild_at(
    new_place: &Path,
    path: &Path,
    key: &LogKey,
    old: Connection,
    state: Option<State>,
    lost: Vec<String>,
) -> Result<Rebuilt> {
    let sql = |error: rusqlite::Error| sql_error(path, error);
    create(new_place, key)?;
    // Before anything of the mirror is in it.
    super::side_files::succeed(new_place, path).map_err(|error| io_error(path, &error))?;
    let new = connect(new_place, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let state = State::again(state, read::state(&new, new_place)?);
    configure(&new).and_then(|()| new.execute_batch("BEGIN IMMEDIATE")).map_err(sql)?;
    // Whoever writes to the old one meanwhile, in spite of the lock, is to fail.
    let _ = old.execute_batch("BEGIN IMMEDIATE");
    let mut rebuilder = Rebuilder { old: &old, new: &new, path, key, state, lost };
    let rebuilt = rebuilder.fill();
    let _ = old.execute_batch("COMMIT");
    let rebuilt = rebuilt?;
    let mark = Mark { mirror: rebuilder.state.mirror.clone(), generation: rebuilder.state.generation };
    new.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").map_err(sql)?;
    new.close().map_err(|(_, error)| sql(error))?;
    let kept = take_place(new_place, path, old).map_err(|error| io_error(path, &error))?;
    mark.write(path).map_err(|error| beside_error(path, ".mark", &error))?;
    Ok(Rebuilt { kept, ..rebuilt })
}

/// What is lost because this is not the mirror that was acknowledged last, or nobody knows whether it is.
///
/// # Errors
/// It was rolled back: a newer copy is what is needed, and only its owner can say that there is none.
fn lost_with_mark(path: &Path, state: &State) -> Result<Vec<String>> {
    let why = match Mark::read(path).map_err(|error| beside_error(path, ".mark", &error))? {
        MarkRead::Mark(mark) => {
            return match mark.is_ahead_of(&state.mirror, state.generation) {
                Some(why) => Err(MirrorError::RolledBack(path.to_owned(), why)),
                None => Ok(Vec::new()),
            };
        }
        MarkRead::Missing if state.generation == 0 => return Ok(Vec::new()),
        MarkRead::Missing => "missing",
        MarkRead::Damaged => "damaged",
    };
    Ok(vec![format!("its \".mark\" file is {why}: whether a newer copy of it was there is not known")])
}

/// Puts a new mirror in the place of the old one, which is kept; at no moment is there none. Gives where the old one is.
fn take_place(new: &Path, path: &Path, old: Connection) -> io::Result<PathBuf> {
    // What its write-ahead log still holds goes into it, where it can be read; what remains of that log is kept with it,
    // and must not be taken for one of the new file.
    let _ = old.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    drop(old);
    let kept = unused(path);
    fs::hard_link(path, &kept)?;
    for suffix in ["-wal", "-shm"] {
        match fs::rename(beside(path, suffix), beside(&kept, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(new, path)?;
    super::side_files::sync_directory(path)?;
    Ok(kept)
}

/// A file that was cut off is filled up with zeros to the length that it says, or nothing of it could be read.
fn whole_pages(path: &Path) -> io::Result<()> {
    let mut file = fs::File::options().read(true).write(true).open(path)?;
    let mut header = [0; 100];
    if io::Read::read_exact(&mut file, &mut header).is_err() {
        return Ok(());
    }
    // <https://www.sqlite.org/fileformat.html> section 1.3: the size of a page at 16, their number at 28, whose file it
    // is at 68. What is not ours stays as it is.
    let page = u16::from_be_bytes([header[16], header[17]]);
    let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
    let id = i32::from_be_bytes([header[68], header[69], header[70], header[71]]);
    let length = u64::from(page).saturating_mul(u64::from(pages));
    if i64::from(id) == APPLICATION_ID && file.metadata()?.len() < length && length <= MAX_FILLED {
        file.set_len(length)?;
    }
    Ok(())
}

/// A name for the damaged file that nothing has.
fn unused(path: &Path) -> PathBuf {
    let numbered = (1..u32::MAX).map(|n| beside(path, &format!(".damaged-{n}")));
    numbered.into_iter().find(|path| !path.exists()).unwrap_or_else(|| beside(path, ".damaged"))
}

/// Removes a database and what stands beside it.
fn remove_all(mirror: &Path, path: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm", ".new"] {
        match fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(mirror, &error)),
            _ => {}
        }
    }
    Ok(())
}

struct Rebuilder<'a> {
    old: &'a Connection,
    new: &'a Connection,
    path: &'a Path,
    key: &'a LogKey,
    state: State,
    lost: Vec<String>,
}

impl Rebuilder<'_> {
    fn sql<T>(&self, result: rusqlite::Result<T>) -> Result<T> {
        result.map_err(|error| sql_error(self.path, error))
    }

    fn fill(&mut self) -> Result<Rebuilt> {
        let sealed = self.state.seals().unwrap_or_default();
        for table in Table::ALL.into_iter().filter(|table| !table.follows_from_leaves()) {
            let copied = self.sql(self.copy(table))?;
            let is_known = self.state.generation > 0;
            let before = sealed.get(&table).copied().unwrap_or_default();
            if is_known && copied != before {
                self.say_lost(table, copied.rows, before.rows);
            }
            if table == Table::WatchRules && !(is_known && copied == before) {
                self.sql(self.new.execute("DELETE FROM watch_rules", []))?;
                self.forget_watch_rules()?;
            }
        }
        if self.state.generation == 0 {
            let what = "its state could not be read, so nobody knows how many heads and findings there were"
                .to_owned();
            self.lost.push(what);
        }
        self.forget_wrong()?;
        let heads = self.verified_heads()?;
        let entries_before = (self.state.generation > 0).then_some(self.state.verified);
        let tree = self.copy_leaves(&heads)?;
        let bears_out = |entries: u64| entries == 0 || heads.range(entries..).next().is_some();
        if !entries_before.is_none_or(bears_out) && self.lost.is_empty() {
            let what = "the signed heads that bore out the entries that it had: others may be gone as well";
            self.lost.push(what.to_owned());
        }
        let pending = self.new.execute(super::findings::SET_PENDING, [int(tree.end())]);
        self.sql(pending)?;
        self.state.start_at(&tree);
        let mut seals = Seals::default();
        self.sql(Table::ALL.into_iter().try_for_each(|table| seal_all(self.new, table, &mut seals)))?;
        self.sql(seals.write(self.new))?;
        self.state.set_seals(seals.roots());
        self.state.lost.append(&mut self.lost.clone());
        self.state.generation = self.state.generation.saturating_add(1);
        let (json, digest) = self.sql(state_row(&self.state))?;
        let update = "UPDATE state SET json = ?1, digest = ?2 WHERE one = 1";
        self.sql(self.new.execute(update, params![json, digest.0]))?;
        Ok(Rebuilt {
            entries: tree.end(),
            entries_before,
            heads: seals.root(Table::Heads).rows,
            lost: std::mem::take(&mut self.lost),
            kept: PathBuf::new(),
        })
    }

    /// Takes out the rows that can be read and are not the ones that were written.
    fn forget_wrong(&mut self) -> Result<()> {
        let findings = self.sql(super::findings::forget_wrong(self.new, self.path))?;
        if findings > 0 {
            self.lost.push(format!("{findings} finding(s) are not the ones that were made"));
        }
        let alerts = self.sql(super::outbox::forget_wrong(self.new))?;
        if alerts > 0 {
            self.lost.push(format!("{alerts} alert(s) are not the ones that were written"));
        }
        Ok(())
    }

    fn say_lost(&mut self, table: Table, now: u64, before: u64) {
        let advice = match table {
            Table::Heads => {
                ": whoever else keeps heads of this log can give them back (`countersign heads import`)"
            }
            Table::Findings => ": those about entries are made again by the next audit, others are not",
            Table::WatchRules => ": watch rules look at all entries again",
            _ => "",
        };
        let name = table.name();
        self.lost.push(format!(
            "of {before} rows of {name:?}, {now} could be read, and not all are as written{advice}"
        ));
    }

    /// Copies the rows that can be read; gives what was copied.
    fn copy(&self, table: Table) -> rusqlite::Result<Node> {
        let name = table.name();
        let mut select = match self.old.prepare(&format!("SELECT * FROM {name}")) {
            Ok(select) => select,
            Err(_) => return Ok(Node::default()),
        };
        let columns = select.column_count();
        let places = vec!["?"; columns].join(", ");
        let mut insert = self.new.prepare(&format!("INSERT OR IGNORE INTO {name} VALUES ({places})"))?;
        let mut rows = select.query([])?;
        // Behind a page that cannot be read nothing more comes.
        while let Ok(Some(row)) = rows.next() {
            let values: rusqlite::Result<Vec<Value>> = (0..columns).map(|column| row.get(column)).collect();
            match values.and_then(|values| insert.execute(params_from_iter(values))) {
                // A row that the schema does not allow is none that was written.
                Err(error) if error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        total(self.new, table)
    }

    /// Deletes the heads that do not verify, and gives the roots of the others by size. All are to be compared again.
    fn verified_heads(&mut self) -> Result<BTreeMap<u64, BTreeSet<[u8; 32]>>> {
        let update = self.new.execute("UPDATE heads SET status = 'unchecked', compared = 0", []);
        self.sql(update)?;
        let read = || -> rusqlite::Result<Vec<_>> { self.new.prepare(SELECT)?.query_map([], raw)?.collect() };
        let mut good: BTreeMap<u64, BTreeSet<[u8; 32]>> = BTreeMap::new();
        let mut statements: BTreeSet<Vec<u8>> = BTreeSet::new();
        for raw in self.sql(read())? {
            if let Ok(stored) = stored_head(self.path, raw, self.key) {
                good.entry(stored.head.size()).or_default().insert(stored.head.root().0);
                statements.insert(stored.head.statement().0.to_vec());
            }
        }
        let all = || -> rusqlite::Result<Vec<Place>> {
            self.new.prepare("SELECT size, root, statement FROM heads")?.query_map([], place)?.collect()
        };
        let mut refused: u64 = 0;
        for (size, root, statement) in self.sql(all())? {
            if !statements.contains(statement.as_slice()) {
                let sql = "DELETE FROM heads WHERE size = ?1 AND root = ?2 AND statement = ?3";
                let delete = self.new.execute(sql, params![size, root, statement]);
                self.sql(delete)?;
                refused = refused.saturating_add(1);
            }
        }
        if refused > 0 {
            self.lost.push(format!("{refused} head(s) do not verify any more"));
        }
        Ok(good)
    }

    /// Copies the leaves up to the largest size at which a signed head, or the state, has their root.
    fn copy_leaves(&self, heads: &BTreeMap<u64, BTreeSet<[u8; 32]>>) -> Result<CompactRange> {
        // What was proved counts where a head that bears it out is still there.
        let proved = self.state.frontier().filter(|_| self.state.generation > 0);
        let proved = proved.filter(|proved| heads.range(proved.end()..).next().is_some());
        let mut tree = Folded::default();
        let mut best = CompactRange::new(0);
        let mut put = || -> rusqlite::Result<()> {
            let mut insert = self.new.prepare("INSERT INTO leaves VALUES (?1, ?2)")?;
            let mut node = self.new.prepare("INSERT INTO nodes VALUES (?1, ?2, ?3)")?;
            let mut select = self.old.prepare("SELECT idx, leaf FROM leaves ORDER BY idx")?;
            let mut rows = select.query([])?;
            while let Ok(Some(row)) = rows.next() {
                let (index, Ok(leaf)) = (row.get::<_, u64>(0), row.get::<_, Vec<u8>>(1)) else { break };
                if index != Ok(tree.leaves.end()) {
                    break;
                }
                insert.execute(params![int(tree.leaves.end()), leaf])?;
                for (level, n, hash) in tree.append(&leaf) {
                    node.execute(params![level, int(n), hash.0])?;
                }
                let (end, root) = (tree.leaves.end(), tree.leaves.root());
                let signed = heads.get(&end).is_some_and(|roots| roots.contains(&root.0));
                if signed
                    || proved.as_ref().is_some_and(|proved| proved.end() == end && proved.root() == root)
                {
                    best = tree.leaves.clone();
                }
            }
            self.new.execute("DELETE FROM leaves WHERE idx >= ?1", [int(best.end())])?;
            for level in 1..8u32 {
                let n = best.end() >> level.saturating_mul(8);
                self.new.execute("DELETE FROM nodes WHERE level = ?1 AND n >= ?2", params![level, int(n)])?;
            }
            Ok(())
        };
        self.sql(put())?;
        Ok(best)
    }

    fn forget_watch_rules(&self) -> Result<()> {
        let (rule, digest) = super::watch_rules::forgotten();
        let insert =
            self.new.execute("INSERT INTO watch_rules VALUES (?1, 0, '', ?2)", params![rule, digest.0]);
        self.sql(insert).map(drop)
    }
}
