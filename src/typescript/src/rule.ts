/**
 * For which arguments a person is asked, whom, and what.
 */
import { UsageError } from './errors.js';
import { canonical, isObject, parse } from './json.js';
import * as options from './options.js';

/** A value, or a function that makes it from the arguments. The function gets a copy of its own. */
export type Made<A, T> = T | ((args: A) => T | Promise<T>);

/** Whom to ask what, for one tool or function. */
export interface Rule<A extends object = Record<string, unknown>> {
  /** Who is asked. */
  username: Made<A, string>;
  /** What they are told that it does. */
  action: Made<A, string>;
  /**
   * For which arguments a person is asked; without it, for all. Only `false` itself means that nobody is asked: a function
   * that forgets its `return` asks.
   */
  when?: ((args: A) => boolean | Promise<boolean>) | undefined;
  /** How long to wait for the person; five minutes, if nothing else is said. */
  timeoutMs?: number | undefined;
}

/** One question that has to be put to a person. */
export interface Ask<A extends object> {
  username: string;
  action: string;
  payload: A;
  timeoutMs: number | undefined;
}

export const OF_RULE = ['username', 'action', 'when', 'timeoutMs'];

/** The rule, or `UsageError` for what is none: a condition with a typing error must not be lost. */
export function checkedRule<A extends object>(name: string, rule: Rule<A>): Rule<A> {
  if (!isObject(rule)) throw new UsageError(`the rule of ${name} is no object`);
  const unknown = Object.keys(rule).filter((member) => !OF_RULE.includes(member));
  if (unknown.length > 0) throw new UsageError(`a rule has no ${unknown.join(', ')}`);
  for (const member of ['username', 'action'] as const) {
    if (typeof rule[member] !== 'function') options.text(member, rule[member]);
  }
  if (rule.when !== undefined && typeof rule.when !== 'function') throw new UsageError('when is a function of the arguments');
  if (rule.timeoutMs !== undefined) options.duration('timeoutMs', rule.timeoutMs);
  return { ...rule };
}

/**
 * The arguments as anybody would read them, and the question, if there is one. What the rule's functions are given is what is
 * asked for and what runs.
 */
export async function asked<A extends object>(rule: Rule<A>, args: A): Promise<{ exact: A; ask: Ask<A> | undefined }> {
  const text = canonical(args);
  const copy = (): A => parse(text) as A;
  if (rule.when !== undefined && (await rule.when(copy())) === false) return { exact: copy(), ask: undefined };
  const { username, action } = rule;
  const ask = {
    username: typeof username === 'function' ? await username(copy()) : username,
    action: typeof action === 'function' ? await action(copy()) : action,
    payload: copy(),
    timeoutMs: rule.timeoutMs,
  };
  return { exact: copy(), ask };
}
