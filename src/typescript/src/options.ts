/**
 * Where the gate asks and what it trusts: the options that every call takes, as arguments of the program.
 */
import { resolve } from 'node:path';

import { UsageError } from './errors.js';

/**
 * Settings of the gate. What is not given comes from `config`. The API key is never among them: the program reads it from a
 * file or from its environment.
 */
export interface Options {
  /** A TOML file with the service, the log, whom you trust, and the journal. */
  config?: string | undefined;
  /** Which `[[log]]` of the config is meant, where there are several. */
  name?: string | undefined;
  /** URL of the approval service. */
  service?: string | undefined;
  /** Where the log serves its verification bundles, as `api+https://…`. */
  log?: string | undefined;
  /** The journal, which `countersign gate --init` made. */
  journal?: string | undefined;
  /** How long an approval may take to get into the log. */
  logWaitMs?: number | undefined;
  /** A file with the API key. */
  apiKeyFile?: string | undefined;
  /** The environment variable with the API key, if it is not COSIGNET_API_KEY. */
  apiKeyEnv?: string | undefined;
  /** Refuse an approver whose passkey is not pinned in the config. */
  requirePinnedKey?: boolean | undefined;
  /** Refuse an approval whose passkey did not sign the action's text. */
  requireSignedAction?: boolean | undefined;
  /** The program, if it is neither the one that COUNTERSIGN_BIN names nor the one in the PATH. */
  binary?: string | undefined;
  /** Gets each line that the program says meanwhile, such as who is asked, and the link. */
  progress?: ((line: string) => void) | undefined;
}

const TEXTS = ['name', 'service', 'log', 'apiKeyEnv'] as const;
const FLAGS = ['requirePinnedKey', 'requireSignedAction'] as const;
const KNOWN: ReadonlySet<string> = new Set([
  'config', 'journal', 'apiKeyFile', 'logWaitMs', 'binary', 'progress', ...TEXTS, ...FLAGS,
]);

/** A copy of the options. Throws for one that does not exist: a requirement with a typing error must not be lost. */
export function checked(given: Options, more: readonly string[] = []): Options {
  if (typeof given !== 'object' || given === null) throw new UsageError('the options are an object');
  const options: Options = { ...given };
  const unknown = Object.keys(options).filter((name) => !KNOWN.has(name) && !more.includes(name));
  if (unknown.length > 0) throw new UsageError(`there is no option ${unknown.sort().join(', ')}`);
  for (const name of FLAGS) {
    if (options[name] !== undefined && typeof options[name] !== 'boolean') throw new UsageError(`${name} is true or false`);
  }
  if (options.progress !== undefined && typeof options.progress !== 'function') throw new UsageError('progress is a function');
  if (options.binary !== undefined && text('binary', options.binary) === '') throw new UsageError('binary names no program');
  return options;
}

/** The arguments of `countersign gate`. */
export function ofGate(options: Options): string[] {
  return [
    ...ofJournal(options),
    ...TEXTS.filter((name) => options[name] !== undefined).map((name) => `${option(name)}=${text(name, options[name])}`),
    ...path('apiKeyFile', options.apiKeyFile),
    ...FLAGS.filter((name) => options[name]).map(option),
    ...(options.logWaitMs === undefined ? [] : [`--log-wait=${duration('logWaitMs', options.logWaitMs, { least: 0 })}`]),
  ];
}

/** The arguments that find the journal, which is all that a record of an ending needs. */
export function ofJournal(options: Options): string[] {
  return [...path('config', options.config), ...path('journal', options.journal)];
}

/** A path's argument. Absolute, because "-" would be stdin, which is the payload's. */
export function path(name: string, value: unknown): string[] {
  return value === undefined ? [] : [`${option(name)}=${resolve(text(name, value))}`];
}

/** A text that a command line can hold as it is. */
export function text(name: string, value: unknown): string {
  if (typeof value !== 'string') throw new UsageError(`${name} is a text, not ${typeof value}`);
  if (value.includes('\0')) throw new UsageError(`${name} has a NUL in it`);
  if (!value.isWellFormed()) throw new UsageError(`${name} is no Unicode text`);
  return value;
}

/** A time as the program reads it. */
export function duration(name: string, value: unknown, { least = 1, most = MAX_WAIT_MS } = {}): string {
  if (typeof value !== 'number' || !(value >= least && value <= most)) {
    throw new UsageError(`${name} is a number of milliseconds, not ${String(value)}`);
  }
  return `${Math.trunc(value)}ms`;
}

/** 11 days. A timer of Node's is at most 24 days long, and both waits have to be in it. */
const MAX_WAIT_MS = 10 ** 9;

function option(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
