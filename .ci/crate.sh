#!/usr/bin/env bash
# The packaged crate, as for crates.io: it is small and complete, and the README's first audit and receipt work in it.
. "$(dirname "$0")/tools.sh"

# Uses the common target directory, so that no dependency is compiled again.
export CARGO_TARGET_DIR=$PWD/target
# Also works with uncommitted changes.
[ -n "${CI:-}" ] && dirty="" || dirty=--allow-dirty
crate=$(cargo metadata --locked --no-deps --format-version 1 \
  | jq -r '.packages[] | select(.name == "countersign") | "\(.name)-\(.version)"')
cargo package --locked --package countersign $dirty 2>&1 | grep -v 'warning: ignoring \|Compiling\|Updating'

size=$(($(stat -c %s "target/package/$crate.crate") / 1024))
most=$(cat .ci/max-crate-kib)
echo "$crate.crate: $size KiB, of at most $most; $(tar tf "target/package/$crate.crate" | wc -l) files"
[ "$size" -le "$most" ] || fail "a larger crate than .ci/max-crate-kib: whoever raises it says why"

program=$CARGO_TARGET_DIR/debug/countersign
audit=$(documented_command audit)
verify=$(documented_command verify)
cd "target/package/$crate"
for file in $(grep -oh 'fixtures/[A-Za-z0-9_./-]*' README.md src/lib.rs); do
  [ -e "$file" ] || fail "the README or the documentation names $file, which the crate lacks"
done
mkdir -p target
for command in "$audit" "$verify"; do
  bash -c "${command/cargo run --/"$program"}" > target/report.txt
  head -n 1 target/report.txt | tee target/first-line.txt
  grep -q '^CLEAN' target/first-line.txt
done
