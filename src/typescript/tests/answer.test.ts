/** What the program printed, and everything that is no approval. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

import * as countersign from 'countersign';
import { ApprovalError, LocalFault, UsageError } from 'countersign';
import { type Question, approvalOf } from '../dist/answer.js';
import { REASONS } from '../dist/errors.js';

const PAYLOAD = { ratio: 0.5, replicas: 3, service: 'api', version: '1.4.2' };
const TEXT = JSON.stringify(PAYLOAD);
const QUESTION: Question = {
  username: 'alex', action: 'Deploy api', payload: TEXT, key: 'k', requirePinnedKey: false, requireSignedAction: false,
};

type Answer = Record<string, any>;

function good(encoding = 'jcs-payload'): Answer {
  const signed = encoding === 'jcs-payload' ? TEXT : `{"action":"Deploy api","payload":${TEXT}}`;
  const same = {
    id: 'conf-7', nonce: 'n-7', payloadEncoding: encoding, payloadHash: createHash('sha256').update(signed).digest('hex'),
    approver: 'alex', requestedAt: 1782000180000, decidedAt: 1782000222000,
  };
  return {
    tool: 'countersign', command: 'gate', key: 'k', url: 'https://service.example/c/7', username: 'alex', action: 'Deploy api',
    ...same, expiresAt: 1782000480000, result: 'approved', exitCode: 0, reason: null, message: null, payload: { ...PAYLOAD },
    keyPinned: true, actionSigned: encoding !== 'jcs-payload', receipt: { entry: { ...same, decision: 'approved' } },
  };
}

function judge(answer: unknown, { code = 0, signal = null, question = {}, said = '' }: {
  code?: number | null; signal?: string | null; question?: Partial<Question>; said?: string;
} = {}): countersign.Approval {
  const out = Buffer.from(typeof answer === 'string' ? answer : JSON.stringify(answer));
  return approvalOf({ code, signal, out, said }, { ...QUESTION, ...question });
}

function isNone(answer: unknown, options: Parameters<typeof judge>[1] = {}): void {
  assert.throws(() => judge(answer, options), (error) => {
    assert(error instanceof LocalFault, String(error));
    assert.match(error.message, /no answer to rely on/);
    assert.equal(error.key, 'k');
    return true;
  });
}

test('an approval has what was approved', () => {
  const approval = judge(good('jcs-action-payload'), { question: { requirePinnedKey: true, requireSignedAction: true } });
  assert.deepEqual(approval.args, PAYLOAD);
  assert.deepEqual(
    [approval.id, approval.approver, approval.decidedAt, approval.nonce, approval.key, approval.keyPinned, approval.actionSigned],
    ['conf-7', 'alex', 1782000222000, 'n-7', 'k', true, true],
  );
  assert.equal((approval.receipt['entry'] as Answer)['nonce'], 'n-7');
  assert(Object.isFrozen(approval));
});

test('a number that is written in another way is the same number', () => {
  const text = JSON.stringify(good()).replace('"ratio":0.5', '"ratio":5e-1').replace('"replicas":3', '"replicas":3.0');
  assert.deepEqual(judge(text).args, PAYLOAD);
});

test('garbage is no approval', () => {
  const raws = [
    '', 'ok', '{}', '[]', 'null', '0', 'NaN', 'true', '"approved"', '['.repeat(100_000), '{"result":"approved"}',
    '{"tool":"countersign","command":"gate","result":"approved","exitCode":0}',
    '{"tool":"countersign","command":"verify","verdict":"clean","exitCode":0}',
    '{"tool":"countersign","command":"gate","result":"refused","exitCode":0,"reason":"rejected"}',
  ];
  for (const raw of raws) for (const code of [0, 1, 3, 4, 5, null]) isNone(raw, { code });
  assert.throws(() => approvalOf({ code: 0, signal: null, out: Buffer.from([0xff]), said: '' }, QUESTION), LocalFault);
});

const OTHERS: Record<string, unknown[]> = {
  tool: ['other'], command: ['verify', 'gate done'], result: ['refused', 'pending', 'clean', true], exitCode: [1, 3, false, '0', 0.5],
  reason: ['rejected', '', false], key: ['another', '', 7], username: ['Alex', 'alex ', ['alex']], action: ['Deploy', 'deploy api', ''],
  payload: [
    {}, { ...PAYLOAD, version: '1.4.3' }, { ...PAYLOAD, extra: null }, { ...PAYLOAD, replicas: '3' }, { ...PAYLOAD, replicas: true },
    [PAYLOAD], 'x', TEXT,
  ],
  payloadHash: ['0'.repeat(64), '', 7], payloadEncoding: ['raw-payload', 'jcs-action-payload', '', 1, ['jcs-payload']],
  approver: ['mallory', ''], nonce: ['', 7, 'another'], id: ['', 7, 'another'], keyPinned: [0, 1, 'false'],
  actionSigned: [0, 1, 'true'], requestedAt: ['now', -1, true, 1.5], decidedAt: ['now', -1, 1782000222001], expiresAt: ['', -1],
  receipt: [{}, [], 'x', { entry: null }, { entry: [] }],
};

test('an answer that contradicts itself or the question is no approval', () => {
  for (const [name, values] of Object.entries(OTHERS)) {
    const { [name]: _, ...without } = good();
    isNone(without);
    for (const value of [null, ...values]) if (name !== 'reason' || value !== null) isNone({ ...good(), [name]: value });
  }
});

test('a receipt of something else is no approval', () => {
  const { entry } = good()['receipt'] as { entry: Answer };
  for (const name of Object.keys(entry)) {
    for (const value of ['another', null, 7, undefined]) isNone({ ...good(), receipt: { entry: { ...entry, [name]: value } } });
  }
});

test('an approval lacks nothing that was required', () => {
  isNone({ ...good(), keyPinned: false }, { question: { requirePinnedKey: true } });
  isNone(good(), { question: { requireSignedAction: true } });
  isNone({ ...good('jcs-action-payload'), actionSigned: false });
  assert(judge({ ...good(), actionSigned: true }).actionSigned); // by a reveal
});

test('two readings of one answer are none', () => {
  const text = JSON.stringify(good());
  for (const raw of [
    text + text, `${text}x`, text.slice(0, -1), text.replace('"result":', '"result":"refused","result":'),
    text.replace('"payload":', '"payload":{},"payload":'), `\ufeff${text}`,
  ]) {
    isNone(raw);
  }
});

test('an approval with another exit code is none', () => {
  for (const code of [1, 2, 3, 4, 5, 6, 101, 125, 126, 127, 137, 255, null]) {
    isNone(good(), { code, signal: code === null ? 'SIGKILL' : null });
    isNone({ ...good(), exitCode: code }, { code });
  }
});

test('each reason is a class', () => {
  assert.equal(REASONS.size, 12);
  for (const [reason, [Kind, code]] of REASONS) {
    assert.throws(
      () => judge({ ...good(), result: 'refused', reason, exitCode: code, message: 'no' }, { code }),
      (error) => {
        assert(error instanceof ApprovalError && error instanceof Error && error.constructor === Kind);
        assert.deepEqual([error.reason, error.message, error.key, error.id, error.url], [reason, 'no', 'k', 'conf-7', 'https://service.example/c/7']);
        assert.equal(String(error), `${reason}: no`);
        assert.equal((countersign as Record<string, unknown>)[error.name], Kind);
        return true;
      },
    );
  }
});

test('a refusal with another exit code is a fault', () => {
  for (const [reason, code] of [['rejected', 0], ['rejected', 3], ['violation', 1], ['replayed', 5], ['approved', 1], ['', 0], ['x', 1]] as const) {
    isNone({ ...good(), result: 'refused', reason, exitCode: code }, { code });
  }
  for (const reason of ['toString', '__proto__', 'constructor', null, 7]) isNone({ ...good(), result: 'refused', reason, exitCode: 1 }, { code: 1 });
});

test('wrong usage is no answer', () => {
  for (const out of ['', ' \n']) assert.throws(() => judge(out, { code: 2, said: 'error: no --service' }), UsageError);
  isNone('x', { code: 2 });
});
