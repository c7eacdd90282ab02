// deploy(approved("receipt.json", { service: "api", version: "1.4.2" }).args);
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";

const used = new Set(); // Nonces, in this process. Several processes, or a restart: give `once`.
const firstUse = (nonce) => !used.has(nonce) && Boolean(used.add(nonce));

// Gives { nonce, args } where a person approved exactly these arguments; throws on everything else: any other exit
// code, a crash, 30 seconds without an answer. Act with the args that come back: they are what was checked (JSON
// turns NaN into null). `once` stores the nonce, which the passkey signed,
// and returns true only if it was new.
export function approved(receipt, args, options = {}) {
  const { trust = "/etc/countersign/trust.toml", action, once = firstUse, timeout = 30_000 } = options;
  const payload = JSON.stringify(args);
  const source = resolve(receipt); // never an option, never "-"; and the report must name it
  const command = ["verify", "--format=json", "--quiet", "--decision=approved", `--config=${trust}`, "--payload=-"];
  if (action !== undefined) command.push(`--action=${action}`);
  const { status, signal, error, stdout, stderr } = spawnSync("countersign", [...command, "--", source], {
    input: payload,
    timeout,
    killSignal: "SIGKILL",
    encoding: "utf8",
  });
  const answer = `(${error ?? signal ?? status}) ${stdout}${stderr}`;
  if (status !== 0 || error) throw new Error(`not approved ${answer}`);
  const report = JSON.parse(stdout); // One object: many receipts have many.
  if (!isApproval(report, source)) throw new Error(`no report on this approval ${answer}`);
  const checked = { nonce: report.nonce, args: JSON.parse(payload) };
  if (once(checked.nonce) !== true) throw new Error(`approval ${checked.nonce} was used before`);
  return checked;
}

function isApproval(report, source) {
  const due = { tool: "countersign", command: "verify", verdict: "clean", exitCode: 0, source, decision: "approved" };
  const payload = report.checks.filter(({ name }) => name === "payload");
  const passed = payload.length === 1 && payload[0].result === "passed";
  return passed && typeof report.nonce === "string" && Object.keys(due).every((name) => report[name] === due[name]);
}
