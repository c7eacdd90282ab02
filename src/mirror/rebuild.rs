//! `countersign mirror check --rebuild`: a damaged mirror made again, from those of its leaves that a signed head bears
//! out.
//!
//! What follows from the leaves (nodes, columns, keys, what was seen) is not taken over: the next audit checks all entries
//! again. Heads are taken over where their signature verifies, findings where they are the ones that were made; what is
//! missing of them nobody can make again, and it is said. The damaged file is kept beside the new one.

use super::check::Folded;
use super::head_query::{SELECT, raw, stored_head};
use super::mark::Mark;
use super::path::{exists, resolve};
use super::seal::{Node, Seals, Table, seal_all, total};
use super::state::State;
use super::write::{int, state_row};
use super::{
    MirrorError, Result, SCHEMA_VERSION, beside, beside_error, configure, connect, create, io_error, lock,
    read, sql_error,
};
use crate::core::head::LogKey;
use crate::core::tree::CompactRange;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

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
/// It is of another log, of a format that an audit must bring up to date first, or cannot be written; then the old one
/// is still in its place.
pub fn rebuild(path: &Path, key: &LogKey) -> Result<Rebuilt> {
    let path = &resolve(path)?;
    if !exists(path)? {
        return Err(MirrorError::Missing(path.clone()));
    }
    let _lock = lock(path)?;
    let sql = |error: rusqlite::Error| sql_error(path, error);
    let old = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let version: i64 = old.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql)?;
    if version > SCHEMA_VERSION {
        return Err(MirrorError::Newer(path.to_owned(), version, SCHEMA_VERSION));
    }
    if version < SCHEMA_VERSION {
        let why = format!("its format is version {version}: an audit brings it up to date first");
        return Err(MirrorError::Damaged(path.to_owned(), why));
    }
    let state = read::state(&old, path).ok();
    if let Some(state) = &state {
        super::check_log(path, state, key)?;
    }
    let place = beside(path, ".rebuilt");
    for suffix in ["", "-wal", "-shm", ".new"] {
        remove(path, &beside(&place, suffix))?;
    }
    create(&place, key)?;
    let new = connect(&place, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let state = State::again(state, read::state(&new, &place)?);
    configure(&new).and_then(|()| new.execute_batch("BEGIN IMMEDIATE")).map_err(sql)?;
    let mut rebuilder = Rebuilder { old: &old, new: &new, path, key, state, lost: Vec::new() };
    let rebuilt = rebuilder.fill()?;
    let mark = Mark { mirror: rebuilder.state.mirror.clone(), generation: rebuilder.state.generation };
    new.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").map_err(sql)?;
    new.close().map_err(|(_, error)| sql(error))?;
    // The old one last, in one piece: with what its write-ahead log still holds.
    drop(old);
    let kept = unused(path);
    for suffix in ["-wal", "-shm", ""] {
        let from = beside(path, suffix);
        if from.exists() {
            fs::rename(&from, beside(&kept, suffix)).map_err(|error| io_error(path, &error))?;
        }
    }
    fs::rename(&place, path)
        .and_then(|()| beside::sync_directory(path))
        .map_err(|error| io_error(path, &error))?;
    mark.write(path).map_err(|error| beside_error(path, ".mark", &error))?;
    Ok(Rebuilt { kept, ..rebuilt })
}

/// A name for the damaged file that nothing has.
fn unused(path: &Path) -> PathBuf {
    let numbered = (1..u32::MAX).map(|n| beside(path, &format!(".damaged-{n}")));
    numbered.into_iter().find(|path| !path.exists()).unwrap_or_else(|| beside(path, ".damaged"))
}

fn remove(mirror: &Path, path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error(mirror, &error)),
        _ => Ok(()),
    }
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
        let heads = self.verified_heads()?;
        let entries_before = (self.state.generation > 0).then_some(self.state.rooted);
        let tree = self.copy_leaves(&heads)?;
        let pending = self.new.execute(super::findings::SET_PENDING, [int(tree.end())]);
        self.sql(pending)?;
        self.state.start_at(&tree);
        let mut seals = Seals::default();
        self.sql(Table::ALL.into_iter().try_for_each(|table| seal_all(self.new, table, &mut seals)))?;
        self.sql(seals.write(self.new))?;
        self.state.set_seals(seals.roots());
        self.state.generation = self.state.generation.saturating_add(1);
        let (json, digest) = state_row(&self.state);
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
            // A row that the schema does not allow is none that was written.
            let _ = values.and_then(|values| insert.execute(params_from_iter(values)));
        }
        total(self.new, table)
    }

    /// Deletes the heads that do not verify, and gives the roots of the others by size. All are to be compared again.
    fn verified_heads(&mut self) -> Result<BTreeMap<u64, BTreeSet<[u8; 32]>>> {
        let update = self.new.execute("UPDATE heads SET status = 'unchecked', compared = 0", []);
        self.sql(update)?;
        let read = || -> rusqlite::Result<Vec<_>> { self.new.prepare(SELECT)?.query_map([], raw)?.collect() };
        let mut good: BTreeMap<u64, BTreeSet<[u8; 32]>> = BTreeMap::new();
        let mut statements = BTreeSet::new();
        for raw in self.sql(read())? {
            if let Ok(stored) = stored_head(self.path, raw, self.key) {
                good.entry(stored.head.size()).or_default().insert(stored.head.root().0);
                statements.insert(stored.head.statement().0);
            }
        }
        let all = || -> rusqlite::Result<Vec<Vec<u8>>> {
            self.new.prepare("SELECT statement FROM heads")?.query_map([], |row| row.get(0))?.collect()
        };
        let mut refused: u64 = 0;
        for statement in self.sql(all())? {
            if !statements.iter().any(|good| good.as_slice() == statement) {
                let delete = self.new.execute("DELETE FROM heads WHERE statement = ?1", [statement]);
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
        let proved = self.state.frontier().filter(|_| self.state.generation > 0);
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
