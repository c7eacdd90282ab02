/**
 * Checks a receipt that somebody has, offline, by the program `countersign verify`. It asks nobody and uses nothing up.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { blank, how } from './answer.js';
import { LocalFault, Unverified, UsageError, Violation, messageOf } from './errors.js';
import { canonical, isObject, parse } from './json.js';
import * as options from './options.js';
import * as program from './program.js';

/** What a receipt is held against, beside the arguments. What is given is compared. */
export interface Expected {
  /** A TOML file that says whom to trust. */
  config?: string | undefined;
  action?: string | undefined;
  approver?: string | undefined;
  id?: string | undefined;
  /** How old the decision may be. */
  maxAgeMs?: number | undefined;
  /** The program, if it is neither the one that COUNTERSIGN_BIN names nor the one in the PATH. */
  binary?: string | undefined;
  /** How long the check may take. */
  timeoutMs?: number | undefined;
}

/** A receipt that holds for these arguments. It does not say whether they ran: that is what a journal is for. */
export interface Verified {
  readonly id: string;
  readonly nonce: string;
  readonly approver: string;
  /** The whole report, with every check that was made. */
  readonly report: Record<string, unknown>;
}

/** Thirty years: whoever asks for more asks for nothing. */
const MAX_AGE_MS = 10 ** 12;

const OF_EXPECTED = ['action', 'approver', 'id', 'maxAgeMs', 'timeoutMs'];

/**
 * Verifies that `receipt` approves exactly `payload`, by the trust options of `config`. `receipt` is a file's path, or what
 * `Approval.receipt` has.
 *
 * Rejects with `Unverified`, `Violation` or `LocalFault`, and with `UsageError` where nothing could be checked.
 */
export async function verifyReceipt(
  receipt: string | Record<string, unknown>,
  payload: Record<string, unknown>,
  expected: Expected = {},
): Promise<Verified> {
  const { config, action, approver, id, maxAgeMs, binary, timeoutMs = 30_000 } = options.checked(expected, OF_EXPECTED) as Expected;
  if (!isObject(payload)) throw new UsageError('the payload is an object with the arguments by name');
  const exact = canonical(payload);
  const args = ['verify', '--format=json', '--quiet', '--decision=approved', '--payload=-', ...options.path('config', config)];
  const needed = ['decision', 'payload'];
  for (const [option, check, value] of [
    ['action', 'action', action], ['approver', 'approver', approver], ['expect-id', 'id', id],
  ] as const) {
    if (value === undefined) continue;
    args.push(`--${option}=${options.text(check, value)}`);
    needed.push(check);
  }
  if (maxAgeMs !== undefined) {
    args.push(`--max-age=${options.duration('maxAgeMs', maxAgeMs, { most: MAX_AGE_MS })}`);
    needed.push('age');
  }
  options.duration('timeoutMs', timeoutMs);
  return await withFile(receipt, async (path) => {
    let ended;
    try {
      ended = await program.run(program.find(binary), [...args, '--', path], { given: exact, limitMs: timeoutMs });
    } catch (error) {
      throw error instanceof program.NotRun ? new LocalFault(error.message) : error;
    }
    return judge(ended, path, needed);
  });
}

/** Calls with a path that is absolute: it is never an option and never "-", and the report must name it. */
async function withFile<T>(receipt: string | Record<string, unknown>, use: (path: string) => Promise<T>): Promise<T> {
  if (typeof receipt === 'string') return await use(resolve(options.text('receipt', receipt)));
  if (!isObject(receipt)) throw new UsageError('the receipt is a path or an object');
  let folder;
  try {
    folder = await mkdtemp(join(tmpdir(), 'countersign-'));
    const path = join(folder, 'receipt.json');
    await writeFile(path, JSON.stringify(receipt), { flag: 'wx', mode: 0o600 });
    return await use(path);
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

function judge(ended: program.Ended, path: string, needed: readonly string[]): Verified {
  if (ended.code === 2 && blank(ended.out)) throw new UsageError(ended.said || 'countersign refused its arguments');
  let report, why;
  try {
    report = parse(ended.out);
    if (!isObject(report)) throw new TypeError('its output is no JSON object');
    why = objections(report, path, needed);
  } catch (error) {
    const said = ended.said ? `, saying ${JSON.stringify(ended.said)}` : '';
    throw new LocalFault(`no report (${messageOf(error)}); countersign ended with ${how(ended)}${said}`);
  }
  const { id, nonce, approver, exitCode } = report;
  if (ended.code === 0 && why.length === 0) {
    if (typeof id === 'string' && typeof nonce === 'string' && typeof approver === 'string') {
      return Object.freeze({ id, nonce, approver, report });
    }
    why.push('it has no id, nonce or approver');
  }
  const message = [`countersign ended with ${how(ended)}`, ...why].join('; ');
  if (exitCode === ended.code && (ended.code === 1 || ended.code === 3)) throw new Unverified(message);
  if (exitCode === ended.code && ended.code === 4) throw new Violation(message);
  throw new LocalFault(message);
}

/** Everything that keeps a report from being a clean one of this receipt. */
function objections(report: Record<string, unknown>, path: string, needed: readonly string[]): string[] {
  const due = { tool: 'countersign', command: 'verify', verdict: 'clean', exitCode: 0, source: path };
  const why = Object.entries(due).filter(([name, value]) => report[name] !== value).map(
    ([name]) => `${name} is ${JSON.stringify(report[name])}`,
  );
  const listed = report['checks'];
  if (!Array.isArray(listed)) throw new TypeError('it lists no checks');
  const results = new Map<string, unknown>();
  for (const check of listed as unknown[]) {
    if (!isObject(check) || typeof check['name'] !== 'string') throw new TypeError('a check without a name');
    if (results.has(check['name'])) throw new TypeError(`the check ${check['name']} is there twice`);
    results.set(check['name'], check['result']);
    if (check['result'] === 'failed') why.push(`${check['name']} failed: ${String(check['message'])}`);
  }
  for (const name of needed) {
    const result = results.get(name);
    if (result !== 'passed' && result !== 'failed') why.push(`${name} ${String(result ?? 'missing')}`);
  }
  return why;
}
