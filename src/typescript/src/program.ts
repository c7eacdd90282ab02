/**
 * Runs the program `countersign`: found without guessing, bounded in time and output, killed when nobody waits for it.
 *
 * What it says is judged elsewhere. Nothing here is an approval.
 */
import { spawn, type ChildProcess } from 'node:child_process';

import { messageOf } from './errors.js';

/** Bytes of stdout: several times a receipt and a payload at their limits of 2 MiB. */
export const MAX_OUTPUT = 16 * 1024 * 1024;

const MAX_LINE = 4096;
const KEPT_LINES = 8;
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The program did not run to its end, and why. */
export class NotRun extends Error {}

/** It was stopped, because the caller's signal was aborted. */
export class Stopped extends NotRun {}

/** How the program ended: exit code or signal, stdout, and the end of stderr. */
export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: Uint8Array;
  readonly said: string;
}

export interface Run {
  readonly given: string;
  readonly limitMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: ((line: string) => void) | undefined;
}

/** The program to run: the one that was named, the one that COUNTERSIGN_BIN names, or the one in the PATH. */
export function find(binary: string | undefined): string {
  return binary ?? (process.env['COUNTERSIGN_BIN'] || 'countersign');
}

/** Runs it, with `given` on its stdin. Whatever ends the wait ends the program too. */
export function run(file: string, args: readonly string[], { given, limitMs, signal, progress }: Run): Promise<Ended> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new Stopped('the wait was ended', { cause: signal.reason }));
    let child;
    try {
      // A group of its own, because a wrapper script's child would go on waiting for the person.
      child = spawn(file, args, { detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    } catch (error) {
      return reject(new NotRun(`${file} cannot be run: ${messageOf(error)}`));
    }
    const { stdin, stdout, stderr } = child;
    const out: Uint8Array[] = [];
    let size = 0;

    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
      RUNNING.remove(child);
    };
    const stop = (error: Error): void => {
      settle();
      kill(child);
      for (const pipe of [stdin, stdout, stderr]) pipe.destroy();
      reject(error);
    };
    const aborted = (): void => stop(new Stopped('the wait was ended', { cause: signal?.reason }));
    const timer = setTimeout(
      () => stop(new NotRun('countersign did not end in time and was killed')),
      Math.min(limitMs, MAX_TIMER_MS),
    );
    signal?.addEventListener('abort', aborted, { once: true });
    RUNNING.add(child);

    const lines = new Lines(progress);
    child.on('error', (error) => stop(new NotRun(`${file} cannot be run: ${error.message}`)));
    stdin.on('error', () => undefined); // it need not read all that it is given
    stdin.end(given, 'utf8');
    stdout.on('data', (data: Buffer) => {
      out.push(data);
      size += data.length;
      if (size > MAX_OUTPUT) stop(new NotRun(`countersign printed more than ${MAX_OUTPUT} bytes and was killed`));
    });
    stderr.on('data', (data: Buffer) => {
      try {
        lines.feed(data);
      } catch (error) {
        stop(error instanceof Error ? error : new Error(String(error))); // the caller's `progress` failed
      }
    });
    child.on('close', (code, name) => {
      settle();
      try {
        resolve({ code, signal: name, out: Buffer.concat(out), said: lines.end() });
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}

/** Stderr: whole lines are passed on as they come, so that whoever watches sees the link; the last ones are kept. */
class Lines {
  #open = '';
  readonly #kept: string[] = [];
  readonly #decoder = new TextDecoder();
  readonly #progress: ((line: string) => void) | undefined;

  constructor(progress: ((line: string) => void) | undefined) {
    this.#progress = progress;
  }

  feed(data: Uint8Array): void {
    const whole = (this.#open + this.#decoder.decode(data, { stream: true })).split('\n');
    this.#open = (whole.pop() ?? '').slice(-MAX_LINE);
    for (const line of whole) this.#line(line);
  }

  end(): string {
    this.#line(this.#open);
    return this.#kept.join('\n');
  }

  #line(whole: string): void {
    const line = whole.slice(0, MAX_LINE).trimEnd();
    if (line === '') return;
    this.#kept.push(line);
    if (this.#kept.length > KEPT_LINES) this.#kept.shift();
    this.#progress?.(line);
  }
}

function kill(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    // Until its pipes are closed something of its group lives, so the number is still its own.
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/**
 * The programs that run now. A group of its own does not get Control-C from the terminal, and nobody must be asked on behalf
 * of a process that has ended. A process that takes a signal itself decides for itself; its end still ends them.
 */
class Running {
  readonly #children = new Set<ChildProcess>();
  readonly #end = (): void => this.#children.forEach(kill);
  readonly #signalled = (signal: NodeJS.Signals): void => {
    if (process.listenerCount(signal) > 1) return;
    this.#end();
    this.#children.clear();
    this.#listen('removeListener');
    process.kill(process.pid, signal);
  };

  add(child: ChildProcess): void {
    if (this.#children.size === 0) this.#listen('on');
    this.#children.add(child);
  }

  remove(child: ChildProcess): void {
    if (this.#children.delete(child) && this.#children.size === 0) this.#listen('removeListener');
  }

  #listen(how: 'on' | 'removeListener'): void {
    process[how]('exit', this.#end);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process[how](signal, this.#signalled);
  }
}

const RUNNING = new Running();
