//! The outbox: what people were told of, and what is still on its way to them.
//!
//! An alert is written in the transaction that notes its subject as told, so that no crash can
//! leave one without the other; it leaves the outbox of a channel only after that channel took it.

use super::seal::Table;
use super::write::int;
use super::{Mirror, MirrorError, Result};
use crate::core::entry::read_leaf;
use crate::core::finding::Severity;
use crate::core::hash::{Hash, sha256};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::BTreeMap;

/// Delivered and given-up alerts are kept so long, in milliseconds: 90 days. What was told stays known.
const KEPT_FOR: u64 = 90 * 24 * 60 * 60 * 1000;

/// What was last told of one subject.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    /// How often it ended and came back.
    pub episode: u64,
    /// Whether the last word was that it holds.
    pub open: bool,
    /// When, in Unix milliseconds.
    pub at: u64,
    /// As which severity.
    pub severity: Severity,
    /// The end that was told, where one was: as the finding had it.
    pub ended: Option<String>,
}

/// An alert to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// Tells it from every other alert.
    pub key: String,
    /// What kind of news it is.
    pub kind: String,
    /// Who is to get it depends on this.
    pub severity: Severity,
    /// JSON.
    pub payload: String,
    /// The channels that are to carry it.
    pub channels: Vec<String>,
}

/// An alert that one channel is to carry now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// Its row.
    pub alert: u64,
    /// Tells it from every other alert.
    pub key: String,
    /// Unix milliseconds.
    pub created: u64,
    /// JSON.
    pub payload: String,
    /// Failed attempts so far.
    pub attempts: u64,
}

/// What came of one attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attempt {
    /// The channel took it.
    Delivered,
    /// It is tried again at this time, in Unix milliseconds; and why it failed.
    Again(u64, String),
    /// It is not tried again, and why the last attempt failed.
    GivenUp(String),
}

/// A channel that fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failing {
    /// Unix milliseconds.
    pub since: u64,
    /// In a row.
    pub failures: u64,
    /// Not tried before this, in Unix milliseconds.
    pub not_before: u64,
    /// The last cause, escaped.
    pub error: String,
}

/// The queue of one channel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Queue {
    /// On their way, those that failed so far included.
    pub pending: u64,
    /// Of these, those that failed at least once.
    pub failed: u64,
    /// Delivered in the last 90 days.
    pub delivered: u64,
    /// Given up in the last 90 days.
    pub given_up: u64,
    /// Where it fails.
    pub failing: Option<Failing>,
}

/// Nothing is put off for longer, in milliseconds: a time further ahead is of a clock that was wrong, and is now.
pub const LONGEST_WAIT: u64 = 60 * 60 * 1000;

fn digest(key: &str, severity: &str, payload: &str) -> Hash {
    sha256([key, severity, payload].join("\0").as_bytes())
}

/// Forgets the alerts that are not the ones that were written, and what was told under no known severity, in a mirror
/// that is made again; gives how many.
pub(super) fn forget_wrong(db: &Connection) -> rusqlite::Result<u64> {
    let rows: Vec<(i64, bool)> = db
        .prepare("SELECT id, key, severity, payload, digest FROM alerts")?
        .query_map([], |row| {
            let (key, severity, payload): (String, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok((row.get(0)?, digest(&key, &severity, &payload).0.as_slice() == row.get::<_, Vec<u8>>(4)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut forgotten: u64 = 0;
    for (id, _) in rows.iter().filter(|(_, is_whole)| !is_whole) {
        db.execute("DELETE FROM alerts WHERE id = ?1", [id])?;
        forgotten = forgotten.saturating_add(1);
    }
    db.execute("DELETE FROM alert_deliveries WHERE alert NOT IN (SELECT id FROM alerts)", [])?;
    let known =
        [Severity::Violation, Severity::Invalid, Severity::Warning, Severity::Info].map(Severity::as_str);
    let sql = "DELETE FROM alert_subjects WHERE severity NOT IN (?1, ?2, ?3, ?4)";
    let subjects = db.execute(sql, known)?;
    Ok(forgotten.saturating_add(u64::try_from(subjects).unwrap_or(u64::MAX)))
}

impl Mirror {
    /// What was last told of each subject.
    pub fn told(&self) -> Result<BTreeMap<String, Notification>> {
        self.trust(Table::Subjects, 0..=0)?;
        let sql = "SELECT subject, episode, open, told_at, severity, ended FROM alert_subjects";
        let result = self.db.prepare_cached(sql).and_then(|mut select| {
            let rows = select.query_map([], |row| {
                let severity: String = row.get(4)?;
                let (subject, episode, open, at, ended) =
                    (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(5)?);
                Ok((subject, severity, Notification { episode, open, at, severity: Severity::Info, ended }))
            })?;
            rows.collect::<rusqlite::Result<Vec<(String, String, Notification)>>>()
        });
        let known = |(subject, severity, told): (String, String, Notification)| match Severity::from_text(
            &severity,
        ) {
            Some(severity) => Ok((subject, Notification { severity, ..told })),
            None => Err(MirrorError::Damaged(self.path.clone(), "an alert has no known severity".to_owned())),
        };
        self.sql(result)?.into_iter().map(known).collect()
    }

    /// Notes what was told of a subject.
    pub fn put_told(&mut self, subject: &str, told: &Notification) -> Result<()> {
        self.change(
            Table::Subjects,
            0..=0,
            ("SELECT * FROM alert_subjects WHERE subject = ?1", &[&subject]),
            (
                "INSERT OR REPLACE INTO alert_subjects VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING *",
                &[
                    &subject,
                    &int(told.episode),
                    &told.open,
                    &int(told.at),
                    &told.severity.as_str(),
                    &told.ended.as_deref(),
                ],
            ),
        )
        .map(drop)
    }

    /// Puts an alert into the outbox of each of its channels. One whose key is there already is the same alert.
    pub fn enqueue(&mut self, alert: &Outgoing, now: u64) -> Result<bool> {
        let severity = alert.severity.as_str();
        let digest = digest(&alert.key, severity, &alert.payload);
        let added = self.add(
            Table::Alerts,
            0..=0,
            "INSERT INTO alerts (key, created, kind, severity, payload, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (key) DO NOTHING RETURNING *",
            &[&alert.key, &int(now), &alert.kind, &severity, &alert.payload, &digest.0],
        )?;
        if added == 0 {
            return Ok(false);
        }
        let row = self.db.last_insert_rowid();
        for channel in &alert.channels {
            let sql =
                "INSERT INTO alert_deliveries VALUES (?1, ?2, 'pending', 0, ?3, NULL, NULL) RETURNING *";
            self.add(Table::Deliveries, 0..=0, sql, &[&row, channel, &int(now)])?;
        }
        Ok(true)
    }

    /// The oldest alerts that this channel is to carry now, at most `limit`; those after the row `after`.
    pub fn due(&self, channel: &str, now: u64, after: u64, limit: u32) -> Result<Vec<Due>> {
        self.trust(Table::Alerts, 0..=0)?;
        self.trust(Table::Deliveries, 0..=0)?;
        let sql = "SELECT a.id, a.key, a.created, a.severity, a.payload, a.digest, d.attempts
                   FROM alert_deliveries d JOIN alerts a ON a.id = d.alert
                   WHERE d.channel = ?1 AND d.state = 'pending' AND (d.next_try <= ?2 OR d.next_try > ?5)
                     AND d.alert > ?3
                   ORDER BY d.alert LIMIT ?4";
        let result = self.db.prepare_cached(sql).and_then(|mut select| {
            let far = now.saturating_add(LONGEST_WAIT);
            let rows = select.query_map(params![channel, int(now), int(after), limit, int(far)], |row| {
                let due = Due {
                    alert: row.get(0)?,
                    key: row.get(1)?,
                    created: row.get(2)?,
                    payload: row.get(4)?,
                    attempts: row.get(6)?,
                };
                Ok((due, row.get(3)?, row.get(5)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<(Due, String, Vec<u8>)>>>()
        });
        let whole = |(due, severity, stored): (Due, String, Vec<u8>)| {
            if digest(&due.key, &severity, &due.payload).0.as_slice() == stored {
                return Ok(due);
            }
            let why = "an alert is not the one that was written".to_owned();
            Err(MirrorError::Damaged(self.path.clone(), why))
        };
        self.sql(result)?.into_iter().map(whole).collect()
    }

    /// Notes what came of an attempt at `now`.
    pub fn attempted(&mut self, alert: u64, channel: &str, attempt: &Attempt, now: u64) -> Result<()> {
        let (state, failed, next, settled, error) = match attempt {
            Attempt::Delivered => ("delivered", 0, now, Some(int(now)), None),
            Attempt::Again(next, why) => ("pending", 1, *next, None, Some(why)),
            Attempt::GivenUp(why) => ("given-up", 1, now, Some(int(now)), Some(why)),
        };
        self.change(
            Table::Deliveries,
            0..=0,
            ("SELECT * FROM alert_deliveries WHERE alert = ?1 AND channel = ?2", &[&int(alert), &channel]),
            (
                "UPDATE alert_deliveries SET state = ?3, attempts = attempts + ?4, next_try = ?5, settled = ?6,
                   error = coalesce(?7, error) WHERE alert = ?1 AND channel = ?2 RETURNING *",
                &[&int(alert), &channel, &state, &failed, &int(next), &settled, &error],
            ),
        )
        .map(drop)
    }

    /// Since when a channel fails, where it does.
    pub fn failing(&self, channel: &str) -> Result<Option<Failing>> {
        self.trust(Table::Channels, 0..=0)?;
        let sql = "SELECT failing_since, failures, not_before, error FROM alert_channels WHERE channel = ?1";
        let result = self.db.query_row(sql, [channel], |row| {
            let (since, failures, not_before, error) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(Failing { since, failures, not_before, error })
        });
        self.sql(result.optional())
    }

    /// Notes that a channel fails, or (`None`) that it does not.
    pub fn put_failing(&mut self, channel: &str, failing: Option<&Failing>) -> Result<()> {
        let Some(failing) = failing else {
            let sql = "DELETE FROM alert_channels WHERE channel = ?1 RETURNING *";
            return self.remove(Table::Channels, 0..=0, sql, &[&channel]).map(drop);
        };
        self.change(
            Table::Channels,
            0..=0,
            ("SELECT * FROM alert_channels WHERE channel = ?1", &[&channel]),
            (
                "INSERT OR REPLACE INTO alert_channels VALUES (?1, ?2, ?3, ?4, ?5) RETURNING *",
                &[
                    &channel,
                    &int(failing.since),
                    &int(failing.failures),
                    &int(failing.not_before),
                    &failing.error,
                ],
            ),
        )
        .map(drop)
    }

    /// When something is to be sent over this channel next, in Unix milliseconds.
    pub fn next_try(&self, channel: &str, now: u64) -> Result<Option<u64>> {
        self.trust(Table::Deliveries, 0..=0)?;
        let result = self.db.query_row(
            "SELECT min(next_try) FROM alert_deliveries WHERE channel = ?1 AND state = 'pending'",
            [channel],
            |row| row.get::<_, Option<u64>>(0),
        );
        let Some(next) = self.sql(result)? else { return Ok(None) };
        let not_before = self.failing(channel)?.map_or(0, |failing| failing.not_before);
        let next = next.max(not_before);
        Ok(Some(if next > now.saturating_add(LONGEST_WAIT) { now } else { next }))
    }

    /// The queues, by channel. Those of channels that no config names any more are among them.
    pub fn queues(&self) -> Result<BTreeMap<String, Queue>> {
        self.trust(Table::Deliveries, 0..=0)?;
        let sql = "SELECT channel, state, attempts > 0, count(*) FROM alert_deliveries GROUP BY 1, 2, 3";
        let result = self.db.prepare_cached(sql).and_then(|mut select| {
            let rows =
                select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, String, bool, u64)>>>()
        });
        let mut queues: BTreeMap<String, Queue> = BTreeMap::new();
        for (channel, state, failed, count) in self.sql(result)? {
            let queue = queues.entry(channel).or_default();
            match state.as_str() {
                "delivered" => queue.delivered = queue.delivered.saturating_add(count),
                "given-up" => queue.given_up = queue.given_up.saturating_add(count),
                _ => {
                    queue.pending = queue.pending.saturating_add(count);
                    queue.failed = queue.failed.saturating_add(if failed { count } else { 0 });
                }
            }
        }
        for (channel, queue) in &mut queues {
            queue.failing = self.failing(channel)?;
        }
        Ok(queues)
    }

    /// Forgets alerts that every channel is done with for so long that nobody asks for them any more.
    pub fn forget_old_alerts(&mut self, now: u64) -> Result<()> {
        let before = int(now.saturating_sub(KEPT_FOR));
        self.trust(Table::Deliveries, 0..=0)?;
        let sql = "DELETE FROM alerts WHERE created < ?1 AND NOT EXISTS
               (SELECT 1 FROM alert_deliveries d WHERE d.alert = id AND d.state = 'pending') RETURNING *";
        if self.remove(Table::Alerts, 0..=0, sql, &[&before])? == 0 {
            return Ok(());
        }
        let sql = "DELETE FROM alert_deliveries WHERE alert NOT IN (SELECT id FROM alerts) RETURNING *";
        self.remove(Table::Deliveries, 0..=0, sql, &[]).map(drop)
    }

    /// The approver that a mirrored entry names, where it names one readably. While entries are checked again, what was
    /// kept of them is not there, and the leaf is read.
    pub fn approver_of(&self, index: u64) -> Result<Option<String>> {
        self.trust(Table::Columns, index..=index)?;
        let result = self
            .db
            .prepare_cached("SELECT approver FROM entry_columns WHERE idx = ?1")
            .and_then(|mut select| select.query_row([int(index)], |row| row.get(0)).optional());
        if let Some(approver) = self.sql(result)? {
            return Ok(approver);
        }
        let leaves = self.leaves(index, index.saturating_add(1))?;
        let entry = leaves.first().and_then(|leaf| read_leaf(leaf, &self.state.origin).entry);
        Ok(entry.and_then(|entry| entry.valid_approver().map(str::to_owned)))
    }
}
