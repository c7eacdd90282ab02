// deploy(approved("receipt.json", { service: "api", version: "1.4.2" }));
import { spawnSync } from "node:child_process";

// Gives the arguments back where a person approved exactly them; throws on any other exit code, on a crash,
// and after 30 seconds. Act with what comes back: it is what was checked (JSON turns NaN into null).
export function approved(receipt, args, { trust = "/etc/countersign/trust.toml", timeout = 30_000 } = {}) {
  const payload = JSON.stringify(args);
  const options = ["verify", "--quiet", "--config", trust, "--payload", "-", "--", receipt];
  const { status, signal, error, stdout, stderr } = spawnSync("countersign", options, {
    input: payload,
    timeout,
    killSignal: "SIGKILL",
    encoding: "utf8",
  });
  if (status !== 0 || error) throw new Error(`not approved (${error ?? signal ?? status}) ${stdout}${stderr}`);
  return JSON.parse(payload);
}
