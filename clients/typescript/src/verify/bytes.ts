// Bytes, texts, hashes and canonical JSON, each in its one spelling.

import { VerificationError } from "../errors.ts";

export type Bytes = Uint8Array<ArrayBuffer>;
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonMembers;
export type JsonMembers = { [name: string]: JsonValue };

export const HASH_SIZE = 32;

/** Throws VerificationError, with what does not hold, unless it holds. */
export function demand(holds: unknown, what: string): asserts holds {
  if (!holds) {
    throw new VerificationError(what);
  }
}

export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text) as Bytes;
}

export function textOf(bytes: Bytes): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

export function joined(...parts: Bytes[]): Bytes {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function isEqual(one: Bytes, other: Bytes): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

export function toBase64(bytes: Bytes): string {
  const characters = Array.from(bytes, (byte) => String.fromCharCode(byte));
  return btoa(characters.join(""));
}

/** Base64 with padding; another spelling of the same bytes is refused. */
export function fromBase64(text: string): Bytes {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  demand(toBase64(bytes) === text, "base64 is not in its one spelling");
  return bytes;
}

export function toBase64url(bytes: Bytes): string {
  return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Base64url without padding; another spelling of the same bytes is refused. */
export function fromBase64url(text: string): Bytes {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  demand(toBase64url(bytes) === text, "base64url is not in its one spelling");
  return bytes;
}

export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** Canonical JSON (RFC 8785): ECMAScript's own numbers and strings, members in order. */
export function canonical(value: JsonValue): string {
  if (Array.isArray(value)) {
    return `[${value.map(canonical).join(",")}]`;
  }
  if (isMembers(value)) {
    const names = Object.keys(value).sort();
    return `{${names.map((one) => `${canonical(one)}:${canonical(value[one] ?? null)}`).join(",")}}`;
  }
  demand(typeof value !== "number" || Number.isFinite(value), "a number is not finite");
  const isHalf = typeof value === "string" && /\p{Surrogate}/u.test(value);
  demand(!isHalf, "half a character stands alone");
  return JSON.stringify(value);
}

/** The value in text that must be canonical JSON; a member that comes twice is found by that. */
export function readCanonical(text: string, what: string): JsonValue {
  const value = JSON.parse(text) as JsonValue;
  demand(canonical(value) === text, `${what} is not canonical JSON`);
  return value;
}

export function isMembers(value: JsonValue | undefined): value is JsonMembers {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

export function isText(value: JsonValue | undefined): value is string {
  return typeof value === "string" && value !== "";
}
