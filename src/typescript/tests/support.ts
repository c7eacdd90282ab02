/**
 * The fake program, and small helpers of the tests.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The package, and the repository around it. */
export const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
export const ROOT = resolve(PACKAGE, '../..');

/** The real program and the service that lies, where the environment names them. */
export const PROGRAM = process.env['COUNTERSIGN'];
export const TESTLOG = process.env['COUNTERSIGN_TESTLOG'];

export interface Asked extends Record<string, string> {
  given: string;
}

/** A program in the place of countersign, what it will do, and what it was asked. */
export class Fake {
  readonly #folder: string;
  readonly binary: string;

  constructor(test: TestContext) {
    this.#folder = folder(test);
    process.env['FAKE_DIR'] = this.#folder;
    this.binary = this.stub(`#!/bin/sh\nexec "${process.execPath}" "${join(PACKAGE, 'tests/fake-countersign.mjs')}" "$@"\n`);
    this.will({});
  }

  stub(script: string): string {
    const path = join(this.#folder, `countersign-${readdirSync(this.#folder).length}`);
    writeFileSync(path, script, { mode: 0o700 });
    return path;
  }

  will(behaviour: Record<string, unknown>): void {
    writeFileSync(join(this.#folder, 'behaviour'), JSON.stringify(behaviour));
  }

  get calls(): { args: string[]; given: string; key?: string; pid: number }[] {
    let lines;
    try {
      // The last one may be half written.
      lines = readFileSync(join(this.#folder, 'calls'), 'utf8').split('\n').slice(0, -1);
    } catch {
      return [];
    }
    return lines.map((line) => JSON.parse(line) as { args: string[]; given: string; pid: number });
  }

  /** The questions, each with its options and `given`. */
  get asked(): Asked[] {
    return this.calls.filter(({ args }) => args[1] !== 'done').map(({ args, given }) => ({
      ...Object.fromEntries(args.slice(1).map((argument) => {
        const [, name = '', value = ''] = /^--([^=]*)=?(.*)$/s.exec(argument) ?? [];
        return [name, value];
      })),
      given,
    }));
  }

  /** The one question that was asked. */
  get question(): Asked {
    const [asked] = this.asked;
    assert(asked !== undefined && this.asked.length === 1);
    return asked;
  }

  /** What was recorded about endings: the arguments after `gate done`. */
  get done(): string[][] {
    return this.calls.map(({ args }) => args).filter((args) => args[1] === 'done').map((args) => args.slice(2));
  }
}

/** A new folder, as long as the test runs. */
export function folder(test: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'countersign-test-'));
  test.after(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }));
  return path;
}

/** The error of exactly this class. */
export async function refusal<E extends Error>(
  promise: Promise<unknown>, Kind: abstract new (...args: any[]) => E, match?: RegExp, about?: unknown,
): Promise<E> {
  try {
    await promise;
  } catch (error) {
    const seen = `${JSON.stringify(about) ?? ''} ${String(error)}`;
    assert(error instanceof Kind && error.constructor === Kind, seen);
    if (match !== undefined) assert.match(error.message, match, seen);
    return error;
  }
  assert.fail(`it did not fail ${JSON.stringify(about) ?? ''}`);
}

/** The warnings of the process while `during` runs. */
export async function warnings(during: () => Promise<unknown>): Promise<string[]> {
  const seen: string[] = [];
  const keep = (warning: Error): void => void (warning.name === 'CountersignWarning' && seen.push(warning.message));
  process.on('warning', keep);
  try {
    await during();
    await sleep(10); // they come on a later tick
  } finally {
    process.off('warning', keep);
  }
  return seen;
}

export async function until(holds: () => boolean): Promise<void> {
  for (let round = 0; !holds(); round++) {
    assert(round < 1000, 'it never came');
    await sleep(20);
  }
}

export async function gone(pid: number | undefined): Promise<void> {
  assert(pid !== undefined);
  await until(() => {
    try {
      process.kill(pid, 0);
      // A process that nobody reaps stays in the table of a container without an init.
      return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
      return true;
    }
  });
}

/** Runs the real program. */
export function countersign(...args: string[]): string {
  return execFileSync(String(PROGRAM), args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}
