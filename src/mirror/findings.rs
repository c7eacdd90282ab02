//! Findings, including those that have ended.

use super::db::Db;
use super::error::{MirrorError, Result};
use super::seal::Table;
use super::values::{TimeText, int};
use crate::audit::finding::Finding;
use crate::audit::subject::Subject;
use crate::core::finding::{Code, Scope, Severity};
use crate::core::hash::{Hash, sha256};
use crate::core::time::UnixMillis;
use rusqlite::{Connection, Row};
use std::ops::Deref;
use std::path::Path;

/// A finding with its history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredFinding {
    /// The finding.
    pub finding: Finding,
    /// When it was first found.
    pub first_seen: UnixMillis,
    /// When it was last found.
    pub last_seen: UnixMillis,
    /// When it ended; `None` while it stands.
    pub ended: Option<UnixMillis>,
}

const SELECT: &str =
    "SELECT code, severity, idx, entry_id, subject, message, evidence, first_seen, last_seen, ended, digest
     FROM findings";

/// The codes of these scopes as an SQL list. They come from our own table and need no escaping.
fn codes_of(scopes: &[Scope]) -> String {
    let codes = Code::ALL.iter().filter(|code| scopes.contains(&code.scope()));
    codes.map(|code| format!("'{code}'")).collect::<Vec<String>>().join(", ")
}

/// The condition of [`Findings::set_pending`].
fn becomes_pending() -> String {
    let stay = codes_of(&[Scope::Reveal, Scope::Journal, Scope::Watch]);
    format!("WHERE idx < ?1 AND pending = 0 AND code NOT IN ({stay})")
}

/// The store of findings, including those that have ended.
pub struct Findings<D> {
    db: D,
}

impl<D: Deref<Target = Db>> Findings<D> {
    pub(super) fn new(db: D) -> Findings<D> {
        Findings { db }
    }

    /// Whether some finding is pending, which means that it has not been found again yet.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn has_pending(&self) -> Result<bool> {
        self.db.trust(Table::Findings, 0..=0)?;
        let result = self.db.connection().query_row(
            "SELECT EXISTS (SELECT 1 FROM findings WHERE pending = 1)",
            [],
            |row| row.get(0),
        );
        self.db.sql(result)
    }

    /// Findings that stand: first those about the log as a whole, then by index and code.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn standing(&self) -> Result<Vec<StoredFinding>> {
        self.listed(false)
    }

    /// Findings that have ended, in the same order.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn ended(&self) -> Result<Vec<StoredFinding>> {
        self.listed(true)
    }

    fn listed(&self, ended: bool) -> Result<Vec<StoredFinding>> {
        self.db.trust(Table::Findings, 0..=0)?;
        let sql = format!(
            "{SELECT} WHERE (ended IS NOT NULL) = ?1 ORDER BY idx IS NOT NULL, idx, code, first_seen, key"
        );
        let result =
            self.db.connection().prepare_cached(&sql).and_then(|mut select| {
                select.query_map([ended], raw)?.collect::<rusqlite::Result<Vec<Raw>>>()
            });
        self.db.sql(result)?.into_iter().map(|raw| stored_finding(self.db.path(), raw)).collect()
    }

    /// How many findings with this code stand.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn standing_of(&self, code: Code) -> Result<u64> {
        self.db.trust(Table::Findings, 0..=0)?;
        let sql = "SELECT count(*) FROM findings WHERE code = ?1 AND ended IS NULL";
        let result = self.db.connection().query_row(sql, [code.as_str()], |row| row.get(0));
        self.db.sql(result)
    }

    /// Whether this finding stands, with any message.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn stands(&self, finding: &Finding) -> Result<bool> {
        self.db.trust(Table::Findings, 0..=0)?;
        let sql = "SELECT EXISTS (SELECT 1 FROM findings WHERE key = ?1 AND ended IS NULL)";
        let result = self.db.connection().query_row(sql, [finding.key()], |row| row.get(0));
        self.db.sql(result)
    }

    /// How many findings stand, not counting those of severity `info` or hits of watch rules: the bound on this
    /// number is for a log full of faults, and a curious user must not reach it.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn count(&self) -> Result<u64> {
        self.db.trust(Table::Findings, 0..=0)?;
        let sql = format!(
            "SELECT count(*) FROM findings WHERE ended IS NULL AND severity <> 'info' AND code NOT IN ({})",
            codes_of(&[Scope::Watch])
        );
        let result = self.db.connection().query_row(&sql, [], |row| row.get(0));
        self.db.sql(result)
    }

    /// How many entries have a finding that makes them invalid.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn invalid_entries(&self) -> Result<u64> {
        self.db.trust(Table::Findings, 0..=0)?;
        let result = self.db.connection().query_row(
            "SELECT count(DISTINCT idx) FROM findings WHERE ended IS NULL AND severity = 'invalid' AND idx IS NOT NULL",
            [],
            |row| row.get(0),
        );
        self.db.sql(result)
    }

    /// How many hits of watch rules are kept. Hits are never withdrawn.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn hits(&self) -> Result<u64> {
        self.db.trust(Table::Findings, 0..=0)?;
        let result = self
            .db
            .connection()
            .prepare_cached("SELECT count(*) FROM findings WHERE code = ?1")
            .and_then(|mut select| select.query_row([Code::WatchList.as_str()], |row| row.get(0)));
        self.db.sql(result)
    }

    /// Whether this finding is kept, whether or not it stands.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn is_kept(&self, finding: &Finding) -> Result<bool> {
        self.db.trust(Table::Findings, 0..=0)?;
        let result = self
            .db
            .connection()
            .prepare_cached("SELECT 1 FROM findings WHERE key = ?1")
            .and_then(|mut select| select.exists([finding.key()]));
        self.db.sql(result)
    }
}

impl Findings<&mut Db> {
    /// Keeps a finding. A finding that is there already stays as it was first made; if it had ended, it stands again.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn put(&mut self, finding: &Finding, now: UnixMillis) -> Result<()> {
        let (key, subject) = (finding.key(), finding.subject.to_string());
        let kept = self.db.change(
            Table::Findings,
            0..=0,
            ("SELECT * FROM findings WHERE key = ?1", &[&key]),
            (
                "INSERT INTO findings VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, NULL, 0, ?10)
                 ON CONFLICT (key) DO UPDATE SET severity = excluded.severity, entry_id = excluded.entry_id,
                   message = excluded.message, evidence = excluded.evidence, last_seen = excluded.last_seen,
                   ended = NULL, pending = 0, digest = excluded.digest
                 RETURNING *",
                &[
                    &key,
                    &finding.code.as_str(),
                    &finding.severity.as_str(),
                    &finding.index.map(int),
                    &finding.id,
                    &subject,
                    &finding.message,
                    &finding.evidence,
                    &TimeText(now),
                    &digest(finding).0,
                ],
            ),
        )?;
        // If the row is missing afterwards, the table is not what the state says.
        if kept == 1 { Ok(()) } else { Err(self.db.unsealed(Table::Findings)) }
    }

    /// Ends a finding about how the log serves, after the log was seen to serve correctly. Also ends a finding about
    /// STHs that are out of order by too little to prove anything, which an earlier version reported as a
    /// contradiction.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn end(&mut self, finding: &Finding, now: UnixMillis) -> Result<()> {
        debug_assert!(finding.code.ends() || finding.code == Code::SthTimeContradiction);
        let key = finding.key();
        let before = "SELECT * FROM findings WHERE key = ?1";
        let after = "UPDATE findings SET ended = ?2 WHERE key = ?1 RETURNING *";
        self.db.change(Table::Findings, 0..=0, (before, &[&key]), (after, &[&key, &TimeText(now)])).map(drop)
    }

    /// Withdraws standing findings of a code (with `subject`: only those about it) that is no longer judged. They do
    /// not count as ended, because nothing showed that they no longer hold. Returns their number.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn withdraw_unjudged(&mut self, code: Code, subject: Option<&Subject>) -> Result<u64> {
        let subject = subject.map(Subject::to_string);
        let sql = "DELETE FROM findings WHERE code = ?1 AND (?2 IS NULL OR subject = ?2) AND ended IS NULL RETURNING *";
        let withdrawn = self.db.remove(Table::Findings, 0..=0, sql, &[&code.as_str(), &subject])?;
        Ok(u64::try_from(withdrawn).unwrap_or(u64::MAX))
    }

    /// Withdraws the findings that were not found again, after all entries were checked again.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn withdraw_pending(&mut self) -> Result<u64> {
        let sql = "DELETE FROM findings WHERE pending = 1 RETURNING *";
        Ok(u64::try_from(self.db.remove(Table::Findings, 0..=0, sql, &[])?).unwrap_or(u64::MAX))
    }

    /// Marks findings about the first `entries` entries as pending until they are found again. Findings about
    /// reveals, which are not part of a leaf, and those of the journal and of watch rules, which look at each entry
    /// once, are left as they are.
    pub(super) fn set_pending(&mut self, entries: u64) -> Result<()> {
        let pending = becomes_pending();
        let before = format!("SELECT * FROM findings {pending}");
        let after = format!("UPDATE findings SET pending = 1 {pending} RETURNING *");
        let entries = int(entries);
        self.db.change(Table::Findings, 0..=0, (&before, &[&entries]), (&after, &[&entries])).map(drop)
    }
}

/// Marks the findings about the first `entries` entries as pending, in a mirror without seals or one that is being
/// rebuilt.
pub(super) fn set_all_pending(db: &Connection, entries: u64) -> rusqlite::Result<()> {
    db.execute(&format!("UPDATE findings SET pending = 1 {}", becomes_pending()), [int(entries)]).map(drop)
}

/// Deletes the findings that are not the ones that were written, in a mirror that is being rebuilt; returns their
/// number.
pub(super) fn forget_wrong(db: &Connection, path: &Path) -> rusqlite::Result<u64> {
    let rows: Vec<(Vec<u8>, Option<Raw>)> = db
        .prepare(&SELECT.replace("SELECT ", "SELECT CAST(key AS BLOB), "))?
        .query_map([], |row| Ok((row.get(0)?, raw_at(row, 1).ok())))?
        .collect::<rusqlite::Result<_>>()?;
    let is_wrong = |raw: Option<Raw>| raw.is_none_or(|raw| stored_finding(path, raw).is_err());
    let mut forgotten: u64 = 0;
    for (key, raw) in rows {
        if is_wrong(raw) {
            db.execute("DELETE FROM findings WHERE CAST(key AS BLOB) = ?1", [key])?;
            forgotten = forgotten.saturating_add(1);
        }
    }
    Ok(forgotten)
}

/// Parses a row. Data that was read is used only if it matches the row's digest.
fn stored_finding(path: &Path, raw: Raw) -> Result<StoredFinding> {
    let damaged =
        |what: &str| MirrorError::Damaged(path.to_owned(), format!("a finding has no known {what}"));
    let finding = Finding {
        code: Code::from_text(&raw.code).ok_or_else(|| damaged("code"))?,
        severity: Severity::from_text(&raw.severity).ok_or_else(|| damaged("severity"))?,
        index: raw.index,
        id: raw.id,
        message: raw.message,
        evidence: raw.evidence,
        subject: Subject::decode(&raw.subject),
    };
    if digest(&finding).0.as_slice() != raw.digest {
        let why = format!("a finding of {} is not the one that was made", raw.code);
        return Err(MirrorError::Damaged(path.to_owned(), why));
    }
    Ok(StoredFinding {
        finding,
        first_seen: raw.first_seen.0,
        last_seen: raw.last_seen.0,
        ended: raw.ended.map(|TimeText(ended)| ended),
    })
}

struct Raw {
    code: String,
    severity: String,
    index: Option<u64>,
    id: Option<String>,
    subject: String,
    message: String,
    evidence: Option<String>,
    first_seen: TimeText,
    last_seen: TimeText,
    ended: Option<TimeText>,
    digest: Vec<u8>,
}

/// A digest of the finding, without its times, which accuse nobody.
fn digest(finding: &Finding) -> Hash {
    let (id, evidence) = (finding.id.as_deref(), finding.evidence.as_deref());
    let text = [
        &finding.key(),
        finding.severity.as_str(),
        id.unwrap_or("\n"),
        evidence.unwrap_or("\n"),
        &finding.message,
    ];
    sha256(text.join("\0").as_bytes())
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    raw_at(row, 0)
}

/// Reads a row that has `before` other columns in front.
fn raw_at(row: &Row<'_>, before: usize) -> rusqlite::Result<Raw> {
    let at = |column: usize| column.saturating_add(before);
    Ok(Raw {
        code: row.get(at(0))?,
        severity: row.get(at(1))?,
        index: row.get(at(2))?,
        id: row.get(at(3))?,
        subject: row.get(at(4))?,
        message: row.get(at(5))?,
        evidence: row.get(at(6))?,
        first_seen: row.get(at(7))?,
        last_seen: row.get(at(8))?,
        ended: row.get(at(9))?,
        digest: row.get(at(10))?,
    })
}
