/** What may be asked for, and its canonical form. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { InexactError, UsageError } from 'countersign';
import { canonical, parse, payloadHash } from '../dist/json.js';
import { ROOT } from './support.js';

// RFC 8785, appendix B: the bits of a double, and its text. Those that are integers beyond 2**53 are refused.
const VECTORS: [string, string][] = [
  ['0000000000000000', '0'], ['8000000000000000', '0'], ['0000000000000001', '5e-324'], ['8000000000000001', '-5e-324'],
  ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'], ['3eb0c6f7a0b5ed8d', '0.000001'], ['41b3de4355555553', '333333333.3333332'],
  ['41b3de4355555554', '333333333.33333325'], ['41b3de4355555555', '333333333.3333333'], ['41b3de4355555556', '333333333.3333334'],
  ['41b3de4355555557', '333333333.33333343'], ['becbf647612f3696', '-0.0000033333333333333333'],
  ['43143ff3c1cb0959', '1424953923781206.2'],
];
const TOO_LARGE = ['7fefffffffffffff', 'ffefffffffffffff', '4340000000000000', 'c340000000000000', '44b52d02c7e14af6', '444b1ae4d6e2ef50'];

function double(bits: string): number {
  return Buffer.from(bits, 'hex').readDoubleBE();
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}

test('numbers are written as the RFC says', () => {
  for (const [bits, text] of VECTORS) assert.equal(canonical(double(bits)), text);
  for (const bits of TOO_LARGE) assert.throws(() => canonical(double(bits)), InexactError);
});

test('members are sorted by UTF-16', () => {
  const names = ['\u20ac', '\r', '\ufb33', '1', '\u{1f600}', '\u0080', '\u00f6'];
  const sorted = ['\r', '1', '\u0080', '\u00f6', '\u20ac', '\u{1f600}', '\ufb33'];
  const text = canonical(Object.fromEntries(names.map((name) => [name, null])));
  assert.equal(text, `{${sorted.map((name) => `${JSON.stringify(name)}:null`).join(',')}}`);
});

test('texts have the shortest escapes', () => {
  assert.equal(canonical('\x00\x1f\x7f\b\t\n\f\r"\\/é\u2028'), '"\\u0000\\u001f\x7f\\b\\t\\n\\f\\r\\"\\\\/é\u2028"');
});

test('what JSON says exactly is taken', () => {
  const bare = Object.assign(Object.create(null) as object, { a: 1 });
  for (const value of [2 ** 53 - 1, -(2 ** 53) + 1, 0.1, 1e-7, true, null, 'é\0', { a: [{}] }, nested(127), [], bare]) {
    assert.deepEqual(parse(canonical(value)), JSON.parse(JSON.stringify(value)));
  }
  assert.equal(canonical([-0]), '[0]');
  assert.equal(canonical(JSON.parse('{"__proto__":1}')), '{"__proto__":1}');
});

test('what JSON cannot say exactly is refused', () => {
  class Text extends String {}
  class List extends Array {}
  class Money {
    amount = 1;
    toJSON(): number {
      return 2;
    }
  }
  const endless: unknown[] = [];
  endless.push(endless);
  const holes: unknown[] = [];
  holes[2] = 1;
  const values: unknown[] = [
    2 ** 53, -(2 ** 53), 1e21, NaN, Infinity, -Infinity, 1n, undefined, () => 1, Symbol('x'), new Date(), new Map(), new Set(),
    new Uint8Array(1), Buffer.from('x'), /x/, new Error('x'), new Money(), new Text('x'), new Number(1), new List(), holes,
    Object.assign([1], { more: 2 }), { a: undefined }, [undefined], { [Symbol('x')]: 1 }, { toJSON: () => 1 }, '\ud800', { '\ud800': 1 },
    { get a() { return Math.random(); } }, Object.defineProperty({}, 'a', { value: 1 }), new Proxy({}, {}), new Proxy([], {}),
    Object.create({ inherited: 1 }), nested(128), nested(100_000), endless, Promise.resolve(1), new (class {})(),
  ];
  for (const value of values) {
    for (const inside of [value, [value], { a: { b: [value] } }]) {
      assert.throws(() => canonical(inside), (error) => error instanceof InexactError && /no exact JSON/.test(error.message));
    }
  }
  assert(new InexactError('') instanceof UsageError);
});

test('a text with two readings is not read', () => {
  const texts = [
    '{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '{"__proto__":1,"__proto__":2}', 'NaN', '[Infinity]', '-Infinity', '1e999', '-1e999',
    '1'.repeat(400), '9007199254740993', '-9007199254740992', '', ' ', '{}x', '{} {}', '[1,]', '{"a":1,}', '{,}', '{"a"}', '{1:2}', "{'a':1}",
    '01', '1.', '.5', '+1', '0x1', 'tru', 'nul', 'True', '"', '"\\', '"\\x"', '"\t"', '"\ud800"', '"\\ud800"', '\ufeff{}', '/**/1', '[1 2]',
    '{"a":1 "b":2}', '[', '{"a":', '['.repeat(100_000), '-', '1e', '\u00a01',
  ];
  for (const text of texts) assert.throws(() => parse(text), text.slice(0, 40));
  for (const bytes of [[0xff], [0xef, 0xbb, 0xbf, 0x7b, 0x7d], [0x22, 0xed, 0xa0, 0x80, 0x22]]) {
    assert.throws(() => parse(Uint8Array.from(bytes)));
  }
});

test('what has one reading is read as others read it', () => {
  const texts = [
    ' {"a" : [1, 2.5e3, -0.5, "\\u00e9\\n\\"\\\\", {}, [], null, true, false], "\\u0062":"/"}\r\n\t', '0', '"é\u{1f600}"', '-1e-7', '9007199254740991',
    '{"toString":1,"constructor":2,"hasOwnProperty":3}', '[[[]]]',
  ];
  for (const text of texts) assert.deepEqual(parse(text), JSON.parse(text));
  const odd = parse('{"__proto__":{"polluted":1}}') as Record<string, unknown>;
  assert.deepEqual(Object.keys(odd), ['__proto__']);
  assert.equal(Object.getPrototypeOf(odd), Object.prototype);
  assert.equal(odd['polluted'], undefined);
  assert.deepEqual(parse('[100000000000000000]', { doubles: true }), [1e17]);
  assert.throws(() => parse('[1e999]', { doubles: true }));
});

test('hashes are those that passkeys signed', () => {
  const receipts = join(ROOT, 'fixtures/receipts');
  const { entry } = JSON.parse(readFileSync(join(receipts, 'good-payload.json'), 'utf8')) as { entry: Record<string, string> };
  const payload = parse(readFileSync(join(receipts, 'good-payload.payload')));
  assert.equal(payloadHash(entry['payloadEncoding'], 'unused', canonical(payload)), entry['payloadHash']);
  for (const encoding of ['raw-payload', '', null, undefined, 1]) assert.equal(payloadHash(encoding, '', '{}'), undefined);
});
