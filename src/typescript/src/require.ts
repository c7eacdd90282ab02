/**
 * One question to one person, by the program `countersign gate`, and what became of the action afterwards.
 */
import { type Approval, type Question, approvalOf, how } from './answer.js';
import { Interrupted, LocalFault, UsageError, messageOf } from './errors.js';
import { canonical, isObject } from './json.js';
import * as options from './options.js';
import type { Options } from './options.js';
import * as program from './program.js';

/** What is asked, of whom, and how. */
export interface Request<A extends object = Record<string, unknown>> extends Options {
  /** Who is asked. */
  username: string;
  /** What they are told that it does. */
  action: string;
  /** The action's arguments by name. */
  payload: A;
  /** How long to wait for the person; five minutes, if nothing else is said. */
  timeoutMs?: number | undefined;
  /**
   * An idempotency key. A second call with the same key goes on with the same question, and never gets a second approval
   * out of it.
   */
  key?: string | undefined;
  /** Ask once more where it is not known what became of an earlier request with this key. */
  askAgain?: boolean | undefined;
  /** Aborting it ends the wait, and approves nothing: the call is rejected with `Interrupted`. */
  signal?: AbortSignal | undefined;
}

/** Milliseconds. */
export const TIMES = {
  /** How long a person has, if nothing else is said. */
  timeout: 300_000,
  /** Ten times the gate's own wait for the log: a config may say another, and the program's own limit shall come first. */
  logWait: 600_000,
  /** Beyond the times that the gate was given: its requests, its journal, its start. It ends by itself well before. */
  slack: 90_000,
  done: 30_000,
};

const OF_REQUEST = ['username', 'action', 'payload', 'timeoutMs', 'key', 'askAgain', 'signal'];

/**
 * Asks a person, waits, and returns an approval that was verified and used up. Act once, with its `args`.
 *
 * Rejects with an `ApprovalError` for every refusal and every fault, and with `UsageError` where nobody could be asked.
 */
export async function requireApproval<A extends object>(request: Request<A>): Promise<Approval<A>> {
  // Fixed here: what the caller does to its own objects meanwhile changes nothing.
  const given = options.checked(request, OF_REQUEST) as Request<A>;
  const { username, action, payload, timeoutMs = TIMES.timeout, key, askAgain = false, signal } = given;
  if (!isObject(payload)) throw new UsageError('the payload is an object with the arguments by name');
  if (typeof askAgain !== 'boolean') throw new UsageError('askAgain is true or false');
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new UsageError('signal is an AbortSignal');
  const question: Question = {
    username: options.text('username', username),
    action: options.text('action', action),
    payload: canonical(payload),
    key: key === undefined ? undefined : options.text('key', key),
    requirePinnedKey: given.requirePinnedKey ?? false,
    requireSignedAction: given.requireSignedAction ?? false,
  };
  const args = [
    'gate', '--format=json', '--payload=-', `--username=${username}`, `--action=${action}`,
    `--timeout=${options.duration('timeoutMs', timeoutMs)}`, ...options.ofGate(given),
    ...(key === undefined ? [] : [`--key=${key}`]), ...(askAgain ? ['--ask-again'] : []),
  ];
  const limitMs = timeoutMs + (given.logWaitMs ?? TIMES.logWait) + TIMES.slack;
  let ended;
  try {
    ended = await program.run(program.find(given.binary), args, {
      given: question.payload, limitMs, signal, progress: given.progress,
    });
  } catch (error) {
    if (error instanceof program.Stopped) throw new Interrupted(error.message, { key, cause: error.cause });
    if (error instanceof program.NotRun) throw new LocalFault(error.message, { key });
    throw error;
  }
  return approvalOf<A>(ended, question);
}

/** How an action ended, and which journal knows of it. */
export interface Ending extends Pick<Options, 'config' | 'journal' | 'binary'> {
  /** How it failed. Without it, it did what it should. */
  failed?: string | undefined;
}

/**
 * Records in the journal how the action of an approval ended. Once.
 *
 * Returns whether it was recorded, and never rejects: the action has run, and its result must not be lost. What could not be
 * recorded stays unknown in the journal, and is a warning of the process.
 */
export async function recordDone(key: string, ending: Ending = {}): Promise<boolean> {
  let why;
  try {
    const given = options.checked(ending, ['failed']) as Ending;
    const ok = given.failed === undefined ? '--ok' : `--failed=${options.text('failed', given.failed)}`;
    const args = ['gate', 'done', ...options.ofJournal(given), ok, '--', options.text('key', key)];
    const ended = await program.run(program.find(given.binary), args, { given: '', limitMs: TIMES.done });
    if (ended.code === 0) return true;
    why = ended.said || how(ended);
  } catch (error) {
    why = messageOf(error);
  }
  process.emitWarning(`how the action of ${key} ended is not recorded: ${why}`, 'CountersignWarning');
  return false;
}

/** Runs what was approved, and records how it ended. */
export async function acting<R>(key: string, given: Options, act: () => R): Promise<Awaited<R>> {
  let result;
  try {
    result = await act();
  } catch (error) {
    await recordDone(key, { ...given, failed: failureText(error) });
    throw error;
  }
  // It has not ended yet, and stays unknown.
  if (!isIterator(result)) await recordDone(key, given);
  return result;
}

/** What the journal says of an action that failed: the kind of the error. Its message may hold a secret. */
export function failureText(error: unknown): string {
  if (!(error instanceof Error)) return `it threw a value of the type ${typeof error}`;
  return typeof error.constructor === 'function' && error.constructor.name ? error.constructor.name : 'Error';
}

/** Whether a result is handed out piece by piece. */
export function isIterator(result: unknown): boolean {
  if (typeof result !== 'object' || result === null) return false;
  return Symbol.asyncIterator in result || ('next' in result && typeof result.next === 'function');
}
