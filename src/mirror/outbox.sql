-- Notifications: what was sent, and what is still to be sent. Since format 3.

-- The last notification about each subject (a finding, or a condition of the audit itself), so that none is repeated.
-- `open` is 1 if the last notification said that the subject holds. `ended` is the end that was reported.
CREATE TABLE IF NOT EXISTS alert_subjects (
  subject  TEXT PRIMARY KEY,
  episode  INTEGER NOT NULL,
  open     INTEGER NOT NULL,
  told_at  INTEGER NOT NULL,
  severity TEXT NOT NULL,
  ended    TEXT
) STRICT, WITHOUT ROWID;

-- The outbox. `key` identifies an alert, also for its receivers. `digest` covers key, severity and payload: a damaged
-- row must not accuse the log.
CREATE TABLE IF NOT EXISTS alerts (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  key      TEXT NOT NULL UNIQUE,
  created  INTEGER NOT NULL,
  kind     TEXT NOT NULL,
  severity TEXT NOT NULL,
  payload  TEXT NOT NULL,
  digest   BLOB NOT NULL
) STRICT;

-- One row per alert and channel. `state`: pending, delivered, given-up.
CREATE TABLE IF NOT EXISTS alert_deliveries (
  alert    INTEGER NOT NULL,
  channel  TEXT NOT NULL,
  state    TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  next_try INTEGER NOT NULL,
  settled  INTEGER,
  error    TEXT,
  PRIMARY KEY (alert, channel)
) STRICT, WITHOUT ROWID;

-- Failing channels: since when, how often in a row, and the earliest time of the next attempt.
CREATE TABLE IF NOT EXISTS alert_channels (
  channel       TEXT PRIMARY KEY,
  failing_since INTEGER NOT NULL,
  failures      INTEGER NOT NULL,
  not_before    INTEGER NOT NULL,
  error         TEXT NOT NULL
) STRICT, WITHOUT ROWID;
