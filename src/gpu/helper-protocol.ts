import { z } from 'zod';
import { PROCESS_STATES } from './driver-library.ts';

/** Protocol between a process and its helper: JSON lines in both directions. */

const uuid = z.string().regex(/^[0-9a-f]{32}$/);
const pid = z.number().int().positive();
const id = z.number().int().nonnegative();
const pairs = z.array(z.strictObject({ from: uuid, to: uuid })).max(64);

export const request = z.discriminatedUnion('do', [
  z.strictObject({ id, do: z.literal('gpus') }),
  z.strictObject({ id, do: z.literal('free') }),
  z.strictObject({ id, do: z.literal('state'), pid }),
  z.strictObject({
    id,
    do: z.literal('lock'),
    pid,
    timeoutMs: z.number().int().positive().max(600_000),
  }),
  z.strictObject({ id, do: z.literal('checkpoint'), pid }),
  z.strictObject({ id, do: z.literal('restore'), pid, pairs }),
  z.strictObject({ id, do: z.literal('unlock'), pid }),
]);
export type HelperRequest = z.infer<typeof request>;

const gpu = z.strictObject({
  index: z.number().int(),
  name: z.string(),
  uuid,
  totalBytes: z.number().nonnegative(),
});

export const found = z.strictObject({ version: z.number().int(), gpus: z.array(gpu).max(64) });
export type FoundGpus = z.infer<typeof found>;
export const processState = z.enum(PROCESS_STATES);
export const freeBytes = z.number().nonnegative();

export const answer = z.union([
  z.strictObject({ id, ok: z.literal(true), value: z.unknown().optional() }),
  z.strictObject({
    id,
    ok: z.literal(false),
    call: z.string().max(64),
    result: z.string().max(256),
    noGpu: z.boolean().optional(),
  }),
]);
