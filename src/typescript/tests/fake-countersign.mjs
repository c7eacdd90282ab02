// Stands in for the program: speaks the contract of `countersign gate`, and lies as a test tells it to.
// What it does comes from a file of the folder in FAKE_DIR; what it was given is written there, one line a call.
import { createHash } from 'node:crypto';
import { appendFileSync, closeSync, openSync, readFileSync, writeSync } from 'node:fs';

const FOLDER = process.env.FAKE_DIR;
const CODES = {
  rejected: 1, expired: 1, mismatch: 1, replayed: 1, unverified: 1, denied: 2, 'timed-out': 3, 'not-logged': 3,
  unavailable: 3, interrupted: 3, violation: 4, 'local-fault': 5,
};
const KNOWN = new Set([
  'format', 'payload', 'username', 'action', 'timeout', 'key', 'config', 'service', 'log', 'journal', 'log-wait',
  'api-key-file', 'api-key-env', 'name',
]);
const FLAGS = new Set(['ask-again', 'require-pinned-key', 'require-signed-action']);

const behaviour = JSON.parse(readFileSync(`${FOLDER}/behaviour`, 'utf8'));
const args = process.argv.slice(2);
const given = readFileSync(0, 'utf8');
appendFileSync(`${FOLDER}/calls`, JSON.stringify({ args, given, key: process.env.COSIGNET_API_KEY, pid: process.pid }) + '\n');
if (args[0] === 'gate' && args[1] === 'done') process.exit(behaviour.done ?? 0);
const options = readOptions();
writeSync(2, 'waiting for a person: https://service.example/c/7\n');
sleep(behaviour.wait ?? 0);
let [out, code] = answer();
if ('raw' in behaviour) out = behaviour.raw;
writeSync(1, out);
sleep(behaviour.hang ?? 0);
if (behaviour.flood) for (;;) writeSync(1, ' '.repeat(65536));
if (behaviour.signal) process.kill(process.pid, behaviour.signal);
process.exit(behaviour.code ?? code);

function readOptions() {
  if (args[0] !== 'gate') usage(`no command ${args[0]}`);
  const read = {};
  for (const argument of args.slice(1)) {
    const [, name, hasValue, value] = /^--([^=]*)(=?)(.*)$/s.exec(argument) ?? usage(`unexpected argument ${argument}`);
    if (!(hasValue ? KNOWN : FLAGS).has(name) || name in read) usage(`unexpected argument ${argument}`);
    read[name] = value;
  }
  for (const name of ['payload', 'username', 'action', 'timeout']) if (!(name in read)) usage(`missing ${name}`);
  return read;
}

function usage(text) {
  writeSync(2, `error: ${text}\n`);
  process.exit(2);
}

function sleep(seconds) {
  if (seconds > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000);
}

function answer() {
  const key = options.key ?? 'made-up-key';
  const known = {
    tool: 'countersign', version: '0.1.0', command: 'gate', key, id: 'conf-7', url: 'https://service.example/c/7',
    username: options.username, action: options.action,
  };
  let reason = behaviour.reason;
  if (reason === undefined && key !== 'made-up-key') {
    try {
      closeSync(openSync(`${FOLDER}/used-${createHash('sha256').update(key).digest('hex')}`, 'wx'));
    } catch {
      reason = 'replayed';
    }
  }
  if (reason !== undefined) {
    const refused = {
      ...known, result: 'refused', reason, exitCode: CODES[reason] ?? 1, message: `the gate refused: ${reason}`, receipt: null,
      payload: null, nonce: null,
    };
    return [JSON.stringify(edited(refused)), refused.exitCode];
  }
  // What it is given is canonical already.
  const encoding = behaviour.encoding ?? 'jcs-payload';
  const signed = encoding === 'jcs-payload' ? given : `{"action":${JSON.stringify(options.action)},"payload":${given}}`;
  const same = {
    id: 'conf-7', nonce: '9GElQcU67oDCjxN4y0p2Y0l5sDwRVzygw-vp0OyICvw', payloadEncoding: encoding,
    payloadHash: createHash('sha256').update(signed).digest('hex'), approver: options.username,
    requestedAt: 1782000180000, decidedAt: 1782000222000, expiresAt: 1782000480000,
  };
  const approved = {
    ...known, ...same, result: 'approved', exitCode: 0, reason: null, message: null, payload: JSON.parse(given),
    keyPinned: behaviour.pinned ?? false, actionSigned: encoding === 'jcs-action-payload',
    receipt: { type: 'approval-receipt/v1', entry: { ...same, type: 'approval-log-entry/v1', decision: 'approved' } },
  };
  return [JSON.stringify(edited(approved)), 0];
}

// `edit` is a list of a path and a value; no value takes the member away.
function edited(answer) {
  for (const [path, ...value] of behaviour.edit ?? []) {
    const name = path.at(-1);
    let place = answer;
    for (const parent of path.slice(0, -1)) place = place[parent];
    if (value.length > 0) place[name] = value[0];
    else delete place[name];
  }
  return answer;
}
