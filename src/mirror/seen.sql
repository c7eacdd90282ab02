-- Ids, nonces and assertions that were seen, as sorted runs: see src/mirror/seen/mod.rs. `id` is a run's number and
-- the place of the row in the run. Rows are held against digests that hang from `state`, at every look-up.
CREATE TABLE IF NOT EXISTS seen_rows (
  id   INTEGER PRIMARY KEY,
  data BLOB NOT NULL
) STRICT;
