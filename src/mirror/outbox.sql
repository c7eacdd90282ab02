-- What people were told, and what is still to be told. Since format 3.

-- What was told of each subject (a finding, or a state of the auditing itself), so that nothing is told twice.
-- `open` is 1 where the last word was that it holds. `ended` is the end that was told.
CREATE TABLE IF NOT EXISTS alert_subjects (
  subject  TEXT PRIMARY KEY,
  episode  INTEGER NOT NULL,
  open     INTEGER NOT NULL,
  told_at  INTEGER NOT NULL,
  severity TEXT NOT NULL,
  ended    TEXT
) STRICT, WITHOUT ROWID;

-- The outbox. `key` tells alerts apart, also for whoever receives them. `digest` is over key, severity and
-- payload: a damaged row must not accuse.
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

-- A channel that fails: since when, how often in a row, and not before when it is tried again.
CREATE TABLE IF NOT EXISTS alert_channels (
  channel       TEXT PRIMARY KEY,
  failing_since INTEGER NOT NULL,
  failures      INTEGER NOT NULL,
  not_before    INTEGER NOT NULL,
  error         TEXT NOT NULL
) STRICT, WITHOUT ROWID;
