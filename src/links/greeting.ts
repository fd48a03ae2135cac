import { z } from 'zod';
import { epoch, migrationId } from '../protocol/names.ts';
import { serialError, whatIsWrong } from '../protocol/errors.ts';
import type { SerialError } from '../errors.ts';
import { CHANNELS } from './session.ts';
import { BadLinkFrame, LINK_VERSION } from './format.ts';

/** 128 random bits in hex. */
export const sessionId = z.string().regex(/^[0-9a-f]{32}$/, 'a session id: 32 hex digits');

const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

/** Progress of one side in a channel of the other: frames received without a gap, and frames taken. */
const position = z
  .tuple([
    z
      .number()
      .int()
      .min(0)
      .max(CHANNELS - 1),
    count,
    count,
  ])
  .refine(([, received, taken]) => taken <= received, 'more taken than received');
export type Position = readonly [channel: number, received: number, taken: number];

const common = {
  version: z.literal(LINK_VERSION),
  /** Identifies this end: a different value for the same session id is an end that has lost its state. */
  incarnation: sessionId,
  /** Bulk bytes that this side buffers for its handlers; they limit the other side's window. */
  holdsBytes: count.min(64 * 1024),
  positions: z.array(position).max(CHANNELS),
};

/** Session's identity on both sides, agreed before it is opened. */
export const sessionName = z.object({ session: sessionId, migration: migrationId, epoch });
export type SessionName = z.infer<typeof sessionName>;

export const helloSchema = sessionName.extend(common);
export const welcomeSchema = z.object(common);
export type Hello = z.infer<typeof helloSchema>;
export type Welcome = z.infer<typeof welcomeSchema>;

/**
 * `closed`: closed in order. `over`: ended with `error`. `unknown`: no session for this caller. `full`: too many
 * connections.
 */
export const refusalSchema = z.object({
  why: z.enum(['closed', 'over', 'unknown', 'full', 'version']),
  error: serialError.optional(),
});
export type LinkRefusal = z.infer<typeof refusalSchema>;

/** Parses a control frame's JSON; throws BadLinkFrame if it does not match `schema`. */
export function readJson<T>(schema: z.ZodType<T>, payload: Uint8Array, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload).toString('utf8'));
  } catch {
    throw new BadLinkFrame(`a ${what} frame that is no JSON`);
  }
  const read = schema.safeParse(value);
  if (!read.success) throw new BadLinkFrame(`a ${what} frame: ${whatIsWrong(read.error)}`);
  return read.data;
}

export function writeJson(value: Hello | Welcome | LinkRefusal | SerialError): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
