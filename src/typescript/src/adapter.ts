/**
 * What the adapters share: the rules by tool, the key of a tool call, and an outcome that an agent can be told.
 *
 * A framework's run must not end because a person said no, and some frameworks run a tool whose check threw. So nothing here
 * throws: a refusal is a value, and its message is for the agent.
 */
import { createHash } from 'node:crypto';

import { ApprovalError, InexactError, messageOf } from './errors.js';
import { isObject } from './json.js';
import type { Options } from './options.js';
import { requireApproval } from './require.js';
import { type Rule, asked } from './rule.js';

/** The call may run, with these arguments and no others. Without a `key` nobody had to be asked. */
export interface Allowed {
  readonly args: Record<string, unknown>;
  readonly key: string | undefined;
}

/** The call must not run, and what the agent is told. */
export interface Refused {
  readonly refusal: string;
}

/** A refusal, where a framework takes it as an error. It shows the agent the text as it is. */
export class NotRunError extends Error {
  override name = 'NotRunError';

  override toString(): string {
    return this.message;
  }
}

const PLAIN = /^[0-9A-Za-z._:-]{1,120}$/;

/**
 * The idempotency key of one tool call: the same if a framework runs the call twice, and of no other call. Nothing where the
 * call has no id of its own: each run of it is then a new question.
 */
export function callKey(framework: string, id: unknown): string | undefined {
  if (typeof id !== 'string' || id === '') return undefined;
  const text = `${framework}:${id}`;
  return PLAIN.test(text) ? text : `${framework}:${createHash('sha256').update(JSON.stringify(id)).digest('hex')}`;
}

/** Asks for one call of the tool `name`, if its rule says so. */
export async function ask(
  rule: Rule<any>, options: Options, name: string, args: unknown, key: string | undefined, signal?: AbortSignal,
): Promise<Allowed | Refused> {
  try {
    if (!isObject(args)) throw new InexactError('the arguments are no JSON object');
    const { exact, ask } = await asked<Record<string, unknown>>(rule, args);
    if (ask === undefined) return { args: exact, key: undefined };
    const approval = await requireApproval({ ...options, ...ask, key, signal });
    return { args: approval.args, key: approval.key };
  } catch (error) {
    return { refusal: refusalText(name, error) };
  }
}

/** What an agent is told of a call that was refused. */
export function refusalText(name: string, error: unknown): string {
  if (error instanceof ApprovalError) return `${name} was not run. ${error.toString()}`;
  if (error instanceof InexactError) return `${name} was not run. ${error.message}`;
  // Wrong usage, or a rule's function failed. Either can come from arguments that a model chose, so it is no end of the run;
  // but a person has to look.
  process.emitWarning(`${name} was refused, because nobody could be asked: ${messageOf(error)}`, 'CountersignWarning');
  const kind = error instanceof Error ? error.constructor.name : typeof error;
  return `${name} was not run. Nobody could be asked for an approval: ${kind}`;
}
