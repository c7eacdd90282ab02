-- Progress with the heads of peers, and of watch rules. Since format 4. `digest` covers the other columns of a row: a
-- damaged row must not cause anything to be skipped.

-- A peer whose heads are compared with ours. `peer` is a digest of its location. `since` is the latest `firstSeen` of the
-- peer that was stored (0: none); the next request begins there. `whole` is when its whole history was last read. Both are
-- in Unix milliseconds. `failures` counts failed comparisons in a row.
CREATE TABLE IF NOT EXISTS peers (
  peer     TEXT PRIMARY KEY,
  since    INTEGER NOT NULL,
  whole    INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  digest   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- A watch rule. `rule` is a digest of the rule, `next` the first entry that it has not read, and `window` its memory of
-- earlier entries (JSON). What is held against the journal of a gate is kept in the same way. Two rows belong to no rule:
-- `told`, whose `next` is the number of hits that were reported, and `forgotten`, which exists once damaged rows were deleted.
CREATE TABLE IF NOT EXISTS watch_rules (
  rule   TEXT PRIMARY KEY,
  next   INTEGER NOT NULL,
  window TEXT NOT NULL,
  digest BLOB NOT NULL
) STRICT, WITHOUT ROWID;
