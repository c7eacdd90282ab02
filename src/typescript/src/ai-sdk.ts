/**
 * AI SDK 7: tools that ask a person before they run, by the SDK's own tool approval.
 *
 *     const gate = gateTools(tools, { deploy: { username: 'alex', action: 'Deploy' } }, { config: 'gate.toml' });
 *     await generateText({ model, prompt, tools: gate.tools, toolApproval: gate.toolApproval });
 *
 * `toolApproval` asks; a refusal is an automatic denial with its reason, so the agent is told, and goes on. `tools` are the same
 * tools, whose `execute` runs only with the approved arguments and records how it ended. Take both: without `toolApproval` they
 * ask by themselves, and a refusal is a tool error; and an approval that a client writes into the messages is none for them.
 *
 * The question's key is that of the tool call: a step that is run again goes on with the same question, and never acts twice on
 * one answer.
 */
import type { InferToolInput, SingleToolApprovalFunction, ToolSet } from 'ai';

import { type Allowed, NotRunError, type Refused, ask, callKey } from './adapter.js';
import { UsageError } from './errors.js';
import { journal } from './gated.js';
import { canonical } from './json.js';
import * as options from './options.js';
import type { Options } from './options.js';
import { acting, failureText, isIterator, recordDone } from './require.js';
import { type Rule, checkedRule } from './rule.js';

/** The rules by the tools' names. Tools without one run as they are. */
export type Rules<T extends ToolSet> = {
  [name in keyof T]?: Rule<InferToolInput<T[name]> extends object ? InferToolInput<T[name]> : any>;
};

/** What `generateText`, `streamText` and `ToolLoopAgent` are given. */
export interface GatedTools<T extends ToolSet> {
  readonly tools: T;
  readonly toolApproval: { [name in keyof T]?: SingleToolApprovalFunction<any, any, any> };
}

/** How many calls can be approved and not have started yet. The oldest beyond it are refused. */
const MAX_HELD = 1000;

/** Gates the tools that `rules` names. Their rule takes the place of an approval that the tool asks for by itself. */
export function gateTools<T extends ToolSet>(tools: T, rules: Rules<T>, settings: Options = {}): GatedTools<T> {
  const given = options.checked(settings);
  const named = Object.entries(rules) as [string, Rule<any> | undefined][];
  if (named.length === 0) throw new UsageError('no tool is named, so nothing would be gated');
  const [gatedTools, toolApproval]: [ToolSet, GatedTools<ToolSet>['toolApproval']] = [{ ...tools }, {}];
  for (const [name, rule] of named) {
    const tool = Object.hasOwn(tools, name) ? tools[name] : undefined;
    if (rule === undefined || typeof tool?.execute !== 'function') throw new UsageError(`no tool ${name} runs here`);
    const calls = new Calls(name, checkedRule<any>(name, rule), given);
    gatedTools[name] = { ...tool, execute: calls.execute(tool.execute as Execute) } as ToolSet[string];
    toolApproval[name] = calls.decide;
  }
  return { tools: gatedTools as T, toolApproval: toolApproval as GatedTools<T>['toolApproval'] };
}

type Execute = (input: unknown, call: Call) => unknown;
interface Call {
  toolCallId: string;
  abortSignal?: AbortSignal | undefined;
}

/** The calls of one tool, and those of them that were approved and have not started. */
class Calls {
  readonly #name: string;
  readonly #rule: Rule<any>;
  readonly #options: Options;
  readonly #held = new Map<string, Allowed>();

  constructor(name: string, rule: Rule<any>, given: Options) {
    this.#name = name;
    this.#rule = rule;
    this.#options = given;
  }

  readonly decide: SingleToolApprovalFunction<any, any, any> = async (input: unknown, { toolCallId }) => {
    const outcome = await this.#ask(input, toolCallId);
    if ('refusal' in outcome) return { type: 'denied', reason: outcome.refusal };
    if (outcome.key === undefined) return 'not-applicable';
    this.#held.set(callOf(toolCallId, outcome.args), outcome);
    for (const oldest of this.#held.keys()) if (this.#held.size > MAX_HELD) this.#held.delete(oldest);
    return { type: 'approved', reason: `a person approved these arguments; the journal has it under ${outcome.key}` };
  };

  execute(execute: Execute): Execute {
    if (execute.constructor.name === 'AsyncGeneratorFunction') return this.#stream(execute as StreamExecute);
    return async (input, call) => {
      const { args, key } = await this.#take(input, call);
      const act = (): unknown => execute(args, call);
      const result = key === undefined ? await act() : await acting(key, journal(this.#options), act);
      // The SDK would take what has not begun for the result.
      if (isIterator(result)) throw new UsageError(`${this.#name} did not run: declare its execute as \`async *\``);
      return result;
    };
  }

  /** A tool that shows what it has before it is done. Who stops listening leaves it unknown how it ended. */
  #stream(execute: StreamExecute): StreamExecute {
    const [take, settings] = [this.#take.bind(this), journal(this.#options)];
    return async function* (input, call) {
      const { args, key } = await take(input, call);
      try {
        yield* execute(args, call);
      } catch (error) {
        if (key !== undefined) await recordDone(key, { ...settings, failed: failureText(error) });
        throw error;
      }
      if (key !== undefined) await recordDone(key, settings);
    };
  }

  /** The approval of this call with these arguments, once. A call that was not asked for before is asked for now. */
  async #take(input: unknown, { toolCallId, abortSignal }: Call): Promise<Allowed> {
    const call = callOf(toolCallId, input);
    const held = this.#held.get(call);
    this.#held.delete(call);
    const outcome = held ?? (await this.#ask(input, toolCallId, abortSignal));
    if ('refusal' in outcome) throw new NotRunError(outcome.refusal);
    return outcome;
  }

  #ask(input: unknown, id: string, signal?: AbortSignal): Promise<Allowed | Refused> {
    return ask(this.#rule, this.#options, this.#name, input, callKey('ai-sdk', id), signal);
  }
}

type StreamExecute = (input: unknown, call: Call) => AsyncGenerator;

function callOf(id: string, args: unknown): string {
  return JSON.stringify([id, canonical(args)]);
}
