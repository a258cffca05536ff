export { type CallOptions, Listing } from "./calls.ts";
export { Client, type ClientOptions } from "./client.ts";
export {
  ApiError,
  ConnectionError,
  SmartAuditError,
  StreamEnded,
  VerificationError,
  type Violation,
} from "./errors.ts";
export type { ExportedEvent, ExportedRequest, ExportEnd } from "./exports.ts";
export type * from "./generated/types.ts";
export { uuidv7 } from "./ids.ts";
export type { Tokens } from "./session.ts";
export type { TailOptions } from "./tail.ts";
export { type VerifiedEvent, verifyConsistency, verifyEvent } from "./verify/proofs.ts";
