//! `countersign mirror check --rebuild`: rebuilds a damaged mirror from those of its leaves that a signed head
//! confirms.
//!
//! Data that can be derived from the leaves (nodes, columns, keys, seen values) is not copied: the next audit checks
//! all entries again. Heads are copied if their signature verifies, findings if they are the ones that were written.
//! What is missing of them cannot be restored, and the result says so. The damaged file is kept beside the new one.

use super::connection::{configure, connect};
use super::create::create;
use super::error::{MirrorError, Result, beside_error, io_error, sql_error};
use super::folded::Folded;
use super::heads::{Place, SELECT, place, raw, stored_head};
use super::lock::lock;
use super::mark::{Mark, MarkRead};
use super::migrate::{Heads, migrate};
use super::path::{exists, resolve};
use super::schema::APPLICATION_ID;
use super::seal::{Node, Seals, Table, seal_all, total};
use super::side_files::{beside, succeed, sync_directory};
use super::state::State;
use super::values::int;
use super::{findings, outbox, state_row, watch_rules};
use crate::core::head::LogKey;
use crate::core::tree::CompactRange;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, params, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A header that states a longer file than this is damaged itself.
const MAX_FILLED: u64 = 1 << 44;

/// The content of a rebuilt mirror.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rebuilt {
    /// The number of entries that a signed head confirms.
    pub entries: u64,
    /// The number of entries according to the damaged mirror; `None` if its state could not be read.
    pub entries_before: Option<u64>,
    /// The number of heads that were copied.
    pub heads: u64,
    /// What cannot be restored.
    pub lost: Vec<String>,
    /// The path of the damaged file now.
    pub kept: PathBuf,
}

/// Rebuilds a mirror.
///
/// # Errors
/// `MirrorError` if the mirror is of another log, was rolled back, or cannot be written; the old one is then still in
/// its place.
pub fn rebuild(path: &Path, key: &LogKey) -> Result<Rebuilt> {
    let path = &resolve(path)?;
    if !exists(path)? {
        return Err(MirrorError::Missing(path.clone()));
    }
    let _lock = lock(path)?;
    whole_pages(path).map_err(|error| io_error(path, &error))?;
    let old = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let state = match state_row::read(&old, path) {
        Ok(state) => Some(state),
        // A file that is not a mirror must not be turned into one.
        Err(MirrorError::Damaged(..)) if state_row::is_mirror(&old, path)? => None,
        Err(error) => return Err(error),
    };
    let lost = match &state {
        Some(state) => {
            state_row::check_log(path, state, key)?;
            lost_with_mark(path, state)?
        }
        None => Vec::new(),
    };
    migrate(&old, path, Heads::MayBeGone)?;
    let state = state.and_then(|_| state_row::read(&old, path).ok());
    let new_place = beside(path, ".rebuilt");
    remove_all(path, &new_place)?;
    let rebuilt = rebuild_at(&new_place, path, key, old, state, lost);
    if rebuilt.is_err() {
        // The remains only take up space. The first error matters more than an error of the removal.
        let _ = remove_all(path, &new_place);
    }
    rebuilt
}

/// Rebuilds it at a new path, and moves it into the place of the old one.
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
    // The owner and mode are set before the file contains any data.
    succeed(new_place, path).map_err(|error| io_error(path, &error))?;
    let new = connect(new_place, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let state = State::again(state, state_row::read(&new, new_place)?);
    configure(&new).and_then(|()| new.execute_batch("BEGIN IMMEDIATE")).map_err(sql)?;
    // A process that writes to the old one meanwhile, in spite of the lock, must fail.
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

/// What is lost if the mirror is not the one that was last acknowledged, or if that is unknown.
///
/// # Errors
/// `MirrorError` if it was rolled back: a newer copy is needed, and only the owner can say that there is none.
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
    Ok(vec![format!("its \".mark\" file is {why}: so it is not known whether there was a newer copy of it")])
}

/// Moves a new mirror into the place of the old one, which is kept; there is always a mirror in that place. Returns
/// the path of the old one.
fn take_place(new: &Path, path: &Path, old: Connection) -> io::Result<PathBuf> {
    // The contents of the old write-ahead log are written into the old database, if they can be read. What remains of
    // the log is kept with the old database, and must not be mistaken for a log of the new one.
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
    sync_directory(path)?;
    Ok(kept)
}

/// Pads a truncated file with zeros to the length in its header; otherwise SQLite could read none of it.
fn whole_pages(path: &Path) -> io::Result<()> {
    let mut file = fs::File::options().read(true).write(true).open(path)?;
    let mut header = [0; 100];
    if io::Read::read_exact(&mut file, &mut header).is_err() {
        return Ok(());
    }
    // <https://www.sqlite.org/fileformat.html> section 1.3: the page size is at offset 16, the number of pages at 28,
    // the application id at 68. A file that is not a mirror stays as it is.
    let page = u16::from_be_bytes([header[16], header[17]]);
    let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
    let id = i32::from_be_bytes([header[68], header[69], header[70], header[71]]);
    let length = u64::from(page).saturating_mul(u64::from(pages));
    if i64::from(id) == APPLICATION_ID && file.metadata()?.len() < length && length <= MAX_FILLED {
        file.set_len(length)?;
    }
    Ok(())
}

/// An unused name for the damaged file.
fn unused(path: &Path) -> PathBuf {
    let numbered = (1..u32::MAX).map(|n| beside(path, &format!(".damaged-{n}")));
    numbered.into_iter().find(|path| !path.exists()).unwrap_or_else(|| beside(path, ".damaged"))
}

/// Removes a database and the files beside it.
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
            let what =
                "its state could not be read, so it is not known how many heads and findings there were"
                    .to_owned();
            self.lost.push(what);
        }
        self.forget_wrong()?;
        let heads = self.verified_heads()?;
        let entries_before = (self.state.generation > 0).then_some(self.state.verified);
        let tree = self.copy_leaves(&heads)?;
        let is_covered = |entries: u64| entries == 0 || heads.range(entries..).next().is_some();
        if !entries_before.is_none_or(is_covered) && self.lost.is_empty() {
            let what =
                "the signed heads that proved the entries that it had: other heads may be lost as well";
            self.lost.push(what.to_owned());
        }
        self.sql(findings::set_all_pending(self.new, tree.end()))?;
        self.state.start_at(&tree);
        let mut seals = Seals::default();
        self.sql(Table::ALL.into_iter().try_for_each(|table| seal_all(self.new, table, &mut seals)))?;
        self.sql(seals.write(self.new))?;
        self.state.set_seals(seals.roots());
        self.state.lost.append(&mut self.lost.clone());
        self.state.generation = self.state.generation.saturating_add(1);
        self.sql(state_row::update(self.new, &self.state))?;
        Ok(Rebuilt {
            entries: tree.end(),
            entries_before,
            heads: seals.root(Table::Heads).rows,
            lost: std::mem::take(&mut self.lost),
            kept: PathBuf::new(),
        })
    }

    /// Deletes the rows that can be read and are not the ones that were written.
    fn forget_wrong(&mut self) -> Result<()> {
        let findings = self.sql(findings::forget_wrong(self.new, self.path))?;
        if findings > 0 {
            self.lost.push(format!("{findings} finding(s) are not the ones that were made"));
        }
        let alerts = self.sql(outbox::forget_wrong(self.new))?;
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
            Table::WatchRules => ": watch rules check all entries again",
            _ => "",
        };
        let name = table.name();
        self.lost.push(format!(
            "of {before} rows of {name:?}, {now} could be read, and not all are as written{advice}"
        ));
    }

    /// Copies the rows that can be read; returns the total over all rows that were copied.
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
        // Rows after a page that cannot be read are lost.
        while let Ok(Some(row)) = rows.next() {
            let values: rusqlite::Result<Vec<Value>> = (0..columns).map(|column| row.get(column)).collect();
            match values.and_then(|values| insert.execute(params_from_iter(values))) {
                // A row that the schema does not allow is not one that was written.
                Err(error) if error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        total(self.new, table)
    }

    /// Deletes the heads that do not verify, and returns the roots of the others by size. All are to be compared
    /// again.
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

    /// Copies the leaves up to the largest size at which they have the root of a signed head, or of the state.
    fn copy_leaves(&self, heads: &BTreeMap<u64, BTreeSet<[u8; 32]>>) -> Result<CompactRange> {
        // The frontier in the state counts only if a head that confirms it is still there.
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
                if index != Ok(tree.leaves().end()) {
                    break;
                }
                insert.execute(params![int(tree.leaves().end()), leaf])?;
                for (level, n, hash) in tree.append(&leaf) {
                    node.execute(params![level, int(n), hash.0])?;
                }
                let (end, root) = (tree.leaves().end(), tree.leaves().root());
                let signed = heads.get(&end).is_some_and(|roots| roots.contains(&root.0));
                if signed
                    || proved.as_ref().is_some_and(|proved| proved.end() == end && proved.root() == root)
                {
                    best = tree.leaves().clone();
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
        let (rule, digest) = watch_rules::forgotten();
        let insert =
            self.new.execute("INSERT INTO watch_rules VALUES (?1, 0, '', ?2)", params![rule, digest.0]);
        self.sql(insert).map(drop)
    }
}
