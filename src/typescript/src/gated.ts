/**
 * The wrapper: a function runs only with exactly the arguments that a person approved.
 *
 * The gate belongs innermost, next to what it guards: below it nothing can change an argument any more.
 */
import { InexactError, UsageError } from './errors.js';
import { canonical, isObject, parse } from './json.js';
import * as options from './options.js';
import type { Options } from './options.js';
import { acting, requireApproval } from './require.js';
import { type Rule, asked, checkedRule } from './rule.js';

/** Whom to ask, what is not asked for, and where. */
export interface Gated<A extends object> extends Rule<A>, Options {
  /** Members of the arguments that a framework fills in. They are passed on as they are, and nobody approves them. */
  exclude?: readonly (keyof A & string)[] | undefined;
  /**
   * Whether a framework passes more arguments than the first one, such as a run's context. They are passed on as they are,
   * and nobody approves them. Without it a call with more arguments is refused.
   */
  injected?: boolean | undefined;
  /** Makes an idempotency key from all arguments, the excluded ones too. */
  key?: ((args: A, ...injected: any[]) => string | Promise<string>) | undefined;
}

/**
 * The function, which asks a person first and then runs with what was approved. It takes one object, whose members are the
 * arguments by name; all of them are part of what is approved.
 *
 * The arguments must have an exact JSON: texts, numbers, true, false, null, lists and plain objects. A default that the
 * function fills in by itself is not among them: nobody sees it. The call rejects with `ApprovalError` if there is no
 * approval, and what the function throws is recorded as its failure.
 */
export function gated<A extends object, R, I extends any[] = []>(
  act: (args: A, ...injected: I) => R,
  { exclude = [], injected = false, key, ...rest }: Gated<A>,
): (args: A, ...injected: I) => Promise<Awaited<R>> {
  const { username, action, when, timeoutMs, ...more } = rest;
  const rule = checkedRule<A>('the function', { username, action, when, timeoutMs });
  const settings = options.checked(more);
  if (typeof act !== 'function' || /Generator/.test(act.constructor.name)) {
    throw new UsageError('only plain and async functions can be gated');
  }
  if (key !== undefined && typeof key !== 'function') throw new UsageError('key is a function of the arguments');

  return async (args: A, ...others: I): Promise<Awaited<R>> => {
    if (others.length > 0 && !injected) {
      throw new UsageError('nobody can approve more than one argument; `injected` says that the others are a framework’s');
    }
    if (!isObject(args)) throw new InexactError('the arguments are no object with names');
    // The excluded members may be anything, so the arguments' own prototype is looked at here.
    const [given, passed] = split(args, exclude);
    const { exact, ask } = await asked<A>(rule, given as A);
    if (ask === undefined) return await act({ ...exact, ...passed }, ...others);
    // A copy: the function may change what it is given.
    const copy = (): A => ({ ...(parse(canonical(exact)) as A), ...passed });
    const approval = await requireApproval<A>({
      ...settings, ...ask, key: key === undefined ? undefined : await key(copy(), ...others),
    });
    return await acting(approval.key, journal(settings), () => act({ ...approval.args, ...passed }, ...others));
  };
}

function split(args: object, exclude: readonly string[]): [object, object] {
  const members = Object.getOwnPropertyDescriptors(args);
  const passed: Record<string, unknown> = {};
  for (const name of exclude) {
    if (!Object.hasOwn(members, name)) continue;
    passed[name] = (args as Record<string, unknown>)[name];
    delete members[name];
  }
  // With the same members and prototype, so that nothing that JSON cannot say is lost before it is looked at.
  return [exclude.length === 0 ? args : (Object.create(Object.getPrototypeOf(args) as object | null, members) as object), passed];
}

/** The options that a record of an ending takes. */
export function journal({ config, journal, binary }: Options): Options {
  return { config, journal, binary };
}
