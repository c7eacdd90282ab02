/** The wrapper: what is asked, what runs, and what is recorded. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { ApprovalError, InexactError, LocalFault, Rejected, Replayed, UsageError, gated } from 'countersign';
import { Fake, refusal } from './support.js';

interface Deploy {
  service: string;
  version?: string;
}

let ran: unknown[] = [];
beforeEach(() => {
  ran = [];
});

function deployOf(fake: Fake, options: object = {}): (args: any, ...others: any[]) => Promise<string> {
  const deploy = async (args: Deploy): Promise<string> => {
    ran.push(args);
    return `deployed ${args.service}`;
  };
  return gated(deploy, { username: 'alex', action: ({ service }) => `Deploy ${service}`, binary: fake.binary, ...options });
}

test('a person is asked for every argument by name', async (t) => {
  const fake = new Fake(t);
  assert.equal(await deployOf(fake)({ service: 'api', version: '2' }), 'deployed api');
  assert.deepEqual([fake.question['username'], fake.question['action']], ['alex', 'Deploy api']);
  assert.equal(fake.question.given, '{"service":"api","version":"2"}');
  assert.deepEqual(ran, [{ service: 'api', version: '2' }]);
  assert.deepEqual(fake.done, [['--ok', '--', 'made-up-key']]);
});

test('nothing runs without an approval', async (t) => {
  const fake = new Fake(t);
  for (const reason of ['rejected', 'expired', 'timed-out', 'mismatch', 'replayed', 'unavailable', 'local-fault']) {
    fake.will({ reason });
    await assert.rejects(deployOf(fake)({ service: 'api' }), (error) => error instanceof ApprovalError && error.reason === reason);
  }
  fake.will({ edit: [[['payload', 'version'], '2']] });
  await refusal(deployOf(fake)({ service: 'api', version: '1' }), LocalFault);
  await refusal(deployOf(fake, { binary: '/nowhere' })({ service: 'api' }), LocalFault);
  assert.deepEqual([ran, fake.done], [[], []]);
});

test('what was checked is what runs', async (t) => {
  const fake = new Fake(t);
  const mine = { filter: { soft: true } };
  const seen: (typeof mine)[] = [];
  const change = (args: typeof mine): string => {
    args.filter.soft = mine.filter.soft = false;
    return 'Delete';
  };
  const remove = gated((args: typeof mine) => void seen.push(args), {
    username: 'alex', action: change, when: (args) => change(args) === 'Delete', binary: fake.binary,
  });
  await remove(mine);
  assert.equal(fake.question.given, '{"filter":{"soft":true}}');
  assert.deepEqual(seen, [{ filter: { soft: true } }]);
  assert.notEqual(seen[0], mine);
});

test('functions of the arguments say whom to ask what', async (t) => {
  const fake = new Fake(t);
  const owners: Record<string, string> = { api: 'alex', web: 'kim' };
  const deploy = deployOf(fake, { username: async ({ service }: Deploy) => owners[service] });
  await deploy({ service: 'web' });
  assert.equal(fake.question['username'], 'kim');
  await refusal(deploy({ service: 'other' }), UsageError);
  assert.equal(ran.length, 1);
});

test('when says for which arguments a person is asked', async (t) => {
  const fake = new Fake(t);
  const deploy = deployOf(fake, { when: ({ service }: Deploy) => service === 'production' });
  fake.will({ reason: 'rejected' });
  await deploy({ service: 'staging' });
  assert.deepEqual([fake.calls, ran], [[], [{ service: 'staging' }]]);
  await refusal(deploy({ service: 'production' }), Rejected);
  await refusal(deployOf(fake, { when: async () => false })({ service: 1n }), InexactError);
  assert.equal(ran.length, 1);
});

test('only false means that nobody is asked', async (t) => {
  const fake = new Fake(t);
  for (const answer of [true, null, undefined, 0, '', [], 1]) await deployOf(fake, { when: () => answer })({ service: 'api' });
  assert.equal(fake.asked.length, 7);
  await deployOf(fake, { when: async () => false })({ service: 'api' });
  assert.equal(fake.asked.length, 7);
  await refusal(deployOf(fake, { when: () => { throw new RangeError('broken'); } })({ service: 'api' }), RangeError);
  assert.equal(ran.length, 8);
});

test('arguments that nobody can be shown do not run', async (t) => {
  const fake = new Fake(t);
  const deploy = deployOf(fake);
  for (const args of [
    undefined, null, 'x', [], new Map(), new Date(), { service: undefined }, { service: 1n }, { at: new Date() }, { n: 2 ** 60 },
    new (class { service = 'api'; })(), new Proxy({ service: 'api' }, {}), { get service() { return 'api'; } },
  ]) {
    await refusal(deploy(args), InexactError);
  }
  await refusal(deploy({ service: 'api' }, { force: true }), UsageError, /more than one argument/);
  assert.deepEqual([fake.calls, ran], [[], []]);
});

test('what a framework fills in is passed on and not asked for', async (t) => {
  const fake = new Fake(t);
  const runtime = new Map([['user', 7]]);
  const context = { abort: new AbortController().signal };
  const seen: unknown[] = [];
  const act = (args: { service: string; runtime: Map<string, number> }, given: typeof context): void => void seen.push(args, given);
  const deploy = gated(act, {
    username: 'alex', action: 'Deploy', exclude: ['runtime'], injected: true, binary: fake.binary,
    key: (args, given: typeof context) => `${args.service}:${args.runtime.get('user')}:${typeof given.abort}`,
  });
  await deploy({ service: 'api', runtime }, context);
  assert.deepEqual([fake.question.given, fake.question['key']], ['{"service":"api"}', 'api:7:object']);
  assert.deepEqual(seen, [{ service: 'api', runtime }, context]);
  const instance = Object.assign(new (class { service = 'api'; })(), { runtime });
  await refusal(deploy(instance, context), InexactError);
});

test('a key is asked for once and acts once', async (t) => {
  const fake = new Fake(t);
  const deploy = deployOf(fake, { key: ({ service }: Deploy) => `deploy:${service}` });
  await deploy({ service: 'api' });
  await refusal(deploy({ service: 'api' }), Replayed);
  await deploy({ service: 'web' });
  await refusal(deployOf(fake, { key: () => 7 })({ service: 'api' }), UsageError);
  assert.equal(ran.length, 2);
});

test('how an action failed is recorded without its message', async (t) => {
  const fake = new Fake(t);
  class NoDisk extends Error {}
  const fail = gated((args: { how: string }): void => { throw args.how === 'error' ? new NoDisk('a secret') : 'a secret'; }, {
    username: 'alex', action: 'Fail', binary: fake.binary, config: 'gate.toml',
  });
  await refusal(fail({ how: 'error' }), NoDisk, /a secret/);
  await assert.rejects(async () => await fail({ how: 'text' }), (error) => error === 'a secret');
  assert.deepEqual(fake.done.map((args) => args[1]), ['--failed=NoDisk', '--failed=it threw a value of the type string']);
  assert(fake.done[0]?.[0]?.startsWith('--config='));
});

test('a result is not lost because its ending could not be recorded', async (t) => {
  const fake = new Fake(t);
  fake.will({ done: 5 });
  assert.equal(await deployOf(fake)({ service: 'api' }), 'deployed api');
});

test('what has not ended is not recorded as ended', async (t) => {
  const fake = new Fake(t);
  const make = async function* (): AsyncGenerator<number> { yield 1; };
  await gated(() => make(), { username: 'alex', action: 'Stream', binary: fake.binary })({});
  assert.deepEqual([fake.asked.length, fake.done], [1, []]);
});

test('what cannot be gated is found at once', () => {
  const rule = { username: 'alex', action: 'x' };
  const act = (): void => undefined;
  for (const wrong of [
    () => gated(function* () { yield 1; }, rule), () => gated(async function* () { yield 1; }, rule), () => gated('x' as never, rule),
    () => gated(act, { ...rule, whem: () => false } as never), () => gated(act, { ...rule, when: true } as never),
    () => gated(act, { ...rule, username: 7 } as never), () => gated(act, { ...rule, timeoutMs: 0 }), () => gated(act, { action: 'x' } as never),
    () => gated(act, { ...rule, requirePinnedKey: 'yes' } as never), () => gated(act, { ...rule, key: 'k' } as never),
  ]) {
    assert.throws(wrong, UsageError);
  }
});
