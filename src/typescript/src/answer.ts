/**
 * What the gate printed, held against what was asked for. Only a consistent approval of exactly this gets through.
 *
 * The program verified the receipt. This proves nothing more; it makes sure that an approval is not read into anything else:
 * a crash, half an answer, another program's output, or the answer to another question.
 */
import { type ApprovalError, LocalFault, REASONS, UsageError, messageOf } from './errors.js';
import { canonical, isObject, parse, payloadHash } from './json.js';
import type { Ended } from './program.js';

/** One approval, verified and consumed: the action may run once, with `args` and nothing else. */
export interface Approval<A = Record<string, unknown>> {
  /** The approved arguments, as they were checked. */
  readonly args: A;
  /** What the passkey signed beside the arguments. No other approval has it. */
  readonly nonce: string;
  /** The receipt, which `verifyReceipt` or anybody else can check again. */
  readonly receipt: Record<string, unknown>;
  /** The confirmation's id. */
  readonly id: string;
  /** Who approved. */
  readonly approver: string;
  /** When, in Unix milliseconds, by the service's clock. */
  readonly decidedAt: number;
  /** The idempotency key. `recordDone` records under it how the action ended. */
  readonly key: string;
  /** Whether the approver's passkey is one that you pinned. If not, whose key it is was the service's word once. */
  readonly keyPinned: boolean;
  /** Whether the passkey signed the action's text too, and not only the arguments. */
  readonly actionSigned: boolean;
}

/** What a person is asked, and the canonical JSON of the arguments. */
export interface Question {
  readonly username: string;
  readonly action: string;
  readonly payload: string;
  readonly key: string | undefined;
  readonly requirePinnedKey: boolean;
  readonly requireSignedAction: boolean;
}

/** The answer contradicts itself or the question, and how. */
class Inconsistent extends Error {}

/** The approval that the program printed. Throws the refusal's error, `UsageError`, or `LocalFault` for all else. */
export function approvalOf<A>(ended: Ended, question: Question): Approval<A> {
  if (ended.code === 2 && blank(ended.out)) throw new UsageError(ended.said || 'countersign refused its arguments');
  let outcome: Approval<A> | ApprovalError;
  try {
    const answer = parse(ended.out, { doubles: true });
    if (!isObject(answer)) throw new Inconsistent('its output is no JSON object');
    due(answer, { tool: 'countersign', command: 'gate', exitCode: ended.code });
    outcome = answer['result'] === 'refused' ? refusal(answer, ended.code) : approved<A>(answer, ended.code, question);
  } catch (error) {
    const said = ended.said ? `, saying ${JSON.stringify(ended.said)}` : '';
    throw new LocalFault(`countersign gave no answer to rely on (${messageOf(error)}); it ended with ${how(ended)}${said}`, {
      key: question.key,
    });
  }
  if (outcome instanceof Error) throw outcome;
  return outcome;
}

export function how(ended: Ended): string {
  return ended.signal === null ? `exit code ${ended.code}` : `the signal ${ended.signal}`;
}

export function blank(out: Uint8Array): boolean {
  return out.every((byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d));
}

function refusal(answer: Record<string, unknown>, code: number | null): ApprovalError {
  const reason = answer['reason'];
  const [Kind, exitCode] = (typeof reason === 'string' ? REASONS.get(reason) : undefined) ?? [];
  if (Kind === undefined || exitCode !== code) {
    throw new Inconsistent(`it refused with the reason ${JSON.stringify(reason)} and exit code ${code}`);
  }
  return new Kind(textOf(answer['message']) ?? 'no reason was given', {
    key: textOf(answer['key']), id: textOf(answer['id']), url: textOf(answer['url']),
  });
}

function approved<A>(answer: Record<string, unknown>, code: number | null, question: Question): Approval<A> {
  if (code !== 0) throw new Inconsistent(`it ended with exit code ${code} and the result ${JSON.stringify(answer['result'])}`);
  due(answer, { result: 'approved', reason: null, username: question.username, approver: question.username });
  due(answer, { action: question.action, exitCode: 0 });
  if (question.key !== undefined) due(answer, { key: question.key });
  const payload = answer['payload'];
  const exact = isObject(payload) ? canonical(payload) : undefined;
  if (exact !== question.payload) throw new Inconsistent('it approves other arguments');
  const encoding = answer['payloadEncoding'];
  const signed = payloadHash(encoding, question.action, exact);
  if (signed === undefined) throw new Inconsistent(`it has the encoding ${JSON.stringify(encoding)}`);
  due(answer, { payloadHash: signed });
  const [key, id, nonce] = [needText(answer, 'key'), needText(answer, 'id'), needText(answer, 'nonce')];
  const decidedAt = needTime(answer, 'decidedAt');
  needTime(answer, 'requestedAt');
  needTime(answer, 'expiresAt');
  const { keyPinned, actionSigned } = answer;
  if (typeof keyPinned !== 'boolean' || typeof actionSigned !== 'boolean') {
    throw new Inconsistent('it does not say what was signed, and whose key it was');
  }
  // With the action in the signed bytes it must be true. Otherwise a reveal can make it true, and nothing here decides.
  if (encoding === 'jcs-action-payload') due(answer, { actionSigned: true });
  if ((question.requirePinnedKey && !keyPinned) || (question.requireSignedAction && !actionSigned)) {
    throw new Inconsistent('it lacks what was required of the signature');
  }
  const receipt = holdReceipt(answer, signed);
  // Read once more from the compared text: no spelling of a number in the answer makes a difference.
  const args = parse(exact) as A;
  return Object.freeze({
    args, nonce, receipt, id, approver: question.username, decidedAt, key, keyPinned, actionSigned,
  });
}

function holdReceipt(answer: Record<string, unknown>, signed: string): Record<string, unknown> {
  const receipt = answer['receipt'];
  const entry = isObject(receipt) ? receipt['entry'] : undefined;
  if (!isObject(receipt) || !isObject(entry)) throw new Inconsistent('it has no receipt');
  due(entry, { decision: 'approved', payloadHash: signed });
  for (const name of ['id', 'nonce', 'approver', 'payloadEncoding', 'requestedAt', 'decidedAt']) {
    if (entry[name] !== answer[name]) throw new Inconsistent(`the receipt has another ${name}`);
  }
  return receipt;
}

function due(answer: Record<string, unknown>, values: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(values)) {
    // A member that is not there is not the value null.
    if (!Object.hasOwn(answer, name) || answer[name] !== value) {
      throw new Inconsistent(`${name} is ${JSON.stringify(answer[name])}`);
    }
  }
}

function needText(answer: Record<string, unknown>, name: string): string {
  const value = textOf(answer[name]);
  if (!value) throw new Inconsistent(`it has no ${name}`);
  return value;
}

function needTime(answer: Record<string, unknown>, name: string): number {
  const value = answer[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new Inconsistent(`it has no ${name}`);
  return value;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
