// The leaf of an event, by the letter of the log format, version 1 (docs/log-format.md).

import type { Event, JsonObject, Outcome } from "../generated/types.ts";
import {
  type Bytes,
  canonical,
  demand,
  fromBase64url,
  isMembers,
  isText,
  type JsonMembers,
  type JsonValue,
  readCanonical,
  sha256,
  textOf,
  toBase64url,
  utf8,
} from "./bytes.ts";

const MAX_LEAF = 65_535; // bytes
const MAX_TARGETS = 64;
const FACTS = ["version", "id", "organisation_id", "action", "actor", "outcome", "occurred_at",
  "recorded_at", "recorded_by"];
const FURTHER_FACTS = ["targets", "outcome_reason", "source"];
const DISCLOSED = ["actor.name", "actor.email", "source_address", "user_agent", "metadata"];
const OUTCOMES = ["success", "failure", "denied"];
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const TIME = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$/;

interface Thing {
  id: string;
  type?: string;
}

/** The public facts that a leaf states. */
export interface Facts {
  version: number;
  id: string;
  organisation_id: string;
  action: string;
  actor: Thing & { type: string };
  outcome: string;
  occurred_at: string;
  recorded_at: string;
  recorded_by: string;
  targets?: Thing[];
  outcome_reason?: string;
  source?: string;
}

/** A leaf, opened: what it states, what is disclosed by name, and how much is withheld. */
export interface OpenedLeaf {
  facts: Facts;
  disclosed: Map<string, JsonValue>;
  withheld: number;
}

export async function openLeaf(leaf: Bytes, disclosures: string[]): Promise<OpenedLeaf> {
  demand(leaf.length <= MAX_LEAF, "the leaf is too large");
  const content = readCanonical(textOf(leaf), "the leaf");
  demand(isMembers(content), "the leaf is not an object");
  const { _sd: digests, _sd_alg: algorithm, ...members } = content;
  demand(algorithm === "sha-256", "the leaf's digests are of an unknown kind");
  const isInOrder = Array.isArray(digests) && digests.every((one, at) =>
    typeof one === "string" && (at === 0 || String(digests[at - 1]) < one)
  );
  demand(isInOrder, "the leaf's digests are not in order");
  demandFacts(members);
  const facts = members as unknown as Facts;
  const left = new Set(digests as string[]);
  const disclosed = new Map<string, JsonValue>();
  for (const encoded of disclosures) {
    const digest = toBase64url(await sha256(utf8(encoded)));
    demand(left.delete(digest), "a disclosure is not of this leaf, or is given twice");
    const [name, value] = readDisclosure(encoded, facts.targets?.length ?? 0);
    demand(!disclosed.has(name), `${name} is given twice`);
    disclosed.set(name, value);
  }
  return { facts, disclosed, withheld: left.size };
}

/** base64url of a JSON array [salt, name, value] (RFC 9901, section 4.2.1). */
function readDisclosure(encoded: string, targets: number): [string, JsonValue] {
  const content = readCanonical(textOf(fromBase64url(encoded)), "a disclosure");
  demand(Array.isArray(content) && content.length === 3, "a disclosure is no array of three");
  const [salt, name, value] = content;
  demand(typeof salt === "string" && typeof name === "string", "a salt or a name is not a text");
  const place = /^targets\.(0|[1-9][0-9]?)\.name$/.exec(name)?.[1];
  const isKnown = place === undefined ? DISCLOSED.includes(name) : Number(place) < targets;
  demand(isKnown, `${name} is no field of this event`);
  const isRight = name === "metadata"
    ? isMembers(value) && Object.keys(value).length > 0
    : isText(value);
  demand(isRight && value !== undefined, `${name} has a value that it cannot have`);
  return [name, value];
}

function demandFacts(facts: JsonMembers): void {
  demand(facts["version"] === 1, "the version is unknown");
  const names = Object.keys(facts);
  const known = [...FACTS, ...FURTHER_FACTS];
  demand(names.every((name) => known.includes(name)), "the leaf has a member of no known name");
  demand(FACTS.every((name) => names.includes(name)), "the leaf lacks a member");
  for (const name of ["id", "organisation_id"]) {
    demand(UUID.test(String(facts[name])), `${name} is not a UUID in lower case`);
  }
  for (const name of ["occurred_at", "recorded_at"]) {
    demand(isTime(facts[name]), `${name} is not a time in UTC with six digits`);
  }
  for (const name of ["action", "outcome_reason", "source"]) {
    demand(isText(name in facts ? facts[name] : "-"), `${name} is not a text, or is empty`);
  }
  demand(typeof facts["recorded_by"] === "string", "recorded_by is not a text");
  demand(OUTCOMES.some((one) => one === facts["outcome"]), "the outcome is unknown");
  const actor = facts["actor"];
  demand(isThing(actor) && "type" in actor, "the actor is malformed");
  if ("targets" in facts) {
    const targets = facts["targets"];
    demand(Array.isArray(targets) && targets.every(isThing), "a target is malformed");
    demand(0 < targets.length && targets.length <= MAX_TARGETS, "there are too many targets, or none");
  }
}

/** Whether it has an id, perhaps a type, and nothing else. */
function isThing(value: JsonValue | undefined): value is JsonMembers {
  return isMembers(value) && "id" in value && Object.values(value).every(isText) &&
    Object.keys(value).every((name) => name === "id" || name === "type");
}

/** Whether it is a real date: ECMAScript takes the 30th of February for the 2nd of March. */
function isTime(value: JsonValue | undefined): boolean {
  if (typeof value !== "string" || !TIME.test(value) || value.startsWith("0000")) {
    return false;
  }
  const time = new Date(value);
  return !Number.isNaN(time.getTime()) && time.toISOString().slice(0, 19) === value.slice(0, 19);
}

/** The event that a leaf states; what is withheld is empty. */
export function eventOf({ facts, disclosed }: OpenedLeaf, logIndex: number): Event {
  const text = (name: string) => String(disclosed.get(name) ?? "");
  const metadata = disclosed.get("metadata") as JsonObject | undefined;
  return {
    id: facts.id,
    organisation_id: facts.organisation_id,
    action: facts.action,
    actor: {
      id: facts.actor.id,
      type: facts.actor.type,
      name: text("actor.name"),
      email: text("actor.email"),
    },
    targets: (facts.targets ?? []).map((target, at) => ({
      id: target.id,
      type: target.type ?? "",
      name: text(`targets.${at}.name`),
      data_subject: false,
    })),
    outcome: `OUTCOME_${facts.outcome.toUpperCase()}` as Outcome,
    outcome_reason: facts.outcome_reason ?? "",
    occurred_at: facts.occurred_at,
    source: facts.source ?? "",
    source_address: text("source_address"),
    user_agent: text("user_agent"),
    ...(metadata === undefined ? {} : { metadata }),
    recorded_at: facts.recorded_at,
    log_index: String(logIndex),
    recorded_by: facts.recorded_by,
    erased_fields: [],
  };
}

/** Whether an event, as an answer shows it, is the one that its leaf states. */
export function isShown(stated: Event, shown: Event): boolean {
  return comparable(stated) === comparable(shown);
}

function comparable(event: Event): string {
  // Which fields were erased is said, and not proven.
  const { erased_fields: _, metadata = {}, occurred_at, recorded_at, ...rest } = event;
  const times = { occurred_at: timeOf(occurred_at), recorded_at: timeOf(recorded_at) };
  return canonical({ ...rest, ...times, metadata } as unknown as JsonValue);
}

/** A time in one spelling: JSON leaves out zeros at the end of the second's digits. */
function timeOf(text: string | undefined): string {
  const match = /^(.{19})(?:\.([0-9]{1,6}))?Z$/.exec(text ?? "");
  demand(match, "the event has a time that is not in UTC");
  return `${match[1]}.${(match[2] ?? "").padEnd(6, "0")}Z`;
}
