// The gate, attacked: node test_gate.mjs COUNTERSIGN RECEIPTS SCRATCH
import assert from "node:assert/strict";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { approved } from "./gate.mjs";

const [program, receipts, scratch] = process.argv.slice(2);
const good = `${receipts}/good-payload.json`;
const trust = `${receipts}/trust.toml`;
const payload = JSON.parse(readFileSync(`${receipts}/good-payload.payload`, "utf8"));

/** Puts a program in the place of countersign. */
function stub(script) {
  writeFileSync(`${scratch}/countersign`, `#!/bin/sh\n${script}\n`);
  chmodSync(`${scratch}/countersign`, 0o700);
}

function refuses(receipt, args, why = /./, options = {}) {
  let ran = false;
  assert.throws(() => {
    approved(receipt, args, { trust, ...options });
    ran = true;
  }, why);
  assert.equal(ran, false);
}

const path = process.env.PATH;
process.env.PATH = `${scratch}:${path}`;
const real = `exec '${program}' "$@"`;
stub(real);
assert.deepEqual(approved(good, payload, { trust }), payload);

// Other arguments; NaN is null in JSON, so null is what comes back.
for (const [name, value] of [["limit", 1], ["limit", "null"], ["limit", undefined], ["table", "x"], ["extra", null]]) {
  refuses(good, { ...payload, [name]: value }, /payload/);
}
for (const args of [null, undefined, [], {}, [payload], JSON.stringify(payload)]) refuses(good, args);
refuses(good, { n: 1n });
refuses(good, { n: 2 ** 53 + 2 }, /2\^53/);
assert.deepEqual(approved(good, { ...payload, limit: NaN }, { trust }), payload);

// Other receipts, other trust, names that look like options.
for (const name of ["rejected-is-not-approved", "expired-is-not-approved", "sth-signature", "good-action-payload"]) {
  refuses(`${receipts}/${name}.json`, payload);
}
for (const receipt of ["-", "--help", "-V", "", "nowhere", undefined]) refuses(receipt, payload);
refuses(good, payload, /./, { trust: "/dev/null" });
refuses(good, payload, /./, { trust: "nowhere" });

// A program that crashes, hangs or is not there.
for (const script of ["kill -9 $$", "kill -SEGV $$", "kill $$"].map((kill) => `cat >/dev/null; ${kill}`)) {
  stub(script);
  refuses(good, payload, /SIG/);
}
for (const code of [1, 2, 3, 4, 5, 137, 255]) {
  stub(`cat >/dev/null; exit ${code}`);
  refuses(good, payload, new RegExp(`\\(${code}\\)`));
}
for (const script of ["exec sleep 20", "sleep 20", "trap '' TERM; sleep 20", `'${program}' "$@"; sleep 20`]) {
  stub(script);
  const started = Date.now();
  refuses(good, payload, /ETIMEDOUT/, { timeout: 500 });
  assert.ok(Date.now() - started < 10_000, script);
}
process.env.PATH = "/nowhere";
refuses(good, payload, /ENOENT/);

// One that says yes without having read what it was asked about: too long for the pipe, so it shows.
process.env.PATH = `${scratch}:${path}`;
stub("exit 0");
refuses(good, "x".repeat(1 << 20), /EPIPE/);
