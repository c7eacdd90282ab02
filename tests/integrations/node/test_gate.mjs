// The gate, attacked: node test_gate.mjs COUNTERSIGN RECEIPTS SCRATCH
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { approved } from "./gate.mjs";

const [program, receipts, scratch] = process.argv.slice(2);
const good = `${receipts}/good-payload.json`;
const trust = `${receipts}/trust.toml`;
const payload = JSON.parse(readFileSync(`${receipts}/good-payload.payload`, "utf8"));
const nonce = JSON.parse(readFileSync(good, "utf8")).entry.nonce;
process.chdir(scratch); // Of the receipts in a directory, one brings a proof, which is saved.
/** For approvals that are used often here. */
const again = () => true;

/** Puts a program in the place of countersign. */
function stub(script) {
  writeFileSync(`${scratch}/countersign`, `#!/bin/sh\n${script}\n`);
  chmodSync(`${scratch}/countersign`, 0o700);
}

/** A file of the scratch directory. */
function file(name, content) {
  writeFileSync(`${scratch}/${name}`, content);
  return `${scratch}/${name}`;
}

/** Nothing comes back, and where the test has no store of its own, nothing is used up. */
function refuses(receipt, args, why = /./, options = {}) {
  let wrong = "";
  const once = (nonce) => Boolean((wrong = `${nonce} was used up`));
  assert.throws(() => {
    approved(receipt, args, { trust, once, ...options });
    wrong = "it came back";
  }, why);
  assert.equal(wrong, "");
}

const path = process.env.PATH;
process.env.PATH = `${scratch}:${path}`;
const real = `exec '${program}' "$@"`;
stub(real);

// Once: in this process, or where a function says so; only true is yes.
assert.deepEqual(approved(good, payload, { trust }), { nonce, args: payload });
refuses(good, payload, /used before/, { once: undefined });
const asked = [];
for (const answer of [undefined, null, false, 0, 1, "yes", {}, Promise.resolve(true)]) {
  refuses(good, payload, /used before/, { once: (nonce) => (asked.push(nonce), answer) });
}
assert.deepEqual(asked, Array(8).fill(nonce));
refuses(good, payload, /no store/, { once: () => { throw new Error("no store"); } });
refuses(good, payload, /./, { once: null });
// The guide's: one store for all processes, and for the shell gate.
const stored = { once: (nonce) => mkdirSync(`${scratch}/nonce-${nonce}`) === undefined };
assert.equal(approved(good, payload, { trust, ...stored }).nonce, nonce);
refuses(good, payload, /EEXIST/, stored);

// Other arguments; NaN is null in JSON, so null is what comes back.
for (const [name, value] of [["limit", 1], ["limit", "null"], ["limit", undefined], ["table", "x"], ["extra", null]]) {
  refuses(good, { ...payload, [name]: value }, /payload/);
}
for (const args of [null, undefined, [], {}, [payload], JSON.stringify(payload)]) refuses(good, args);
refuses(good, { n: 1n });
refuses(good, { n: 2 ** 53 + 2 }, /2\^53/);
assert.deepEqual(approved(good, { ...payload, limit: NaN }, { trust, once: again }).args, payload);
const given = structuredClone(payload);
const { args } = approved(good, given, { trust, once: () => delete given.table });
assert.deepEqual(args, payload); // what was checked, whatever happened to what was given

// Action texts that are signed are part of it, and no other text stands in for one.
const signed = `${receipts}/good-action-payload.json`;
assert.deepEqual(approved(signed, { x: 1 }, { trust, once: again, action: "Deploy" }).args, { x: 1 });
for (const action of [undefined, null, "", "deploy", "Deploy all", "--action=Deploy", "--help"]) {
  refuses(signed, { x: 1 }, /"action"/, { action });
}
refuses(good, payload, /"action"/, { action: "Delete rows" }); // this one's passkey does not sign it

// Other receipts, other trust, names that look like options.
for (const name of ["rejected-is-not-approved", "expired-is-not-approved", "sth-signature", "good-action-payload"]) {
  refuses(`${receipts}/${name}.json`, payload);
}
const loose = file("loose.toml", `${readFileSync(trust, "utf8")}decision = "rejected"\n`);
refuses(`${receipts}/rejected-is-not-approved.json`, payload, /"decision","result":"failed"/, { trust: loose });
for (const receipt of ["-", "--help", "-V", "", "nowhere", undefined, "/dev/null", receipts]) refuses(receipt, payload);
refuses(good, payload, /./, { trust: "/dev/null" });
refuses(good, payload, /./, { trust: "nowhere" });

// One receipt is one file with one receipt.
mkdirSync(`${scratch}/folder`);
copyFileSync(good, `${scratch}/folder/receipt.json`);
refuses(`${scratch}/folder`, payload, /no report on this/);
const line = JSON.stringify(JSON.parse(readFileSync(good, "utf8")));
refuses(file("two.json", `${line}\n${line}\n`), payload, /JSON/);
approved(file("one.json", `${line}\n`), payload, { trust, once: again });
for (const name of ["-", "--help"]) approved(file(name, line).slice(scratch.length + 1), payload, { trust, once: again });
approved(file(`one","nonce":"evil","x":".json`, line), payload, { trust, once: (used) => used === nonce });

// A program that says something else.
const report = JSON.parse(spawnSync(program, ["verify", "--format=json", `--config=${trust}`,
  `--payload=${receipts}/good-payload.payload`, good], { encoding: "utf8" }).stdout);
const says = (text) => stub(`cat >/dev/null; cat ${file("said", text)}`);
says(JSON.stringify(report));
approved(good, payload, { trust, once: again });
const said = ["", "ok", "{}", "[]", "null", "0", "\n", JSON.stringify(report).repeat(2), `${JSON.stringify(report)}\n{}`];
for (const name of ["tool", "command", "verdict", "exitCode", "source", "decision", "nonce", "checks"]) {
  for (const value of [undefined, null, 1, [], {}]) said.push(JSON.stringify({ ...report, [name]: value }));
  if (name !== "nonce") said.push(JSON.stringify({ ...report, [name]: "other" }));
}
const others = report.checks.filter(({ name }) => name !== "payload");
for (const result of ["failed", "not-checked", "warning", null, true, ["passed"]]) {
  said.push(JSON.stringify({ ...report, checks: [...others, { name: "payload", result }] }));
  said.push(JSON.stringify({ ...report, checks: [...report.checks, { name: "payload", result }] }));
}
for (const text of [...said, JSON.stringify({ ...report, checks: others })]) {
  says(text);
  refuses(good, payload);
}

// A program that crashes, hangs or is not there.
for (const script of ["kill -9 $$", "kill -SEGV $$", "kill $$"].map((kill) => `cat >/dev/null; ${kill}`)) {
  stub(script);
  refuses(good, payload, /SIG/);
}
for (const code of [1, 2, 3, 4, 5, 137, 255]) {
  for (const before of ["cat >/dev/null", `'${program}' "$@"`]) {
    stub(`${before}; exit ${code}`);
    refuses(good, payload, new RegExp(`\\(${code}\\)`));
  }
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
stub(`cat ${file("said", JSON.stringify(report))}`);
refuses(good, "x".repeat(1 << 20), /EPIPE/);
