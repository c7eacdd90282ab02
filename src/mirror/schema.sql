-- The mirror's tables. They can be read with plain SQL (`sqlite3 -readonly`). The views (views.sql) are the stable
-- interface; the tables may change.

PRAGMA application_id = 0x63736967;
PRAGMA user_version = 5;

-- One row: cursors, the frontier of the rebuilt tree, counts. `digest` is SHA-256 of `json`, so that a damaged row is
-- detected.
CREATE TABLE state (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  json   TEXT NOT NULL,
  digest BLOB NOT NULL
) STRICT;

-- The leaves, byte for byte as the log served them.
CREATE TABLE leaves (
  idx  INTEGER PRIMARY KEY,
  leaf BLOB NOT NULL
) STRICT;

-- Roots of perfect subtrees of 256^k leaves: the hashes of tlog-tiles at tile level k (k >= 1).
CREATE TABLE nodes (
  level INTEGER NOT NULL,
  n     INTEGER NOT NULL,
  hash  BLOB NOT NULL,
  PRIMARY KEY (level, n)
) STRICT, WITHOUT ROWID;

-- Members of the checked leaves. NULL if a leaf has no readable value.
CREATE TABLE entry_columns (
  idx              INTEGER PRIMARY KEY,
  id               TEXT,
  decision         TEXT,
  requested_at     INTEGER,
  decided_at       INTEGER,
  expires_at       INTEGER,
  approver         TEXT,
  rp_id            TEXT,
  key              BLOB,
  sign_count       INTEGER,
  payload_encoding TEXT,
  payload_hash     BLOB
) STRICT;

-- Every signed head ever seen, byte for byte, including conflicting ones. `statement` is SHA-256 of the signed bytes.
-- `status`: unchecked, consistent (with the mirrored leaves), linked (to a larger head by proof, without leaves),
-- contradicted. `compared` is 1 once the head was compared with all others and the result was stored. `listed` is 1 once
-- the head was seen in the log's own list of heads.
CREATE TABLE heads (
  statement  BLOB NOT NULL,
  format     TEXT NOT NULL,
  size       INTEGER NOT NULL,
  root       BLOB NOT NULL,
  time       INTEGER,
  raw        TEXT NOT NULL,
  status     TEXT NOT NULL,
  provenance TEXT NOT NULL,
  first_seen TEXT NOT NULL,
  last_seen  TEXT NOT NULL,
  compared   INTEGER NOT NULL,
  listed     INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (size, root, statement)
) STRICT, WITHOUT ROWID;

-- Every finding ever made. `pending` is 1 while a repeated check has not yet confirmed the finding. `digest` covers the
-- finding: a damaged row must not accuse the log.
CREATE TABLE findings (
  key        TEXT NOT NULL PRIMARY KEY,
  code       TEXT NOT NULL,
  severity   TEXT NOT NULL,
  idx        INTEGER,
  entry_id   TEXT,
  subject    TEXT NOT NULL,
  message    TEXT NOT NULL,
  evidence   TEXT,
  first_seen TEXT NOT NULL,
  last_seen  TEXT NOT NULL,
  ended      TEXT,
  pending    INTEGER NOT NULL,
  digest     BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys, for the checks across entries (src/audit/across.rs); the values that were seen are in seen.sql. `digest` covers
-- the other columns of the row: a damaged row must not make a person look like an impostor. `backup_eligible` is 2 if no
-- authenticator data of the key could be parsed so far.
CREATE TABLE keys (
  key             BLOB PRIMARY KEY,
  first_idx       INTEGER NOT NULL,
  approver        TEXT NOT NULL,
  credential      BLOB NOT NULL,
  backup_eligible INTEGER NOT NULL,
  last_count      INTEGER,
  last_count_idx  INTEGER,
  digest          BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE approver_keys (
  slot     INTEGER NOT NULL,
  approver TEXT NOT NULL,
  key      BLOB NOT NULL,
  PRIMARY KEY (slot, approver, key)
) STRICT, WITHOUT ROWID;

-- Seals of the tables that grow with the log: a tree over ranges of their keys, whose root is in the state
-- (src/mirror/seal). `tab` is the table, `level` 0 covers rows, and `node` holds the number of rows and the sum of their
-- digests.
CREATE TABLE seals (
  tab    INTEGER NOT NULL,
  level  INTEGER NOT NULL,
  number INTEGER NOT NULL,
  node   BLOB NOT NULL,
  PRIMARY KEY (tab, level, number)
) STRICT, WITHOUT ROWID;
