/**
 * OpenAI Agents SDK for JavaScript: a guardrail that asks a person before a function tool runs.
 *
 *     tool({ …, inputGuardrails: [approvalGuardrail({ username: 'alex', action: 'Deploy' }, { config: 'gate.toml' })] })
 *
 * The person sees the arguments as the model wrote them, and the tool is given the same text. Arguments that have two readings
 * are refused. A refusal is the tool's output, so the agent is told, and goes on. The question's key is that of the tool call:
 * a run that is resumed goes on with the same question, and never acts twice on one answer.
 *
 * A guardrail does not see what the tool's schema makes of the text, such as defaults, nor how the tool ended, which the journal
 * shows as unknown. `gated` around `execute` asks for what the schema made, runs with that and nothing else, and records it.
 * Give that tool `errorFunction: tellRefusal`: the SDK's own text would tell the agent to try again.
 *
 * Do not let the SDK run guardrails before its own approval as well (`preApprovalInputGuardrails`): the second run finds the
 * approval used, and refuses.
 */
import type { RunContext, ToolInputGuardrailDefinition } from '@openai/agents';

import { ask, callKey, refusalText } from './adapter.js';
import { ApprovalError, InexactError, messageOf } from './errors.js';
import { parse } from './json.js';
import * as options from './options.js';
import type { Options } from './options.js';
import { type Rule, checkedRule } from './rule.js';

/** The guardrail for one tool. It must be the last of its input guardrails, so that nobody is asked in vain. */
export function approvalGuardrail(rule: Rule<any>, settings: Options = {}): ToolInputGuardrailDefinition<any> {
  const [due, given] = [checkedRule<any>('the tool', rule), options.checked(settings)];
  return {
    type: 'tool_input',
    name: 'countersign',
    run: async ({ toolCall }) => {
      let args;
      try {
        args = parse(toolCall.arguments);
      } catch (error) {
        return reject(`${toolCall.name} was not run. Its arguments have no exact JSON: ${messageOf(error)}`);
      }
      const outcome = await ask(due, given, toolCall.name, args, callKey('openai-agents', toolCall.callId));
      return 'refusal' in outcome ? reject(outcome.refusal) : { behavior: { type: 'allow' } };
    },
  };
}

/** What the agent is told where a gated function threw: why it was refused, and otherwise that it failed. */
export function tellRefusal(_context: RunContext<any>, error: unknown): string {
  if (error instanceof ApprovalError || error instanceof InexactError) return refusalText('The tool', error);
  return `An error occurred while running the tool. Error: ${String(error)}`;
}

function reject(message: string): { behavior: { type: 'rejectContent'; message: string } } {
  return { behavior: { type: 'rejectContent', message } };
}
