/**
 * Why an action does not run: one class for each reason of the gate, and wrong usage, which is no answer at all.
 */

/** The word for why a gate refused. */
export type Reason =
  | 'rejected' | 'expired' | 'timed-out' | 'mismatch' | 'replayed' | 'unverified' | 'not-logged' | 'violation'
  | 'unavailable' | 'interrupted' | 'denied' | 'local-fault';

/** The call cannot be made as it is written: an option, a file or a setting is wrong. Nobody was asked. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** The arguments have no exact JSON, so nobody can be shown what would run. Nobody was asked. */
export class InexactError extends UsageError {
  override name = 'InexactError';
}

/** What is known of the question that was refused. */
export interface Known {
  key?: string | undefined;
  id?: string | undefined;
  url?: string | undefined;
  cause?: unknown;
}

/** There is no approval for this action, and it must not run. The class says why, and `reason` is its word. */
export abstract class ApprovalError extends Error {
  abstract readonly reason: Reason;
  /** The idempotency key, if the gate got as far as having one. */
  readonly key: string | undefined;
  /** The confirmation's id, if somebody was asked. */
  readonly id: string | undefined;
  /** Where the person decides, if somebody was asked. */
  readonly url: string | undefined;

  constructor(message: string, known: Known = {}) {
    super(message, known.cause === undefined ? undefined : { cause: known.cause });
    this.key = known.key;
    this.id = known.id;
    this.url = known.url;
  }

  override toString(): string {
    return `${this.reason}: ${this.message}`;
  }
}

/** The person said no. */
export class Rejected extends ApprovalError {
  override name = 'Rejected';
  readonly reason = 'rejected';
}

/** Nobody decided before the confirmation expired. */
export class Expired extends ApprovalError {
  override name = 'Expired';
  readonly reason = 'expired';
}

/** Nobody decided within `timeoutMs`. The same key goes on waiting for the same confirmation. */
export class TimedOut extends ApprovalError {
  override name = 'TimedOut';
  readonly reason = 'timed-out';
}

/** What was approved is not what was asked for: other arguments, another action, person or id. */
export class Mismatch extends ApprovalError {
  override name = 'Mismatch';
  readonly reason = 'mismatch';
}

/** The approval was used before. */
export class Replayed extends ApprovalError {
  override name = 'Replayed';
  readonly reason = 'replayed';
}

/** A check of the receipt failed, or one that is needed could not be made. */
export class Unverified extends ApprovalError {
  override name = 'Unverified';
  readonly reason = 'unverified';
}

/** The service says that it was approved, and the log did not have the entry in time. */
export class NotLogged extends ApprovalError {
  override name = 'NotLogged';
  readonly reason = 'not-logged';
}

/** The log signed two histories. The proof was saved. */
export class Violation extends ApprovalError {
  override name = 'Violation';
  readonly reason = 'violation';
}

/** The service or the log is out of reach, or it is not known what became of a request. */
export class Unavailable extends ApprovalError {
  override name = 'Unavailable';
  readonly reason = 'unavailable';
}

/** The wait was ended, by a signal or by `signal`. The same key goes on waiting for the same confirmation. */
export class Interrupted extends ApprovalError {
  override name = 'Interrupted';
  readonly reason = 'interrupted';
}

/** The service refused the API key or the request. */
export class Denied extends ApprovalError {
  override name = 'Denied';
  readonly reason = 'denied';
}

/** A fault on this side: no program, one that crashed or said something inconsistent, a damaged journal. */
export class LocalFault extends ApprovalError {
  override name = 'LocalFault';
  readonly reason = 'local-fault';
}

/**
 * The class of each reason's word, and the exit code that a gate has for it. Another one is a gate that contradicts itself.
 */
export const REASONS: ReadonlyMap<string, readonly [new (message: string, known?: Known) => ApprovalError, number]> = new Map(
  Object.entries({
    rejected: [Rejected, 1],
    expired: [Expired, 1],
    mismatch: [Mismatch, 1],
    replayed: [Replayed, 1],
    unverified: [Unverified, 1],
    denied: [Denied, 2],
    'timed-out': [TimedOut, 3],
    'not-logged': [NotLogged, 3],
    unavailable: [Unavailable, 3],
    interrupted: [Interrupted, 3],
    violation: [Violation, 4],
    'local-fault': [LocalFault, 5],
  } satisfies Record<Reason, unknown>) as [Reason, [new (message: string, known?: Known) => ApprovalError, number]][],
);

/** What an unknown thrown value says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
