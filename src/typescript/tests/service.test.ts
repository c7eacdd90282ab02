/**
 * Whole approvals, refusals and every lie: the real program against the approval service and the log that can lie.
 *
 * COUNTERSIGN names the program, and COUNTERSIGN_TESTLOG the service. Nobody has to click: software passkeys decide.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';

import {
  type Approval, ApprovalError, Denied, Interrupted, Mismatch, Rejected, Replayed, type Request, TimedOut, Unavailable, Unverified, gated,
  requireApproval, verifyReceipt,
} from 'countersign';
import { PACKAGE, PROGRAM, ROOT, TESTLOG, countersign, folder, refusal } from './support.js';

const PAYLOAD = { service: 'api', version: '1.4.2', text: 'é\u2028\u{1f600}', small: 1e-7, list: [null, true, -0.5, 0] };
const ACTION = 'Deploy “api”';
const real = { skip: (PROGRAM === undefined || TESTLOG === undefined) && 'COUNTERSIGN and COUNTERSIGN_TESTLOG name no programs' };

type Settings = Partial<Request<any>> & { config: string };

/** Starts a service, and returns the options with which to ask it. */
async function start(t: TestContext, options: string[] = [], { decide = 'approve', pinned = true } = {}): Promise<Settings & { folder: string }> {
  const here = folder(t);
  const child = spawn(String(TESTLOG), ['serve', '--entries', '5', '--approvals', '--decide', decide, ...options], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout });
  const line = await new Promise<string>((resolve, reject) => {
    lines.once('line', resolve);
    lines.once('close', () => reject(new Error('the service did not start')));
  });
  const said = JSON.parse(line) as Record<string, any>;
  process.env['COSIGNET_API_KEY'] = String(said['apiKey']);
  const config = join(here, 'gate.toml');
  // TOML's texts and lists of texts are those of JSON.
  const toml = (name: string, value: unknown): string => `${name} = ${JSON.stringify(value)}\n`;
  writeFileSync(config, [
    toml('log', `api+${said['url']}`), toml('log-key', said['logKey']), toml('rp-id', said['rpId']), toml('allow-origin', said['allowOrigins']),
    '[gate]\n', toml('service', said['service']), toml('journal', join(here, 'gate.db')),
    ...(pinned ? ['[approvers]\n', toml('alex', [said['approverKeys'].alex])] : []),
  ].join(''));
  countersign('gate', '--init', '--config', config);
  return { binary: String(PROGRAM), config, logWaitMs: 2000, timeoutMs: 3000, folder: here };
}

function ask({ folder: _, ...settings }: Settings & { folder?: string }, more: Partial<Request<any>> = {}): Promise<Approval<any>> {
  return requireApproval({ username: 'alex', action: ACTION, payload: PAYLOAD, ...settings, ...more });
}

function row(settings: Settings, key: string): Record<string, unknown> {
  return JSON.parse(countersign('gate', 'show', '--config', settings.config, '--format', 'json', '--', key)) as Record<string, unknown>;
}

for (const signed of [true, false]) {
  test(`an approval ${signed ? 'with' : 'without'} its action signed is verified and used up`, real, async (t) => {
    const settings = await start(t, signed ? ['--sign-action'] : []);
    const approval = await ask(settings, { key: 'k-1', requirePinnedKey: true, requireSignedAction: signed });
    assert.deepEqual(approval.args, PAYLOAD);
    assert.deepEqual([approval.key, approval.approver, approval.keyPinned, approval.actionSigned], ['k-1', 'alex', true, signed]);
    const { config, binary } = settings;
    const verified = await verifyReceipt(approval.receipt, approval.args, {
      config, binary, approver: 'alex', id: approval.id, action: signed ? ACTION : undefined,
    });
    assert.equal(verified.nonce, approval.nonce);
    await refusal(verifyReceipt(approval.receipt, { ...PAYLOAD, service: 'web' }, { config, binary }), Unverified);
    await refusal(ask(settings, { key: 'k-1' }), Replayed);
    await refusal(ask(settings, { key: 'k-1', payload: {} }), Mismatch);
    assert.notEqual((await ask(settings, { key: 'k-2' })).nonce, approval.nonce);
  });
}

test('a key is pinned, or the first that was seen', real, async (t) => {
  const settings = await start(t, [], { pinned: false });
  assert(!(await ask(settings)).keyPinned);
  await refusal(ask(settings, { requirePinnedKey: true }), Unverified);
});

test('what a person refuses does not run', real, async (t) => {
  const settings = await start(t, [], { decide: 'reject', pinned: false });
  const error = await refusal(ask(settings, { key: 'k' }), Rejected);
  assert.equal(error.key, 'k');
  assert(error.id && error.url);
});

test('a gated function runs once, and its ending is recorded', real, async (t) => {
  const { folder: _, ...settings } = await start(t);
  const ran: string[] = [];
  const deploy = gated(
    ({ service }: { service: string }) => {
      ran.push(service);
      if (service === 'broken') throw new RangeError('a secret');
    },
    { username: 'alex', action: 'Deploy', ...settings, key: ({ service }) => `call:${service}` },
  );
  await deploy({ service: 'api' });
  await refusal(deploy({ service: 'api' }), Replayed);
  await refusal(deploy({ service: 'broken' }), RangeError);
  await refusal(deploy({ service: 'broken' }), Replayed);
  assert.deepEqual(ran, ['api', 'broken']);
  assert.deepEqual([row(settings, 'call:api')['ending'], row(settings, 'call:broken')['ending']], ['ok', 'failed']);
  assert.equal(row(settings, 'call:broken')['failure'], 'RangeError');
});

test('ten at once act once', real, async (t) => {
  const settings = await start(t);
  const ended = await Promise.allSettled(Array.from({ length: 10 }, () => ask(settings, { key: 'k', timeoutMs: 20_000 })));
  assert.equal(ended.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const one of ended) if (one.status === 'rejected') assert(one.reason instanceof ApprovalError, String(one.reason));
});

test('an aborted question goes on under its key', real, async (t) => {
  const settings = await start(t, ['--lie', 'never-decides']);
  const control = new AbortController();
  const progress = (line: string): void => void (line.includes('http') && control.abort());
  await refusal(ask(settings, { key: 'k-1', timeoutMs: 30_000, signal: control.signal, progress }), Interrupted);
  await refusal(ask(settings, { key: 'k-1', timeoutMs: 1000 }), TimedOut);
  assert.equal(row(settings, 'k-1')['consumedAt'] ?? null, null);
});

test('a service that denies, or is not there, is no approval', real, async (t) => {
  const settings = await start(t);
  process.env['COSIGNET_API_KEY'] = 'another';
  await refusal(ask(settings), Denied);
  const gone = createServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const service = `http://127.0.0.1:${(gone.address() as AddressInfo).port}`;
  gone.close();
  await once(gone, 'close');
  await refusal(ask(settings, { service }), Unavailable);
});

for (const decide of ['approve', 'reject']) {
  test(`the first example of the README works, where the person says ${decide}`, real, async (t) => {
    const { folder: here, config } = await start(t, [], { decide, pinned: false });
    // As a reader has it: the program in the PATH, the config beside the script, the journal where it is by default.
    mkdirSync(join(here, 'bin'));
    symlinkSync(resolve(String(PROGRAM)), join(here, 'bin/countersign'));
    mkdirSync(join(here, 'node_modules'));
    symlinkSync(PACKAGE, join(here, 'node_modules/countersign'));
    writeFileSync(config, readFileSync(config, 'utf8').replace(/^journal.*$/m, ''));
    const env = { ...process.env, PATH: `${join(here, 'bin')}:${process.env['PATH']}`, XDG_STATE_HOME: join(here, 'state') };
    const readme = readFileSync(join(PACKAGE, 'README.md'), 'utf8');
    const [, example = ''] = /```js\n(.*?)```/s.exec(readme) ?? [];
    const [, command = ''] = /^(countersign gate --init)/m.exec(readme) ?? [];
    const [program = '', ...args] = command.split(' ');
    execFileSync(program, args, { cwd: here, env, stdio: 'ignore' });
    writeFileSync(join(here, 'deploy.mjs'), example);
    const { out, err } = await output(process.execPath, ['deploy.mjs'], here, env);
    assert(out.startsWith(`deploying api to staging\n${decide === 'approve' ? 'deploying api to production' : 'rejected: '}`), out + err);
    assert.match(err, /http:\/\//);
  });
}

function output(program: string, args: string[], cwd: string, env: NodeJS.ProcessEnv): Promise<{ out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (err += data.toString()));
    child.on('error', reject);
    child.on('close', () => resolve({ out, err }));
  });
}

interface Lie {
  kind: string;
  option: string;
  argument: string | null;
  gate: { reason: string | null; runs: number; pinned: boolean };
}

/** The table of lies, which says how a gate takes each. */
const lies = real.skip ? [] : (JSON.parse(execFileSync(String(TESTLOG), ['lies', '--format', 'json'], { encoding: 'utf8' })) as Lie[]);
for (const { option, argument, gate } of lies.filter(({ kind }) => kind === 'service-lie')) {
  test(`the lie ${option} is refused for its reason`, real, async (t) => {
    const lie = argument && !option.includes(':') ? `${option}:${argument}` : option;
    const settings = await start(t, ['--lie', lie], { pinned: gate.pinned });
    process.chdir(settings.folder); // evidence
    t.after(() => process.chdir(ROOT));
    for (let run = 1; run < gate.runs; run++) await ask(settings);
    if (gate.reason === null) {
      assert.deepEqual((await ask(settings)).args, PAYLOAD);
      return;
    }
    await assert.rejects(ask(settings), (error) => error instanceof ApprovalError && error.reason === gate.reason, gate.reason);
  });
}
