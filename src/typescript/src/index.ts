/**
 * Asks a person before an action runs, verifies the answer without believing the service, and lets it run once.
 *
 *     const deploy = gated(deployService, { username: 'alex', action: ({ service }) => `Deploy ${service}`, config: 'gate.toml' });
 *
 * Whatever is not a verified approval of exactly these arguments is an `ApprovalError`: a refusal, a crash, a program that is
 * not there, an answer that contradicts itself. The checks are those of the program `countersign`, which has to be installed.
 *
 * The adapters `countersign/ai-sdk` and `countersign/openai-agents` are for the packages of their frameworks; nothing else here
 * needs any.
 */
export type { Approval } from './answer.js';
export {
  ApprovalError, Denied, Expired, InexactError, Interrupted, LocalFault, Mismatch, NotLogged, Rejected, Replayed, TimedOut,
  Unavailable, Unverified, UsageError, Violation,
} from './errors.js';
export type { Known, Reason } from './errors.js';
export { gated } from './gated.js';
export type { Gated } from './gated.js';
export type { Options } from './options.js';
export { recordDone, requireApproval } from './require.js';
export type { Ending, Request } from './require.js';
export type { Made, Rule } from './rule.js';
export { verifyReceipt } from './verify.js';
export type { Expected, Verified } from './verify.js';
