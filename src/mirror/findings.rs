//! Findings, kept for as long as they stand and listed after they ended.

use super::seal::Table;
use super::write::int;
use super::{Mirror, MirrorError, Result};
use crate::audit::finding::Finding;
use crate::audit::subject::Subject;
use crate::core::finding::{Code, Severity};
use crate::core::hash::{Hash, sha256};
use rusqlite::{Connection, Row};
use std::path::Path;

/// A finding with its history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredFinding {
    /// The finding.
    pub finding: Finding,
    /// RFC 3339: when it was found first.
    pub first_seen: String,
    /// RFC 3339: when it was found last.
    pub last_seen: String,
    /// RFC 3339: since when it no longer holds.
    pub ended: Option<String>,
}

const SELECT: &str =
    "SELECT code, severity, idx, entry_id, subject, message, evidence, first_seen, last_seen, ended, digest
     FROM findings";

/// See [`Mirror::set_pending`].
pub(super) const SET_PENDING: &str = "UPDATE findings SET pending = 1 WHERE idx < ?1 AND pending = 0
    AND code NOT IN ('reveal-mismatch', 'payload-mismatch', 'email-mismatch', 'watch-list')";

impl Mirror {
    /// Keeps a finding. One that is there already stays as it was first made; where it had ended,
    /// it stands again.
    pub fn put_finding(&mut self, finding: &Finding, now: &str) -> Result<()> {
        let (key, subject) = (finding.key(), finding.subject.to_string());
        let kept = self.change(
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
                    &now,
                    &digest(finding).0,
                ],
            ),
        )?;
        // A finding that is not there in the end is not found.
        if kept == 1 { Ok(()) } else { Err(self.unsealed(Table::Findings)) }
    }

    /// Ends a finding about how the log serves: it was seen to serve what it should. Or one of STHs out of order by
    /// less than proves anything, which an earlier version took for a contradiction.
    pub fn end_finding(&mut self, finding: &Finding, now: &str) -> Result<()> {
        debug_assert!(finding.code.ends() || finding.code == Code::SthTimeContradiction);
        let key = finding.key();
        let before = "SELECT * FROM findings WHERE key = ?1";
        let after = "UPDATE findings SET ended = ?2 WHERE key = ?1 RETURNING *";
        self.change(Table::Findings, 0..=0, (before, &[&key]), (after, &[&key, &now])).map(drop)
    }

    /// Withdraws standing findings of a code (`subject`: only those about it) that is judged no more: nobody saw that they
    /// are over. Gives how many there were.
    pub fn withdraw_unjudged(&mut self, code: Code, subject: Option<&Subject>) -> Result<u64> {
        let subject = subject.map(Subject::to_string);
        let sql = "DELETE FROM findings WHERE code = ?1 AND (?2 IS NULL OR subject = ?2) AND ended IS NULL RETURNING *";
        let withdrawn = self.remove(Table::Findings, 0..=0, sql, &[&code.as_str(), &subject])?;
        Ok(u64::try_from(withdrawn).unwrap_or(u64::MAX))
    }

    /// After all entries were checked again: what was not found again is withdrawn.
    pub fn withdraw_pending(&mut self) -> Result<u64> {
        let sql = "DELETE FROM findings WHERE pending = 1 RETURNING *";
        Ok(u64::try_from(self.remove(Table::Findings, 0..=0, sql, &[])?).unwrap_or(u64::MAX))
    }

    /// Findings about the first `entries` entries are pending until they are made again. Those about reveals, which are
    /// no part of a leaf, and hits of watch rules, which look at each entry once, stay.
    pub(super) fn set_pending(&mut self, entries: u64) -> Result<()> {
        let before = SET_PENDING.replace("UPDATE findings SET pending = 1", "SELECT * FROM findings");
        let after = format!("{SET_PENDING} RETURNING *");
        let entries = int(entries);
        self.change(Table::Findings, 0..=0, (&before, &[&entries]), (&after, &[&entries])).map(drop)
    }

    /// Whether some finding is still to be made again.
    pub fn has_pending(&self) -> Result<bool> {
        self.trust(Table::Findings, 0..=0)?;
        let result =
            self.db
                .query_row("SELECT EXISTS (SELECT 1 FROM findings WHERE pending = 1)", [], |row| row.get(0));
        self.sql(result)
    }

    /// Findings that stand, or (`ended`) that stood once: by index, then code; those of the log as
    /// a whole first.
    pub fn findings(&self, ended: bool) -> Result<Vec<StoredFinding>> {
        self.trust(Table::Findings, 0..=0)?;
        let sql = format!(
            "{SELECT} WHERE (ended IS NOT NULL) = ?1 ORDER BY idx IS NOT NULL, idx, code, first_seen, key"
        );
        let result = self
            .db
            .prepare_cached(&sql)
            .and_then(|mut select| select.query_map([ended], raw)?.collect::<rusqlite::Result<Vec<Raw>>>());
        self.sql(result)?.into_iter().map(|raw| self.stored_finding(raw)).collect()
    }

    /// How many findings with this code stand.
    pub fn standing_of(&self, code: Code) -> Result<u64> {
        self.trust(Table::Findings, 0..=0)?;
        let sql = "SELECT count(*) FROM findings WHERE code = ?1 AND ended IS NULL";
        let result = self.db.query_row(sql, [code.as_str()], |row| row.get(0));
        self.sql(result)
    }

    /// Whether this finding stands, as it is or with other words.
    pub fn stands(&self, finding: &Finding) -> Result<bool> {
        self.trust(Table::Findings, 0..=0)?;
        let sql = "SELECT EXISTS (SELECT 1 FROM findings WHERE key = ?1 AND ended IS NULL)";
        let result = self.db.query_row(sql, [finding.key()], |row| row.get(0));
        self.sql(result)
    }

    /// How many findings stand, what is merely worth knowing not counted, nor what watch rules found: that
    /// bound is for a log that is full of faults, and must not be reached by being curious.
    pub fn finding_count(&self) -> Result<u64> {
        self.trust(Table::Findings, 0..=0)?;
        let result = self.db.query_row(
            "SELECT count(*) FROM findings WHERE ended IS NULL AND severity <> 'info' AND code <> 'watch-list'",
            [],
            |row| row.get(0),
        );
        self.sql(result)
    }

    /// How many entries have a finding that makes them invalid.
    pub fn invalid_entries(&self) -> Result<u64> {
        self.trust(Table::Findings, 0..=0)?;
        let result = self.db.query_row(
            "SELECT count(DISTINCT idx) FROM findings WHERE ended IS NULL AND severity = 'invalid' AND idx IS NOT NULL",
            [],
            |row| row.get(0),
        );
        self.sql(result)
    }

    fn stored_finding(&self, raw: Raw) -> Result<StoredFinding> {
        stored_finding(&self.path, raw)
    }
}

/// Forgets the findings that are not the ones that were made, in a mirror that is made again; gives how many.
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

/// Nothing read is believed that is not what was found.
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
    Ok(StoredFinding { finding, first_seen: raw.first_seen, last_seen: raw.last_seen, ended: raw.ended })
}

struct Raw {
    code: String,
    severity: String,
    index: Option<u64>,
    id: Option<String>,
    subject: String,
    message: String,
    evidence: Option<String>,
    first_seen: String,
    last_seen: String,
    ended: Option<String>,
    digest: Vec<u8>,
}

/// Over what was found; not over when, which accuses nobody.
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

/// With so many columns before it.
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
