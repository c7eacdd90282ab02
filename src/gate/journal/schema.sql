-- The tables of the gate's journal. Anybody may read them with plain SQL (`sqlite3 -readonly`). What anything else than
-- the gate writes to them is noticed, and nothing runs then.

PRAGMA application_id = 0x63736a6c;
PRAGMA user_version = 1;

-- One row. `generation` counts transactions; `rows` and `sum` are over all rows of all other tables: their number, and
-- the sum of their seals. `seal` is a digest of this row.
CREATE TABLE state (
  one        INTEGER PRIMARY KEY CHECK (one = 1),
  journal    TEXT NOT NULL,
  generation INTEGER NOT NULL,
  rows       INTEGER NOT NULL,
  sum        BLOB NOT NULL,
  seal       BLOB NOT NULL
) STRICT;

-- A row for each confirmation that was asked for. Rows are never deleted, and a later step only fills columns that are
-- NULL; asking again, on the user's word, sets the two times of asking. Times are Unix milliseconds. `seal` is a digest
-- of the journal's name and all other columns.
CREATE TABLE confirmations (
  number        INTEGER PRIMARY KEY,
  key           TEXT NOT NULL UNIQUE,
  service       TEXT NOT NULL,
  origin        TEXT NOT NULL,
  username      TEXT NOT NULL,
  action        TEXT NOT NULL,
  payload_hash  TEXT NOT NULL,
  asked_at      INTEGER NOT NULL,
  post_until    INTEGER NOT NULL,
  id            TEXT UNIQUE,
  url           TEXT,
  encoding      TEXT,
  expires_at    INTEGER,
  decision      TEXT,
  decided_at    INTEGER,
  refusal       TEXT,
  message       TEXT,
  nonce         TEXT UNIQUE,
  credential    TEXT,
  key_pinned    INTEGER,
  action_signed INTEGER,
  receipt       BLOB,
  consumed_at   INTEGER,
  ended_at      INTEGER,
  ending        TEXT,
  failure       TEXT,
  seal          BLOB NOT NULL
) STRICT;

-- The passkey that stands for a person whose key is not pinned: that of the first approval, or the one that was
-- accepted since. `since` is when.
CREATE TABLE approver_keys (
  number   INTEGER PRIMARY KEY,
  origin   TEXT NOT NULL,
  username TEXT NOT NULL,
  key      TEXT NOT NULL,
  since    INTEGER NOT NULL,
  seal     BLOB NOT NULL,
  UNIQUE (origin, username)
) STRICT;

-- The other passkey that was refused last, which can be accepted.
CREATE TABLE offered_keys (
  number   INTEGER PRIMARY KEY,
  origin   TEXT NOT NULL,
  username TEXT NOT NULL,
  key      TEXT NOT NULL,
  since    INTEGER NOT NULL,
  seal     BLOB NOT NULL,
  UNIQUE (origin, username)
) STRICT;
