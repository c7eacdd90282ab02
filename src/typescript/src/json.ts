/**
 * JSON that means one thing: what may be asked for, its canonical form (RFC 8785), and a reader that repairs nothing.
 *
 * The program reads numbers as doubles, as JavaScript does (RFC 7493). What JavaScript could say and JSON could not, or not
 * exactly, is refused here, before anybody is asked: `JSON.stringify` would leave it out or write something else.
 */
import { createHash } from 'node:crypto';
import { types } from 'node:util';

import { InexactError, messageOf } from './errors.js';

/** Nesting of a payload: the limit of the program's parser. */
export const MAX_DEPTH = 127;

/** Nesting of what the program prints: an approval has its payload and its receipt some levels down. */
const MAX_READ_DEPTH = 256;

/**
 * The canonical JSON of a value that JSON can say exactly. Throws `InexactError` for any other.
 *
 * An integer beyond `Number.MAX_SAFE_INTEGER` is one of those: it may be a rounded one. Zero has no sign.
 */
export function canonical(value: unknown): string {
  try {
    return write(value, MAX_DEPTH);
  } catch (error) {
    throw new InexactError(`the arguments have no exact JSON: ${messageOf(error)}`);
  }
}

function write(value: unknown, levels: number): string {
  switch (typeof value) {
    case 'boolean':
      return value ? 'true' : 'false';
    case 'string':
      return text(value);
    case 'number':
      return number(value);
    case 'object':
      if (value === null) return 'null';
      // What it answers can change between the question and the action.
      if (types.isProxy(value)) throw new TypeError('a proxy is no type of JSON');
      if (levels === 0) throw new RangeError(`nested deeper than ${MAX_DEPTH} levels`);
      return Array.isArray(value) ? writeList(value, levels - 1) : writeObject(value, levels - 1);
    default:
      throw new TypeError(`${typeof value} is no type of JSON`);
  }
}

function writeList(list: unknown[], levels: number): string {
  if (Object.getPrototypeOf(list) !== Array.prototype) throw new TypeError('an instance of a class is no type of JSON');
  // Its indices and `length`; fewer are holes, more would be lost.
  if (Reflect.ownKeys(list).length !== list.length + 1) throw new TypeError('a list with holes or names is no type of JSON');
  const items: string[] = [];
  for (let place = 0; place < list.length; place++) items.push(write(plain(list, String(place)), levels));
  return `[${items.join(',')}]`;
}

function writeObject(object: object, levels: number): string {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`an instance of ${className(object)} is no type of JSON`);
  }
  const names: string[] = [];
  for (const name of Reflect.ownKeys(object)) {
    if (typeof name === 'symbol') throw new TypeError('a member that is named by a symbol is no part of JSON');
    names.push(name);
  }
  // By UTF-16 code units, which is how RFC 8785 sorts and how JavaScript compares.
  names.sort();
  return `{${names.map((name) => `${text(name)}:${write(plain(object, name), levels)}`).join(',')}}`;
}

/** The value of a member. Neither a getter, which may say something else next time, nor one that most readers miss. */
function plain(object: object, name: string): unknown {
  const member = Object.getOwnPropertyDescriptor(object, name);
  if (member === undefined || !member.enumerable || !('value' in member)) {
    throw new TypeError(`${JSON.stringify(name)} is no plain member`);
  }
  if (member.value === undefined) throw new TypeError(`${JSON.stringify(name)} is undefined; leave it out, or write null`);
  return member.value;
}

function className(object: object): string {
  const made: unknown = object.constructor;
  return typeof made === 'function' && made.name ? made.name : 'a class';
}

function text(value: string): string {
  if (!value.isWellFormed()) throw new TypeError('a text with half of a surrogate pair is no Unicode');
  return JSON.stringify(value);
}

function number(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`${value} is no number of JSON`);
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw new RangeError('an integer beyond 2**53 may be a rounded one; write it as text');
  }
  // RFC 8785 section 3.2.2.3 is what ECMAScript does.
  return value === 0 ? '0' : String(value);
}

/**
 * One JSON value, strictly: UTF-8, no repeated member names, no halves of surrogate pairs, no number that is not finite,
 * and no integer beyond `Number.MAX_SAFE_INTEGER`. With `doubles` such an integer is the double that it stands for.
 *
 * Throws for anything else.
 */
export function parse(given: string | Uint8Array, { doubles = false } = {}): unknown {
  const text = typeof given === 'string' ? given : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(given);
  return new Reader(text, doubles).document();
}

/** A JSON object, or nothing. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

class Reader {
  #at = 0;
  readonly #text: string;
  readonly #doubles: boolean;

  constructor(text: string, doubles: boolean) {
    this.#text = text;
    this.#doubles = doubles;
  }

  document(): unknown {
    const value = this.#value(MAX_READ_DEPTH);
    if (this.#peek() !== '') throw this.#error('more after the value');
    return value;
  }

  #value(levels: number): unknown {
    const next = this.#peek();
    if (next === '{' || next === '[') {
      if (levels === 0) throw this.#error('nested too deep');
      return next === '{' ? this.#object(levels - 1) : this.#list(levels - 1);
    }
    if (next === '"') return this.#string();
    for (const [word, value] of WORDS) if (this.#text.startsWith(word, this.#at)) return (this.#at += word.length), value;
    return this.#number();
  }

  #object(levels: number): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    for (const _ of this.#members('}')) {
      if (this.#peek() !== '"') throw this.#error('no member name');
      const name = this.#string();
      if (Object.hasOwn(object, name)) throw this.#error('a member name is repeated');
      this.#expect(':');
      // Not an assignment: `__proto__` is a name like others.
      Object.defineProperty(object, name, {
        value: this.#value(levels), configurable: true, enumerable: true, writable: true,
      });
    }
    return object;
  }

  #list(levels: number): unknown[] {
    const list: unknown[] = [];
    for (const _ of this.#members(']')) list.push(this.#value(levels));
    return list;
  }

  /** Steps to each member; the caller reads it. */
  *#members(end: string): Generator<void> {
    this.#at++;
    if (this.#peek() === end) return void this.#at++;
    for (;;) {
      yield;
      if (this.#peek() === end) return void this.#at++;
      this.#expect(',');
    }
  }

  #string(): string {
    const from = this.#at++;
    for (;;) {
      const next = this.#text[this.#at++];
      if (next === undefined) throw this.#error('a text without end');
      if (next === '\\') this.#at++;
      if (next === '"') break;
    }
    const value = JSON.parse(this.#text.slice(from, this.#at)) as string;
    if (!value.isWellFormed()) throw this.#error('half of a surrogate pair');
    return value;
  }

  #number(): number {
    NUMBER.lastIndex = this.#at;
    const found = NUMBER.exec(this.#text);
    if (found === null) throw this.#error('no value of JSON');
    this.#at = NUMBER.lastIndex;
    const value = Number(found[0]);
    const integer = found[1] === undefined && found[2] === undefined;
    if (!Number.isFinite(value)) throw this.#error('a number that is too large');
    if (integer && !this.#doubles && !Number.isSafeInteger(value)) throw this.#error('an integer beyond 2**53; write it as text');
    return value;
  }

  #peek(): string {
    while (SPACE.has(this.#text[this.#at] ?? '')) this.#at++;
    return this.#text[this.#at] ?? '';
  }

  #expect(character: string): void {
    if (this.#peek() !== character) throw this.#error(`no ${character}`);
    this.#at++;
  }

  #error(what: string): SyntaxError {
    return new SyntaxError(`${what}, at ${this.#at}`);
  }
}

const WORDS: readonly (readonly [string, boolean | null])[] = [['true', true], ['false', false], ['null', null]];
const SPACE = new Set([' ', '\t', '\n', '\r']);
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;

/** The hash that a passkey signs, from the canonical payload; nothing for an encoding that a gate never accepts. */
export function payloadHash(encoding: unknown, action: string, payload: string): string | undefined {
  const signed =
    encoding === 'jcs-payload' ? payload
    : encoding === 'jcs-action-payload' ? `{"action":${canonical(action)},"payload":${payload}}`
    : undefined;
  return signed === undefined ? undefined : createHash('sha256').update(signed, 'utf8').digest('hex');
}
