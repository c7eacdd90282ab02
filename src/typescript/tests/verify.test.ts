/** Receipts, by the real program where there is one, and by programs that lie about them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { type Expected, LocalFault, Unverified, UsageError, Violation, verifyReceipt } from 'countersign';
import { Fake, PROGRAM, ROOT, refusal } from './support.js';

const RECEIPTS = join(ROOT, 'fixtures/receipts');
const GOOD = join(RECEIPTS, 'good-payload.json');
const PAYLOAD = JSON.parse(readFileSync(join(RECEIPTS, 'good-payload.payload'), 'utf8')) as Record<string, unknown>;
const RECEIPT = JSON.parse(readFileSync(GOOD, 'utf8')) as Record<string, unknown> & { entry: Record<string, string> };
const config = join(RECEIPTS, 'trust.toml');
const real = { skip: PROGRAM === undefined && 'COUNTERSIGN names no program' };

type Report = Record<string, unknown>;

function report(changes: Report = {}): Report & { checks: Report[] } {
  const checks = ['decision', 'payload', 'inclusion'].map((name) => ({ name, result: 'passed', message: null }));
  return {
    tool: 'countersign', command: 'verify', verdict: 'clean', exitCode: 0, source: 'PATH', id: 'i', nonce: 'n', approver: 'bruna',
    checks, ...changes,
  };
}

function saying(fake: Fake, said: Report | string, code = 0): string {
  const path = fake.stub(typeof said === 'string' ? said : JSON.stringify(said));
  // The last argument is the receipt, which a report names.
  return fake.stub(`#!/bin/sh\nfor path; do :; done; sed "s|PATH|$path|" ${path}; cat > /dev/null; exit ${code}\n`);
}

test('a receipt holds for its arguments', real, async () => {
  for (const receipt of [GOOD, RECEIPT]) {
    const verified = await verifyReceipt(receipt, PAYLOAD, {
      config, approver: 'bruna', id: RECEIPT.entry['id'], maxAgeMs: 10 ** 12, binary: PROGRAM,
    });
    assert.deepEqual([verified.nonce, verified.approver], [RECEIPT.entry['nonce'], 'bruna']);
  }
});

test('a receipt holds for nothing else', real, async () => {
  const cases: [Expected & { receipt?: string | Report; payload?: Report }, new (...args: any[]) => Error][] = [
    [{ payload: { ...PAYLOAD, limit: 1 } }, Unverified], [{ approver: 'mallory' }, Unverified], [{ id: 'another' }, Unverified],
    [{ maxAgeMs: 1 }, Unverified], [{ action: 'Delete' }, Unverified], [{ config: undefined }, Unverified],
    [{ config: '/nowhere' }, UsageError], [{ receipt: { ...RECEIPT, entry: { ...RECEIPT.entry, approver: 'mallory' } } }, Unverified],
    [{ receipt: {} }, Unverified], [{ receipt: join(RECEIPTS, 'rejected-is-not-approved.json') }, Unverified],
  ];
  for (const [{ receipt = GOOD, payload = PAYLOAD, ...expected }, Kind] of cases) {
    await refusal(verifyReceipt(receipt, payload, { config, binary: PROGRAM, ...expected }), Kind, undefined, expected);
  }
});

test('a clean report of this receipt is taken', async (t) => {
  const fake = new Fake(t);
  assert.equal((await verifyReceipt(RECEIPT, PAYLOAD, { binary: saying(fake, report()) })).id, 'i');
  assert.equal((await verifyReceipt(GOOD, PAYLOAD, { binary: saying(fake, report()) })).approver, 'bruna');
});

test('any other report is none', async (t) => {
  const fake = new Fake(t);
  const [decision, payload] = report().checks as [Report, Report];
  for (const said of [
    '', 'ok', '{}', '[]', 'null', '{"checks":[]}', '{"checks":[{}]}', report({ source: 'other' }), report({ verdict: 'invalid' }),
    report({ tool: 'x' }), report({ command: 'gate' }), report({ nonce: null }), report({ id: 7 }), report({ checks: [] }),
    report({ checks: [payload] }), report({ checks: [payload, { name: 'decision', result: 'not-checked' }] }),
    report({ checks: [...report().checks, { name: 'approver', result: 'failed' }] }), report({ checks: [decision, payload, payload] }),
  ]) {
    for (const code of [0, 1]) await refusal(verifyReceipt(RECEIPT, PAYLOAD, { binary: saying(fake, said, code) }), LocalFault, undefined, said);
  }
  await refusal(verifyReceipt(RECEIPT, PAYLOAD, { binary: saying(fake, report({ exitCode: 1 })) }), LocalFault);
});

test('each exit code is a reason', async (t) => {
  const fake = new Fake(t);
  const kinds: [number, new (...args: any[]) => Error][] = [
    [1, Unverified], [3, Unverified], [4, Violation], [5, LocalFault], [6, LocalFault],
  ];
  for (const [code, Kind] of kinds) {
    await refusal(verifyReceipt(RECEIPT, PAYLOAD, { binary: saying(fake, report({ exitCode: code, verdict: 'no' }), code) }), Kind);
  }
  await refusal(verifyReceipt(RECEIPT, PAYLOAD, { binary: fake.stub('#!/bin/sh\necho no such option >&2; exit 2\n') }), UsageError, /no such/);
});

test('a hang or no program is no receipt', async (t) => {
  for (const binary of [new Fake(t).stub('#!/bin/sh\nsleep 60\n'), '/nowhere']) {
    await refusal(verifyReceipt(RECEIPT, PAYLOAD, { binary, timeoutMs: 200 }), LocalFault);
  }
});

test('what was asked for was checked', async (t) => {
  const fake = new Fake(t);
  for (const expected of [{ approver: 'bruna' }, { id: 'i' }, { action: 'Deploy' }, { maxAgeMs: 1 }]) {
    await refusal(verifyReceipt(RECEIPT, PAYLOAD, { binary: saying(fake, report()), ...expected }), LocalFault, /missing/);
  }
  await refusal(verifyReceipt(RECEIPT, PAYLOAD, { aprover: 'x' } as Expected), UsageError);
});
