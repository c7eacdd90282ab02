//! How far each watch rule looked, and what checked entries say, for it to look at.
//!
//! A rule that no config names any more keeps its row: should it come back, it goes on where it was, so an
//! audit with another config in between loses nothing.

use super::seal::{Table, digest_key};
use super::write::{as_json, int};
use super::{Mirror, MirrorError, Result};
use crate::audit::finding::Finding;
use crate::audit::watch_list::{Facts, Memory};
use crate::core::entry::Decision;
use crate::core::finding::Code;
use crate::core::hash::{Hash, sha256};
use rusqlite::types::ValueRef::{Blob, Integer, Text};
use rusqlite::{OptionalExtension as _, Row};

/// The row that says how many hits a finished run has told of. No rule has this digest.
const TOLD: &str = "told";

/// The row that is there once rows were damaged and forgotten: which rules they were of nobody knows, and a rule that
/// comes back must not pass for a new one.
const FORGOTTEN: &str = "forgotten";

/// Where a rule is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Looked {
    /// The first entry that it has not looked at.
    pub next: u64,
    /// What it remembers of those before.
    pub memory: Memory,
}

fn digest(rule: &str, next: u64, window: &str) -> Hash {
    sha256(format!("{rule}\0{next}\0{window}").as_bytes())
}

/// The row that says that rows were forgotten, for a mirror that is made again: its name and its digest.
pub(super) fn forgotten() -> (&'static str, Hash) {
    (FORGOTTEN, digest(FORGOTTEN, 0, ""))
}

/// What a row says, by its digest; `None`: it is damaged. Then its values may be of any kind.
fn intact(row: &Row<'_>) -> rusqlite::Result<Option<(u64, String)>> {
    let values = (row.get_ref(0)?, row.get_ref(1)?, row.get_ref(2)?, row.get_ref(3)?);
    let (Text(rule), Integer(next), Text(window), Blob(stored)) = values else { return Ok(None) };
    let texts = (std::str::from_utf8(rule), u64::try_from(next), std::str::from_utf8(window));
    let (Ok(rule), Ok(next), Ok(window)) = texts else { return Ok(None) };
    let is_as_written = digest(rule, next, window).0.as_slice() == stored;
    Ok(is_as_written.then(|| (next, window.to_owned())))
}

impl Mirror {
    /// Where a rule (by its digest) is; `None` where it never looked at this mirror.
    ///
    /// # Errors
    /// Also where the row is damaged: then nobody knows what it has passed over.
    pub fn looked(&self, rule: &Hash) -> Result<Option<Looked>> {
        let Some((next, window)) = self.watch_row(&rule.to_string())? else { return Ok(None) };
        let memory = serde_json::from_str(&window).map_err(|_| self.wrong_watch())?;
        Ok(Some(Looked { next, memory }))
    }

    /// Keeps where a rule is.
    pub fn put_looked(&mut self, rule: &Hash, looked: &Looked) -> Result<()> {
        let window = self.sql(as_json(&looked.memory))?;
        self.put_watch_row(&rule.to_string(), looked.next, &window)
    }

    /// How many hits a finished run has told of.
    pub fn hits_told(&self) -> Result<u64> {
        Ok(self.watch_row(TOLD)?.map_or(0, |(count, _)| count))
    }

    /// Notes that so many were told of.
    pub fn put_hits_told(&mut self, count: u64) -> Result<()> {
        self.put_watch_row(TOLD, count, "")
    }

    /// How many hits are kept: they are never withdrawn.
    pub fn hits(&self) -> Result<u64> {
        self.trust(Table::Findings, 0..=0)?;
        let result = self
            .db
            .prepare_cached("SELECT count(*) FROM findings WHERE code = ?1")
            .and_then(|mut select| select.query_row([Code::WatchList.as_str()], |row| row.get(0)));
        self.sql(result)
    }

    /// Whether this hit is kept already.
    pub fn has_hit(&self, hit: &Finding) -> Result<bool> {
        self.trust(Table::Findings, 0..=0)?;
        let result = self
            .db
            .prepare_cached("SELECT 1 FROM findings WHERE key = ?1")
            .and_then(|mut select| select.exists([hit.key()]));
        self.sql(result)
    }

    /// Where the table is not the one that was written: forgets the rows that are damaged, notes that there were some, and
    /// keeps the others, which are at worst earlier ones of the same rules. Gives whether it was so.
    pub fn forget_damaged_watch_rows(&mut self) -> Result<bool> {
        match self.trust(Table::WatchRules, 0..=0) {
            Ok(()) => return Ok(false),
            Err(MirrorError::WrongMemory(..)) => {}
            Err(error) => return Err(error),
        }
        // Names as bytes: that of a damaged row may be no text.
        let sql = "SELECT rule, next, window, digest, CAST(rule AS BLOB) FROM watch_rules";
        let result = self.db.prepare(sql).and_then(|mut all| {
            let rows = all.query_map([], |row| {
                let name: Vec<u8> = row.get(4)?;
                let is_of_rule = ![TOLD, FORGOTTEN].map(str::as_bytes).contains(&name.as_slice());
                let is_good = |window: &str| !is_of_rule || serde_json::from_str::<Memory>(window).is_ok();
                Ok((intact(row)?.is_some_and(|(_, window)| is_good(&window)), name))
            })?;
            rows.collect::<rusqlite::Result<Vec<(bool, Vec<u8>)>>>()
        });
        for (_, name) in self.sql(result)?.iter().filter(|(is_good, _)| !is_good) {
            let result = self.db.execute("DELETE FROM watch_rules WHERE CAST(rule AS BLOB) = ?1", [name]);
            self.sql(result)?;
        }
        self.seal_again(Table::WatchRules)?;
        self.put_watch_row(FORGOTTEN, 0, "")?;
        Ok(true)
    }

    /// Whether rows were forgotten, so that a rule without one may have had one.
    pub fn has_forgotten_watch_rows(&self) -> Result<bool> {
        Ok(self.watch_row(FORGOTTEN)?.is_some())
    }

    fn watch_row(&self, rule: &str) -> Result<Option<(u64, String)>> {
        self.trust(Table::WatchRules, 0..=0)?;
        let result = self
            .db
            .prepare_cached("SELECT rule, next, window, digest FROM watch_rules WHERE rule = ?1")
            .and_then(|mut select| select.query_row([rule], intact).optional());
        match self.sql(result)? {
            Some(None) => Err(self.wrong_watch()),
            Some(row) => Ok(row),
            None => Ok(None),
        }
    }

    fn put_watch_row(&mut self, rule: &str, next: u64, window: &str) -> Result<()> {
        self.change(
            Table::WatchRules,
            0..=0,
            ("SELECT * FROM watch_rules WHERE rule = ?1", &[&rule]),
            (
                "INSERT OR REPLACE INTO watch_rules VALUES (?1, ?2, ?3, ?4) RETURNING *",
                &[&rule, &int(next), &window, &digest(rule, next, window).0],
            ),
        )
        .map(drop)
    }

    pub(super) fn wrong_watch(&self) -> MirrorError {
        let why = "how far a watch rule has looked is not what was written; with --full it looks at all entries again";
        MirrorError::WrongMemory(self.path.clone(), why.to_owned())
    }

    /// What the checked entries `[begin, end)` say.
    ///
    /// # Errors
    /// Also where one of them is missing: it must not be passed over.
    pub fn facts(&self, begin: u64, end: u64) -> Result<Vec<Facts>> {
        self.trust_entries(&(begin..end))?;
        // A key was first used where its signature first verified: by what the checks across entries remember.
        let sql = "SELECT e.idx, e.id, e.decision, e.decided_at, e.approver, e.rp_id, e.key, e.payload_hash,
                     k.first_idx IS NOT NULL
                   FROM entry_columns e LEFT JOIN keys k ON k.key = e.key AND k.first_idx = e.idx
                   WHERE e.idx >= ?1 AND e.idx < ?2 ORDER BY e.idx";
        let result = self.db.prepare_cached(sql).and_then(|mut select| {
            select.query_map([int(begin), int(end)], facts)?.collect::<rusqlite::Result<Vec<Facts>>>()
        });
        let found = self.sql(result)?;
        // That a key was used before is as good as what is known of it.
        for key in found.iter().filter_map(|facts| facts.key.as_ref()) {
            let slot = digest_key(&key.0);
            self.trust(Table::Keys, slot..=slot)?;
        }
        let is_whole = found.iter().map(|facts| facts.index).eq(begin..end);
        let why = || format!("of the entries {begin} to {end}, not all are in its columns");
        if is_whole { Ok(found) } else { Err(MirrorError::WrongMemory(self.path.clone(), why())) }
    }
}

fn facts(row: &Row<'_>) -> rusqlite::Result<Facts> {
    Ok(Facts {
        index: row.get(0)?,
        id: row.get(1)?,
        decision: row.get::<_, Option<String>>(2)?.as_deref().and_then(Decision::from_text),
        decided_at: row.get(3)?,
        approver: row.get(4)?,
        rp_id: row.get(5)?,
        key: row.get::<_, Option<[u8; 32]>>(6)?.map(Hash),
        payload_hash: row.get(7)?,
        is_first_of_key: row.get(8)?,
    })
}
