#!/usr/bin/env bash
# All tests, once. The lines that they run are counted meanwhile, also those of the programs that they start.
. "$(dirname "$0")/tools.sh"

test=$(documented_command test)
floor=$(cat .ci/min-coverage)
# Rust brings no tools to read its counters; Debian's of the same LLVM can.
llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
debian "llvm-cov-$llvm" "llvm-$llvm" || true
if need "llvm-cov-$llvm"; then
  tool cargo-llvm-cov 0.9.1
  LLVM_COV=$(command -v "llvm-cov-$llvm") LLVM_PROFDATA=$(command -v "llvm-profdata-$llvm")
  export LLVM_COV LLVM_PROFDATA
  counting=$(cargo llvm-cov show-env --sh --no-cfg-coverage 2>/dev/null)
  eval "$counting"
  # A wrapper that changes nothing: with one, cargo keeps our crates beside those that were built without counters, and takes
  # the same dependencies. No shell script, since a shell drops CARGO_BIN_EXE_countersign-testlog.
  RUSTC_WORKSPACE_WRAPPER=$(command -v env)
  export RUSTC_WORKSPACE_WRAPPER
  rm -f target/*.profraw
else
  echo "coverage: NOT MEASURED, there is no llvm-$llvm for this Rust"
fi

echo "$test"
bash -c "$test"
echo "== no test is lost"
tests/names.sh

if need "llvm-cov-$llvm"; then
  echo "== coverage"
  cargo llvm-cov report --ignore-filename-regex '(/tests/|tests?\.rs$)' > target/coverage.txt
  reached=$(awk '$1 == "TOTAL" {sub(/%/, "", $10); print $10}' target/coverage.txt)
  echo "lines: $reached %, at least $floor; a table by file is in target/coverage.txt"
  awk -v reached="$reached" -v floor="$floor" 'BEGIN {exit !(reached >= floor)}' || fail "fewer lines are tested than .ci/min-coverage asks for"
fi
