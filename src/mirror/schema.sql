-- The mirror's tables. An auditor is welcome to read them with plain SQL (`sqlite3 -readonly`);
-- the views (views.sql) are the stable interface, the tables are not.

PRAGMA application_id = 0x63736967;
PRAGMA user_version = 5;

-- One row: cursors, the frontier of the rebuilt tree, counts. `digest` is SHA-256 of `json`, so a
-- damaged row is seen as damage and not believed.
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

-- Roots of perfect subtrees of 256^k leaves: what tlog-tiles has at tile level k (k >= 1).
CREATE TABLE nodes (
  level INTEGER NOT NULL,
  n     INTEGER NOT NULL,
  hash  BLOB NOT NULL,
  PRIMARY KEY (level, n)
) STRICT, WITHOUT ROWID;

-- What the checked leaves say. NULL where a leaf does not say it readably.
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

-- Every signed head ever seen, byte for byte, conflicting ones included. `statement` is SHA-256 of
-- the bytes that were signed. `status`: unchecked, consistent (with the mirrored leaves), linked
-- (to a larger head by proof, without leaves), contradicted. `compared` is 1 once the
-- head was held against all others and what came of it is kept. `listed` is 1 once the log's own list
-- of its heads was seen to have it.
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

-- Everything ever found. `pending` is 1 while a repeated check has not yet come to a finding again.
-- `digest` is over what was found: a damaged row must not accuse.
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

-- Memory of the checks across entries: see src/audit/across.rs; what was seen is in seen.sql. `digest` is over the
-- other columns of the row: a damaged row must not make an impostor of somebody. `backup_eligible` is 2 where no
-- authenticator data of the key parsed so far.
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

-- What must be true of the tables that grow with the log: a tree over ranges of their keys, whose root is in the state
-- (src/mirror/seal). `tab` is the table, `level` 0 is over rows, `node` counts them and has the sum of their digests.
CREATE TABLE seals (
  tab    INTEGER NOT NULL,
  level  INTEGER NOT NULL,
  number INTEGER NOT NULL,
  node   BLOB NOT NULL,
  PRIMARY KEY (tab, level, number)
) STRICT, WITHOUT ROWID;
