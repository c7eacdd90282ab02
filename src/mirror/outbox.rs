//! The outbox: what was reported to people, and what still has to be delivered.
//!
//! An alert is written in the transaction that records its subject as reported, so that a crash cannot leave one
//! without the other. It leaves the outbox of a channel only after the channel accepted it.

use super::db::Db;
use super::error::Result;
use super::seal::Table;
use super::values::{TimeText, int};
use crate::core::finding::Severity;
use crate::core::hash::{Hash, sha256};
use crate::core::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::time::Duration;

/// How long delivered and given-up alerts are kept: 90 days. Records of what was reported are kept
/// for ever.
const KEPT_FOR: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// What was last reported about one subject.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    /// How often the subject ended and came back.
    pub episode: u64,
    /// Whether the last report said that it holds.
    pub open: bool,
    /// When it was reported.
    pub at: UnixMillis,
    /// The severity that was reported.
    pub severity: Severity,
    /// The end that was reported, if one was.
    pub ended: Option<UnixMillis>,
}

/// An alert to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// A key that is unique to this alert.
    pub key: String,
    /// The kind of event.
    pub kind: String,
    /// The severity, which determines the recipients.
    pub severity: Severity,
    /// The content as JSON.
    pub payload: String,
    /// The channels that must deliver it.
    pub channels: Vec<String>,
}

/// An alert that one channel must deliver now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// The id of its row.
    pub alert: u64,
    /// A key that is unique to this alert.
    pub key: String,
    /// When it was created.
    pub created: UnixMillis,
    /// The content as JSON.
    pub payload: String,
    /// The number of failed attempts so far.
    pub attempts: u64,
}

/// The result of one attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attempt {
    /// The channel accepted it.
    Delivered,
    /// It is retried at this time; and why it failed.
    Again(UnixMillis, String),
    /// It is not retried; and why the last attempt failed.
    GivenUp(String),
}

/// A channel whose deliveries fail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failing {
    /// When it began to fail.
    pub since: UnixMillis,
    /// The number of failures in a row.
    pub failures: u64,
    /// The time before which it is not tried again.
    pub not_before: UnixMillis,
    /// The last error, escaped.
    pub error: String,
}

/// The queue of one channel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Queue {
    /// Alerts that are to be delivered, including those that failed so far.
    pub pending: u64,
    /// Those of `pending` that failed at least once.
    pub failed: u64,
    /// Alerts delivered in the last 90 days.
    pub delivered: u64,
    /// Alerts given up in the last 90 days.
    pub given_up: u64,
    /// The channel's failure, if it fails.
    pub failing: Option<Failing>,
}

/// The longest delay of an attempt. A time further ahead was set by a wrong clock, and is treated as
/// now.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

fn digest(key: &str, severity: &str, payload: &str) -> Hash {
    sha256([key, severity, payload].join("\0").as_bytes())
}

/// Deletes alerts that are not the ones that were written, and records of reports with an unknown severity, in a
/// mirror that is being rebuilt; returns their number.
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

/// The store of what was reported to people and what still has to be delivered.
pub struct Outbox<D> {
    db: D,
}

impl<D: Deref<Target = Db>> Outbox<D> {
    pub(super) fn new(db: D) -> Outbox<D> {
        Outbox { db }
    }

    /// What was last reported about each subject.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn notifications(&self) -> Result<BTreeMap<String, Notification>> {
        self.db.trust(Table::Subjects, 0..=0)?;
        let sql = "SELECT subject, episode, open, told_at, severity, ended FROM alert_subjects";
        let result = self.db.connection().prepare_cached(sql).and_then(|mut select| {
            let rows = select.query_map([], |row| {
                let severity: String = row.get(4)?;
                let (subject, episode, open, at, ended) =
                    (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get::<_, Option<TimeText>>(5)?);
                let ended = ended.map(|TimeText(ended)| ended);
                Ok((subject, severity, Notification { episode, open, at, severity: Severity::Info, ended }))
            })?;
            rows.collect::<rusqlite::Result<Vec<(String, String, Notification)>>>()
        });
        let known =
            |(subject, severity, notification): (String, String, Notification)| match Severity::from_text(
                &severity,
            ) {
                Some(severity) => Ok((subject, Notification { severity, ..notification })),
                None => Err(self.db.damaged("an alert has no known severity".to_owned())),
            };
        self.db.sql(result)?.into_iter().map(known).collect()
    }

    /// The oldest alerts after the row `after` that this channel must deliver now, at most `limit`.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn due(&self, channel: &str, now: UnixMillis, after: u64, limit: u32) -> Result<Vec<Due>> {
        self.db.trust(Table::Alerts, 0..=0)?;
        self.db.trust(Table::Deliveries, 0..=0)?;
        let sql = "SELECT a.id, a.key, a.created, a.severity, a.payload, a.digest, d.attempts
                   FROM alert_deliveries d JOIN alerts a ON a.id = d.alert
                   WHERE d.channel = ?1 AND d.state = 'pending' AND (d.next_try <= ?2 OR d.next_try > ?5)
                     AND d.alert > ?3
                   ORDER BY d.alert LIMIT ?4";
        let result = self.db.connection().prepare_cached(sql).and_then(|mut select| {
            let far = now.saturating_add(LONGEST_WAIT);
            let rows = select.query_map(params![channel, now, int(after), limit, far], |row| {
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
            Err(self.db.damaged(why))
        };
        self.db.sql(result)?.into_iter().map(whole).collect()
    }

    /// The failure of a channel, if it fails.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn failing(&self, channel: &str) -> Result<Option<Failing>> {
        self.db.trust(Table::Channels, 0..=0)?;
        let sql = "SELECT failing_since, failures, not_before, error FROM alert_channels WHERE channel = ?1";
        let result = self.db.connection().query_row(sql, [channel], |row| {
            let (since, failures, not_before, error) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(Failing { since, failures, not_before, error })
        });
        self.db.sql(result.optional())
    }

    /// When this channel has something to send next.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn next_try(&self, channel: &str, now: UnixMillis) -> Result<Option<UnixMillis>> {
        self.db.trust(Table::Deliveries, 0..=0)?;
        let result = self.db.connection().query_row(
            "SELECT min(next_try) FROM alert_deliveries WHERE channel = ?1 AND state = 'pending'",
            [channel],
            |row| row.get::<_, Option<UnixMillis>>(0),
        );
        let Some(next) = self.db.sql(result)? else { return Ok(None) };
        let not_before = self.failing(channel)?.map_or(UnixMillis::EPOCH, |failing| failing.not_before);
        let next = next.max(not_before);
        Ok(Some(if next > now.saturating_add(LONGEST_WAIT) { now } else { next }))
    }

    /// The queues by channel, including channels that are no longer in any config.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be read.
    pub fn queues(&self) -> Result<BTreeMap<String, Queue>> {
        self.db.trust(Table::Deliveries, 0..=0)?;
        let sql = "SELECT channel, state, attempts > 0, count(*) FROM alert_deliveries GROUP BY 1, 2, 3";
        let result = self.db.connection().prepare_cached(sql).and_then(|mut select| {
            let rows =
                select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, String, bool, u64)>>>()
        });
        let mut queues: BTreeMap<String, Queue> = BTreeMap::new();
        for (channel, state, failed, count) in self.db.sql(result)? {
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
}

impl Outbox<&mut Db> {
    /// Records what was reported about a subject.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn put_notification(&mut self, subject: &str, notification: &Notification) -> Result<()> {
        self.db
            .change(
                Table::Subjects,
                0..=0,
                ("SELECT * FROM alert_subjects WHERE subject = ?1", &[&subject]),
                (
                    "INSERT OR REPLACE INTO alert_subjects VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING *",
                    &[
                        &subject,
                        &int(notification.episode),
                        &notification.open,
                        &notification.at,
                        &notification.severity.as_str(),
                        &notification.ended.map(TimeText),
                    ],
                ),
            )
            .map(drop)
    }

    /// Puts an alert into the outbox of each of its channels. An alert with an existing key is the same alert.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn enqueue(&mut self, alert: &Outgoing, now: UnixMillis) -> Result<bool> {
        let severity = alert.severity.as_str();
        let digest = digest(&alert.key, severity, &alert.payload);
        let added = self.db.add(
            Table::Alerts,
            0..=0,
            "INSERT INTO alerts (key, created, kind, severity, payload, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (key) DO NOTHING RETURNING *",
            &[&alert.key, &now, &alert.kind, &severity, &alert.payload, &digest.0],
        )?;
        if added == 0 {
            return Ok(false);
        }
        let row = self.db.connection().last_insert_rowid();
        for channel in &alert.channels {
            let sql =
                "INSERT INTO alert_deliveries VALUES (?1, ?2, 'pending', 0, ?3, NULL, NULL) RETURNING *";
            self.db.add(Table::Deliveries, 0..=0, sql, &[&row, channel, &now])?;
        }
        Ok(true)
    }

    /// Records the result of an attempt at the time `now`.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn attempted(&mut self, alert: u64, channel: &str, attempt: &Attempt, now: UnixMillis) -> Result<()> {
        let (state, failed, next, settled, error) = match attempt {
            Attempt::Delivered => ("delivered", 0, now, Some(now), None),
            Attempt::Again(next, why) => ("pending", 1, *next, None, Some(why)),
            Attempt::GivenUp(why) => ("given-up", 1, now, Some(now), Some(why)),
        };
        self.db.change(
            Table::Deliveries,
            0..=0,
            ("SELECT * FROM alert_deliveries WHERE alert = ?1 AND channel = ?2", &[&int(alert), &channel]),
            (
                "UPDATE alert_deliveries SET state = ?3, attempts = attempts + ?4, next_try = ?5, settled = ?6,
                   error = coalesce(?7, error) WHERE alert = ?1 AND channel = ?2 RETURNING *",
                &[&int(alert), &channel, &state, &failed, &next, &settled, &error],
            ),
        )
        .map(drop)
    }

    /// Records that a channel fails, or (`None`) that it does not.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn put_failing(&mut self, channel: &str, failing: Option<&Failing>) -> Result<()> {
        let Some(failing) = failing else {
            let sql = "DELETE FROM alert_channels WHERE channel = ?1 RETURNING *";
            return self.db.remove(Table::Channels, 0..=0, sql, &[&channel]).map(drop);
        };
        self.db
            .change(
                Table::Channels,
                0..=0,
                ("SELECT * FROM alert_channels WHERE channel = ?1", &[&channel]),
                (
                    "INSERT OR REPLACE INTO alert_channels VALUES (?1, ?2, ?3, ?4, ?5) RETURNING *",
                    &[&channel, &failing.since, &int(failing.failures), &failing.not_before, &failing.error],
                ),
            )
            .map(drop)
    }

    /// Deletes alerts older than the time for which they are kept, unless a channel still has to deliver them.
    ///
    /// # Errors
    /// `MirrorError` if the mirror is damaged or cannot be written.
    pub fn forget_old(&mut self, now: UnixMillis) -> Result<()> {
        let before = now.saturating_sub(KEPT_FOR);
        self.db.trust(Table::Deliveries, 0..=0)?;
        let sql = "DELETE FROM alerts WHERE created < ?1 AND NOT EXISTS
               (SELECT 1 FROM alert_deliveries d WHERE d.alert = id AND d.state = 'pending') RETURNING *";
        if self.db.remove(Table::Alerts, 0..=0, sql, &[&before])? == 0 {
            return Ok(());
        }
        let sql = "DELETE FROM alert_deliveries WHERE alert NOT IN (SELECT id FROM alerts) RETURNING *";
        self.db.remove(Table::Deliveries, 0..=0, sql, &[]).map(drop)
    }
}
