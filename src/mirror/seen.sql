-- Ids, nonces and assertions that were seen, as sorted runs: see src/mirror/seen/mod.rs. `id` holds the number of the
-- run and the position of the row in it. Every look-up compares its rows with digests that are anchored in `state`.
CREATE TABLE IF NOT EXISTS seen_rows (
  id   INTEGER PRIMARY KEY,
  data BLOB NOT NULL
) STRICT;
