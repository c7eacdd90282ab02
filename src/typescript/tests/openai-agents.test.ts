/** The guardrail in real runs of the OpenAI Agents SDK with a scripted model. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { Agent, type Model, RunContext, Runner, Usage, setTracingDisabled, tool } from '@openai/agents';
import { UsageError, gated } from 'countersign';
import { approvalGuardrail, tellRefusal } from 'countersign/openai-agents';
import { z } from 'zod';

import { Fake, warnings } from './support.js';

setTracingDisabled(true);

interface Deploy {
  service: string;
  env: string;
}

const PRODUCTION = {
  username: 'alex', action: ({ service }: Deploy) => `Deploy ${service}`, when: ({ env }: Deploy) => env === 'production',
};
const API = { service: 'api', env: 'production' };
let ran: unknown[] = [];
beforeEach(() => {
  ran = [];
});

/** Calls one tool once, and then says that it is done. */
function scripted(name: string, args: unknown, callId: string): Model {
  let said = false;
  return {
    getResponse: async () => {
      const call = { type: 'function_call' as const, callId, name, arguments: typeof args === 'string' ? args : JSON.stringify(args) };
      const done = {
        type: 'message' as const, role: 'assistant' as const, status: 'completed' as const,
        content: [{ type: 'output_text' as const, text: 'done' }],
      };
      const output = [said ? done : call];
      said = true;
      return { usage: new Usage(), output };
    },
    getStreamedResponse: () => {
      throw new Error('not scripted');
    },
  };
}

/** What the model is told of the tool. */
async function run(made: ReturnType<typeof tool<any>>, args: unknown, callId = 'call_1'): Promise<string> {
  const agent = new Agent({ name: 'ops', tools: [made], model: scripted(made.name, args, callId) });
  const result = await new Runner({ tracingDisabled: true }).run(agent, 'go');
  assert.equal(result.finalOutput, 'done');
  const [told] = result.newItems.filter((item) => item.type === 'tool_call_output_item');
  return String(told?.output);
}

function deployOf(rule: object, settings: object): ReturnType<typeof tool<any>> {
  return tool({
    name: 'deploy',
    description: 'Deploys a service.',
    parameters: z.object({ service: z.string(), env: z.string() }),
    inputGuardrails: [approvalGuardrail(rule as never, settings)],
    execute: async (args: Deploy) => {
      ran.push(args);
      return `deployed ${args.service}`;
    },
  });
}

test('a tool runs with what was approved', async (t) => {
  const fake = new Fake(t);
  assert.equal(await run(deployOf(PRODUCTION, { binary: fake.binary }), API), 'deployed api');
  assert.deepEqual(ran, [API]);
  assert.deepEqual([fake.question['action'], fake.question['key']], ['Deploy api', 'openai-agents:call_1']);
  assert.deepEqual(JSON.parse(fake.question.given), API);
});

test('a refusal is the output of the tool', async (t) => {
  const fake = new Fake(t);
  for (const reason of ['rejected', 'timed-out', 'mismatch', 'replayed', 'local-fault']) {
    fake.will({ reason });
    const told = await run(deployOf(PRODUCTION, { binary: fake.binary }), API);
    assert.equal(told, `deploy was not run. ${reason}: the gate refused: ${reason}`);
  }
  fake.will({ edit: [[['payload', 'service'], 'other']] });
  assert.match(await run(deployOf(PRODUCTION, { binary: fake.binary }), API), /local-fault/);
  assert.match(await run(deployOf(PRODUCTION, { binary: '/nowhere' }), API), /local-fault/);
  assert.deepEqual(ran, []);
});

test('nobody is asked for other calls', async (t) => {
  const fake = new Fake(t);
  assert.equal(await run(deployOf(PRODUCTION, { binary: fake.binary }), { service: 'api', env: 'staging' }), 'deployed api');
  assert.deepEqual([ran.length, fake.calls], [1, []]);
});

test('arguments with two readings run nothing', async (t) => {
  const fake = new Fake(t);
  const deploy = deployOf({ username: 'alex', action: 'Deploy' }, { binary: fake.binary });
  for (const text of [
    '{"service":"api","env":"staging","env":"production"}', '{"service":"api","env":"x","\\u0065nv":"production"}',
    '{"service":"api","env":"\\ud800"}', '{"service":"api","env":"x","n":9007199254740993}',
  ]) {
    assert.match(await run(deploy, text), /^deploy was not run\. Its arguments have no exact JSON/);
  }
  // These the SDK refuses by itself.
  for (const text of ['{"service":NaN}', '[]', 'null', '"api"', '{', '']) assert.doesNotMatch(await run(deploy, text), /^deployed/);
  assert.deepEqual([ran, fake.calls], [[], []]);
});

test('a rule that fails runs nothing', async (t) => {
  const fake = new Fake(t);
  const broken = (): never => {
    throw new TypeError('a secret');
  };
  const said = await warnings(async () => {
    for (const rule of [{ username: 'alex', action: broken }, { username: 'alex', action: 'Deploy', when: broken }, { username: () => 7, action: 'x' }]) {
      const told = await run(deployOf(rule, { binary: fake.binary }), API);
      assert.match(told, /was not run. Nobody could be asked/);
      assert.doesNotMatch(told, /secret/);
    }
  });
  assert.deepEqual([said.length, ran, fake.calls], [3, [], []]);
});

test('a call that runs twice acts once', async (t) => {
  const fake = new Fake(t);
  const deploy = deployOf(PRODUCTION, { binary: fake.binary });
  await run(deploy, API, 'call_9');
  assert.match(await run(deploy, API, 'call_9'), /replayed/);
  await run(deploy, API, 'call_10');
  await run(deploy, API, 'a call with “another” id');
  assert.equal(ran.length, 3);
  assert.match(fake.asked.at(-1)?.['key'] ?? '', /^openai-agents:[0-9a-f]{64}$/);
});

test('a wrong option or rule is found at once', () => {
  for (const wrong of [
    () => approvalGuardrail(PRODUCTION, { apiKey: 'x' } as never), () => approvalGuardrail({ ...PRODUCTION, whem: 1 } as never),
    () => approvalGuardrail(undefined as never),
  ]) {
    assert.throws(wrong, UsageError);
  }
});

test('a tool is gated inside, with what its schema made of the arguments', async (t) => {
  const fake = new Fake(t);
  const deploy = tool({
    name: 'deploy',
    description: 'Deploys a service.',
    parameters: z.object({ service: z.string(), env: z.string().default('staging') }),
    strict: true,
    errorFunction: tellRefusal,
    execute: gated(
      async (args: Deploy, context?: RunContext<any>) => {
        ran.push(args, context instanceof RunContext);
        if (args.service === 'broken') throw new RangeError('no such service');
        return `deployed ${args.service}`;
      },
      { username: 'alex', action: 'Deploy', injected: true, binary: fake.binary },
    ),
  });
  assert.equal(await run(deploy, { service: 'api' }), 'deployed api');
  assert.equal(fake.question.given, '{"env":"staging","service":"api"}');
  assert.deepEqual([ran, fake.done[0]?.[0]], [[{ service: 'api', env: 'staging' }, true], '--ok']);
  assert.match(await run(deploy, { service: 'broken' }), /^An error occurred.*no such service/);
  assert.equal(fake.done[1]?.[0], '--failed=RangeError');
  fake.will({ reason: 'rejected' });
  assert.equal(await run(deploy, { service: 'api' }), 'The tool was not run. rejected: the gate refused: rejected');
  assert.equal(ran.length, 4);
});

test('a second look by the SDK finds the approval used', async (t) => {
  const fake = new Fake(t);
  const guardrail = approvalGuardrail(PRODUCTION, { binary: fake.binary });
  const toolCall = { type: 'function_call', callId: 'c', name: 'deploy', arguments: JSON.stringify(API) } as const;
  const data = { context: new RunContext(), agent: new Agent({ name: 'ops' }), toolCall };
  assert.equal((await guardrail.run(data)).behavior.type, 'allow');
  assert.equal((await guardrail.run(data)).behavior.type, 'rejectContent');
});
