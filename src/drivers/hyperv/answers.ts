import { z } from 'zod';

/** Answers of the scripts. A host's answers are not trusted: each list and text has a limit. Pure. */

const word = z.string().transform((text) => text.slice(0, 1024));
const words = z.string().transform((text) => text.slice(0, 4096));
const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const list = <T>(each: z.ZodType<T>, most: number): z.ZodType<T[]> => z.array(each).max(most);

const guestFacts = z.object({
  id: z.guid().transform((id) => id.toLowerCase()),
  name: word,
  state: word,
  memory: count,
  vcpus: count,
  generation: count,
  version: word,
  clustered: z.boolean(),
  nics: list(z.object({ id: word, mac: word, switch: word }), 64),
});
export type GuestFacts = z.infer<typeof guestFacts>;

const hostFacts = z.object({
  name: word,
  /** Empty outside a domain. */
  domain: word,
  version: word,
  enabled: z.boolean(),
  limit: count,
  active: count,
  /** Limit of simultaneous storage moves, and their present number. */
  storageLimit: count,
  storageActive: count,
  authentication: word,
  performance: word,
  anyNetwork: z.boolean(),
  networks: list(word, 256),
  switches: list(word, 1024),
  /** Cluster nodes; empty outside a cluster. */
  nodes: list(word, 256),
});
export type HostFacts = z.infer<typeof hostFacts>;

/**
 * Get-ClusterNode: `State` (Up, Paused, Down, Joining) and `DrainStatus` (NotInitiated, InProgress, Completed,
 * Failed).
 */
const nodeFacts = z.object({ state: word, drain: word, code: z.number().int() });
const clusterNode = nodeFacts.extend({ name: word });
export type ClusterNode = z.infer<typeof clusterNode>;

const hostSize = z.object({
  cores: count,
  memory: count,
  available: count,
  version: word,
  cluster: clusterNode.nullable(),
});

const accountFacts = z.object({
  /** ISO 8601. */
  now: word,
  user: word,
  /** SIDs of the user's local groups. */
  groups: list(word, 64),
});
export type AccountFacts = z.infer<typeof accountFacts>;

const guestWhole = z.object({
  guest: guestFacts,
  compatibility: z.boolean(),
  disks: list(z.object({ path: words, physical: z.boolean(), at: word }), 512),
  images: list(words, 64),
  devices: list(words, 64),
  folder: words,
});
export type GuestWhole = z.infer<typeof guestWhole>;

const incompatibility = z.object({ id: z.number().int(), message: words, source: word });
export type Incompatibility = z.infer<typeof incompatibility>;

const event = z.object({ id: count, level: count, message: words });
export type HostEvent = z.infer<typeof event>;

/** The order was given (`returned`) or not (`refused`, `absent`). */
const begun = z.union([
  z.object({ absent: z.literal(true) }),
  z.object({ refused: words }),
  z.object({ returned: count, already: z.boolean().optional() }),
]);

export const ANSWERS = {
  list: z.object({ host: hostSize, guests: list(guestFacts, 10_000) }),
  guest: z.union([guestWhole, z.object({ guest: z.null() })]),
  host: hostFacts,
  account: accountFacts,
  compare: z.object({ incompatibilities: list(incompatibility, 256) }),
  start: begun,
  node: nodeFacts,
  unmark: z.object({ done: z.boolean() }),
  events: z.object({ events: list(event, 64) }),
} as const;
export type Answers = { readonly [Name in keyof typeof ANSWERS]: z.infer<(typeof ANSWERS)[Name]> };

const failed = z.object({
  error: z.object({
    /** `call`: the call that moves the guest was made. */
    stage: z.enum(['before', 'call']),
    message: words,
    hresult: z.number().int(),
    category: word,
  }),
});
export type ScriptError = z.infer<typeof failed>['error'];

export type Answer<T> = { readonly value: T } | { readonly error: ScriptError };

/** Undefined if it is not an answer of Godwit's scripts. */
export function parseAnswer<T>(stdout: string, schema: z.ZodType<T>): Answer<T> | undefined {
  const text = stdout.trim();
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  let said: unknown;
  try {
    said = JSON.parse(Buffer.from(text, 'base64').toString('utf8'));
  } catch {
    return undefined;
  }
  const error = failed.safeParse(said);
  if (error.success) return error.data;
  const value = schema.safeParse(said);
  return value.success ? { value: value.data } : undefined;
}
