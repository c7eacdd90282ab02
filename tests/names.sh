#!/bin/sh
# Checks that no earlier test was removed or ignored: every present name in tests/names.tsv must be listed by cargo.
set -eu
cd "$(dirname "$0")/.."
for program in library audit receipts monitor slow; do
  cargo test --locked --quiet --test "$program" -- --list | sed -n "s/^\(.*\): test$/$program \1/p"
  ignored=$(cargo test --locked --quiet --test "$program" -- --list --ignored | grep -c ': test$' || true)
  [ "$ignored" = 0 ] || { echo "$program: $ignored tests are ignored" >&2; exit 1; }
done > target/names.txt
missing=$(grep -v '^#' tests/names.tsv | cut -f 2 | grep -vxFf target/names.txt || true)
[ -z "$missing" ] || { printf 'lost tests:\n%s\n' "$missing" >&2; exit 1; }
echo "$(grep -vc '^#' tests/names.tsv) tests that there were before, $(wc -l < target/names.txt) now"
