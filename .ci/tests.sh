#!/usr/bin/env bash
# All tests, once: none of them was lost, none was skipped, and how many of the program's lines they run.
. "$(dirname "$0")/tools.sh"

# The gates of the guide are tested with the real packages, and the approval page in a real browser: what is missing is
# installed, and a skipped part fails.
debian node nodejs
debian python3 python3 python3-venv
debian chromedriver chromium chromium-driver fonts-dejavu-core
export COUNTERSIGN_REQUIRE_INTEGRATIONS=1

# Debian's LLVM of the version that this rustc is built with reads what the instrumented programs wrote.
llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
debian "llvm-profdata-$llvm" "llvm-$llvm"
tool cargo-llvm-cov 0.9.1
LLVM_COV=$(command -v "llvm-cov-$llvm")
LLVM_PROFDATA=$(command -v "llvm-profdata-$llvm")
export LLVM_COV LLVM_PROFDATA
# Our own crates are instrumented, and so are the programs that the tests start. Dependencies are not built again.
environment=$(cargo llvm-cov show-env --sh --no-cfg-coverage)
eval "$environment"
# A wrapper of the workspace gives the instrumented crates file names of their own; one file a program and not one a process.
RUSTC_WORKSPACE_WRAPPER=$(command -v env)
export RUSTC_WORKSPACE_WRAPPER LLVM_PROFILE_FILE=${LLVM_PROFILE_FILE/-%p-%2m/-%4m}
rm -f target/*.profraw

test=$(documented_command test)
echo "$test"
bash -c "$test"
echo "== no test is lost"
tests/names.sh
echo "== lines that the tests run"
cargo llvm-cov report --ignore-filename-regex '(/tests/|tests?\.rs$)' > target/coverage.txt
tail -n 1 target/coverage.txt
lines=$(tail -n 1 target/coverage.txt | awk '{print $10}' | tr -d '%')
least=$(cat .ci/min-coverage)
echo "$lines % of the lines, of at least $least %"
awk -v lines="$lines" -v least="$least" 'BEGIN {exit !(lines >= least)}' || fail "fewer lines are tested than .ci/min-coverage says"
