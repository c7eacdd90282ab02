/** A question and its answer, by a program that is a fake one, and what becomes of one that misbehaves. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import {
  type Approval, InexactError, Interrupted, LocalFault, Rejected, Replayed, type Request, UsageError, recordDone, requireApproval,
} from 'countersign';
import { TIMES } from '../dist/require.js';
import { Fake, PACKAGE, folder, gone, refusal, until, warnings } from './support.js';

const PAYLOAD = { service: 'api', version: '1.4.2', replicas: 3, ratio: 0.5 };
const SLACK = TIMES.slack;

afterEach(() => {
  TIMES.slack = SLACK;
  delete process.env['COUNTERSIGN_BIN'];
  delete process.env['COSIGNET_API_KEY'];
});

function ask(fake: Fake, options: Partial<Request<any>> & Record<string, unknown> = {}): Promise<Approval<any>> {
  return requireApproval({ username: 'alex', action: 'Deploy api', payload: PAYLOAD, binary: fake.binary, ...options });
}

test('an approval has what was approved', async (t) => {
  const approval = await ask(new Fake(t));
  assert.deepEqual(approval.args, PAYLOAD);
  assert.deepEqual([approval.id, approval.approver, approval.decidedAt, approval.key], ['conf-7', 'alex', 1782000222000, 'made-up-key']);
  assert.deepEqual([approval.keyPinned, approval.actionSigned], [false, false]);
});

test('the program gets each option once', async (t) => {
  const fake = new Fake(t);
  fake.will({ encoding: 'jcs-action-payload', pinned: true });
  const approval = await ask(fake, {
    config: 'gate.toml', journal: '/tmp/j.db', service: 'https://s.example', log: 'api+https://l.example', apiKeyFile: 'key',
    apiKeyEnv: 'KEY', logWaitMs: 5000, key: 'k-1', askAgain: true, timeoutMs: 1500, requirePinnedKey: true, requireSignedAction: true,
    name: 'main',
  });
  assert(approval.keyPinned && approval.actionSigned);
  assert.deepEqual(fake.question, {
    format: 'json', payload: '-', username: 'alex', action: 'Deploy api', timeout: '1500ms', config: join(process.cwd(), 'gate.toml'),
    journal: '/tmp/j.db', service: 'https://s.example', log: 'api+https://l.example', 'api-key-file': join(process.cwd(), 'key'),
    'api-key-env': 'KEY', 'log-wait': '5000ms', key: 'k-1', name: 'main', 'ask-again': '', 'require-pinned-key': '',
    'require-signed-action': '', given: '{"ratio":0.5,"replicas":3,"service":"api","version":"1.4.2"}',
  });
});

test('the key of the service is only in the environment', async (t) => {
  const fake = new Fake(t);
  process.env['COSIGNET_API_KEY'] = 'secret-7';
  await ask(fake);
  const [call] = fake.calls;
  assert.equal(call?.key, 'secret-7');
  assert(!JSON.stringify(call.args).includes('secret-7'));
  await refusal(ask(fake, { apiKey: 'secret-7' }), UsageError, /no option apiKey/);
});

test('the action may look like an option', async (t) => {
  const fake = new Fake(t);
  await ask(fake, { username: '--key=x', action: '--help\nme' });
  assert.deepEqual([fake.question['username'], fake.question['action']], ['--key=x', '--help\nme']);
});

test('whoever watches sees the link while it waits', async (t) => {
  const fake = new Fake(t);
  const seen: string[] = [];
  await ask(fake, { progress: (line) => void seen.push(line) });
  assert.deepEqual(seen, ['waiting for a person: https://service.example/c/7']);
  fake.will({ hang: 60 });
  const broken = ask(fake, { progress: () => { throw new TypeError('broken'); } });
  await refusal(broken, TypeError, /broken/);
  await gone(fake.calls.at(-1)?.pid);
});

test('a key is used once', async (t) => {
  const fake = new Fake(t);
  await ask(fake, { key: 'call-1' });
  assert.equal((await refusal(ask(fake, { key: 'call-1' }), Replayed)).key, 'call-1');
  await ask(fake, { key: 'call-2' });
});

test('the answer is that to the arguments as they were', async (t) => {
  const fake = new Fake(t);
  const mine = { filter: { soft: true } };
  const waiting = ask(fake, { payload: mine });
  mine.filter.soft = false;
  assert.deepEqual((await waiting).args, { filter: { soft: true } });
});

test('a refusal by the program is one here', async (t) => {
  const fake = new Fake(t);
  fake.will({ reason: 'rejected' });
  const error = await refusal(ask(fake, { key: 'k' }), Rejected, /^the gate refused: rejected$/);
  assert.deepEqual([error.key, error.id, error.url], ['k', 'conf-7', 'https://service.example/c/7']);
  fake.will({ edit: [[['payload', 'version'], '2']] });
  await refusal(ask(fake), LocalFault, /other arguments/);
  fake.will({ raw: 'approved', code: 0 });
  await refusal(ask(fake), LocalFault);
});

test('wrong usage is no answer', async (t) => {
  const fake = new Fake(t);
  const stub = fake.stub("#!/bin/sh\necho 'error: no --service' >&2; exit 2\n");
  await refusal(ask(fake, { binary: stub }), UsageError, /no --service/);
  const wrong: Record<string, unknown>[] = [
    { timeoutMs: 0 }, { timeoutMs: -1 }, { timeoutMs: NaN }, { timeoutMs: Infinity }, { timeoutMs: '5' }, { timeoutMs: true },
    { timeoutMs: 1e10 }, { logWaitMs: -1 }, { key: 7 }, { key: 'a\0b' }, { key: '\udcff' }, { key: null }, { config: 7 }, { service: 7 },
    { requirePinnedKey: 'no' }, { requirePinnedKey: 1 }, { requirePinedKey: true }, { payload: [1] }, { payload: 'x' }, { payload: null },
    { askAgain: 1 }, { binary: '' }, { binary: 'a\0b' }, { progress: 'x' }, { signal: {} }, { username: undefined }, { action: 7 },
  ];
  for (const options of wrong) await refusal(ask(fake, options), UsageError, undefined, options);
  await refusal(requireApproval(undefined as unknown as Request), UsageError);
  assert.deepEqual(fake.calls, []);
});

test('inexact arguments are refused before anybody is asked', async (t) => {
  const fake = new Fake(t);
  for (const value of [2 ** 53, NaN, 1n, undefined, new Date(), new Map(), '\ud800', () => 1]) {
    await refusal(ask(fake, { payload: { x: value } }), InexactError);
  }
  assert.deepEqual(fake.calls, []);
});

test('a crash is no approval', async (t) => {
  const fake = new Fake(t);
  for (const signal of ['SIGKILL', 'SIGSEGV', 'SIGTERM']) {
    fake.will({ signal });
    await refusal(ask(fake), LocalFault, /signal/);
  }
  for (const script of ['kill -9 $$', 'exit 1', 'exit 0', 'exec /nowhere', 'exec false', 'exec true', 'echo approved']) {
    await refusal(ask(fake, { binary: fake.stub(`#!/bin/sh\n${script}\n`) }), LocalFault, undefined, script);
  }
});

test('no program is no approval', async (t) => {
  const fake = new Fake(t);
  const here = folder(t);
  writeFileSync(join(here, 'plain'), '#!/bin/sh\n');
  for (const binary of ['/nowhere/countersign', here, join(here, 'plain')]) {
    await refusal(ask(fake, { binary }), LocalFault, /cannot be run/, binary);
  }
  const path = process.env['PATH'];
  process.env['PATH'] = here;
  try {
    await refusal(ask(fake, { binary: undefined }), LocalFault, /cannot be run/);
  } finally {
    process.env['PATH'] = path;
  }
  assert.deepEqual(fake.calls, []);
});

test('the environment names the program', async (t) => {
  const fake = new Fake(t);
  process.env['COUNTERSIGN_BIN'] = fake.binary;
  await ask(fake, { binary: undefined });
  process.env['COUNTERSIGN_BIN'] = '/nowhere';
  await refusal(ask(fake, { binary: undefined }), LocalFault);
  await ask(fake);
});

test('a program that hangs is killed and is no approval', async (t) => {
  const fake = new Fake(t);
  TIMES.slack = 1500;
  const options = { timeoutMs: 100, logWaitMs: 100 };
  const hanging: Promise<unknown>[] = [];
  for (const script of ['exec sleep 60', 'sleep 60', "trap '' TERM; sleep 60", 'sleep 60 & exit 0', 'exec >&- 2>&-; sleep 60']) {
    hanging.push(refusal(ask(fake, { binary: fake.stub(`#!/bin/sh\n${script}\n`), ...options }), LocalFault, /did not end in time/, script));
  }
  await Promise.all(hanging);
  fake.will({ hang: 60 });
  await refusal(ask(fake, options), LocalFault, /did not end in time/);
  for (const { pid } of fake.calls) await gone(pid);
});

test('a program that prints without end is killed', async (t) => {
  const fake = new Fake(t);
  fake.will({ flood: true });
  await refusal(ask(fake), LocalFault, /printed more than/);
  await gone(fake.calls[0]?.pid);
});

test('an aborted wait kills the program', async (t) => {
  const fake = new Fake(t);
  fake.will({ wait: 60 });
  const control = new AbortController();
  const waiting = ask(fake, { key: 'k', signal: control.signal });
  await until(() => fake.calls.length === 1);
  const reason = new Error('the user left');
  control.abort(reason);
  const error = await refusal(waiting, Interrupted);
  assert.deepEqual([error.reason, error.key, error.cause], ['interrupted', 'k', reason]);
  await gone(fake.calls[0]?.pid);
  await refusal(ask(fake, { signal: control.signal }), Interrupted);
  assert.equal(fake.calls.length, 1);
});

for (const [how, end] of [['a signal', 'process.kill(process.pid, "SIGINT")'], ['an exit', 'process.exit(7)']]) {
  test(`a process that ends by ${how} leaves nobody waiting`, async (t) => {
    const fake = new Fake(t);
    fake.will({ wait: 60 });
    const script = `
      import { requireApproval } from 'countersign';
      const progress = () => { ${end} };
      await requireApproval({ username: 'alex', action: 'Deploy', payload: {}, binary: process.argv[1], progress });
      console.log('approved');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, fake.binary], { cwd: PACKAGE, stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    const ended = await new Promise((resolve) => child.on('close', (code, signal) => resolve(signal ?? code)));
    assert.deepEqual([ended, out], [how === 'a signal' ? 'SIGINT' : 7, '']);
    await gone(fake.calls[0]?.pid);
  });
}

test('a process that takes signals itself goes on, and nothing is left behind', async (t) => {
  const fake = new Fake(t);
  fake.will({ wait: 1 });
  let taken = 0;
  const take = (): void => void taken++;
  const waiting = ask(fake);
  process.on('SIGHUP', take);
  await until(() => fake.calls.length === 1);
  process.kill(process.pid, 'SIGHUP');
  assert.equal((await waiting).id, 'conf-7');
  await until(() => taken === 1);
  process.off('SIGHUP', take);
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'exit']) assert(process.listenerCount(name) <= 1, name);
});

test('many wait at once', async (t) => {
  const fake = new Fake(t);
  fake.will({ wait: 0.3 });
  const all = await Promise.all(Array.from({ length: 8 }, (_, n) => ask(fake, { payload: { n } })));
  assert.deepEqual(all.map(({ args }) => (args as { n: number }).n), [0, 1, 2, 3, 4, 5, 6, 7]);
});

test('an ending is recorded, or a warning, and never an error', async (t) => {
  const fake = new Fake(t);
  const { binary } = fake;
  assert(await recordDone('--k', { binary, config: 'gate.toml' }));
  assert(await recordDone('k', { binary, failed: '--it broke' }));
  assert.deepEqual(fake.done, [[`--config=${join(process.cwd(), 'gate.toml')}`, '--ok', '--', '--k'], ['--failed=--it broke', '--', 'k']]);
  fake.will({ done: 5 });
  const said = await warnings(async () => {
    assert(!(await recordDone('k', { binary })));
    assert(!(await recordDone('k', { binary: '/nowhere' })));
    assert(!(await recordDone('k', { binary, failed: 'a\0b' })));
    assert(!(await recordDone(7 as unknown as string, { binary })));
  });
  assert.equal(said.length, 4);
  await sleep(0);
});
