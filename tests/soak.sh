#!/bin/sh
# Ten minutes of a monitor among disturbances, or as many seconds as SOAK_SECONDS says: memory flat within 5 %, no file
# or thread leaked, no entry missed, nobody accused. COUNTERSIGN_SEED=N disturbs it in another order, and
# COUNTERSIGN_SOAK_ENTRIES=200000 lets its first audit be a large one. `cargo test` does the same for a minute
# (tests/slow/soak.rs, which says what it does).
set -eu
cd "$(dirname "$0")/.."
COUNTERSIGN_SOAK_SECONDS="${SOAK_SECONDS:-600}" exec cargo test --release --test slow soak:: -- --nocapture
