-- How far others were listened to, and how far watch rules have looked. Since format 4. `digest` is over the other
-- columns of a row: a damaged one must not make anything be passed over.

-- A peer whose heads are compared with ours: `peer` is a digest of where it is, `since` the latest `firstSeen` of its
-- own words that we kept (0: none), from which it is asked on, and `whole` when its whole history was read last, both in
-- Unix milliseconds; and how often in a row it could not be compared with.
CREATE TABLE IF NOT EXISTS peers (
  peer     TEXT PRIMARY KEY,
  since    INTEGER NOT NULL,
  whole    INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  digest   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- A watch rule: `rule` is a digest of what it says, `next` the first entry that it has not looked at, and `window` what
-- it remembers of those before (JSON). Two rows are of no rule: `told`, where `next` is how many hits were told of, and
-- `forgotten`, which is there once rows were damaged and forgotten.
CREATE TABLE IF NOT EXISTS watch_rules (
  rule   TEXT PRIMARY KEY,
  next   INTEGER NOT NULL,
  window TEXT NOT NULL,
  digest BLOB NOT NULL
) STRICT, WITHOUT ROWID;
