import { endKind } from '../../protocol/guest-end.ts';
import { z } from 'zod';
import {
  bytes,
  guestName,
  hostName,
  migrationId,
  ms,
  datastoreName,
} from '../../protocol/names.ts';
import { compression, memorySample, mode } from '../../protocol/public/migration.ts';

/** A manager's report on a migration's task and on the guest, in the same terms for every manager. */

/** Truncated, not refused: a record that cannot be parsed would end the journal there. */
const reason = z.string().transform((text) => text.slice(0, 4096));

/** The manager's measurements; absent means not reported, never 0. */
const taskFigures = z.object({
  sentBytes: bytes.optional(),
  rounds: z.number().int().nonnegative().optional(),
  downtimeMs: ms.optional(),
  finished: z.enum(['precopy', 'postcopy']).optional(),
  pageRequests: z.number().int().nonnegative().optional(),
});
export type TaskFigures = z.infer<typeof taskFigures>;
const figures = taskFigures.optional();

/** `none`: the manager lists no task; it never began, or is forgotten. */
export const taskSight = z.discriminatedUnion('state', [
  z.object({ state: z.literal('none') }),
  z.object({
    state: z.literal('running'),
    percent: z.number().min(0).max(100).optional(),
    /** The guest runs at its destination while its memory follows. */
    postcopy: z.boolean().optional(),
    /** Current memory transfer; absent if not reported, or while something else moves. */
    memory: memorySample.optional(),
    figures,
  }),
  z.object({ state: z.literal('done'), figures }),
  z.object({ state: z.literal('failed'), reason, figures }),
  z.object({ state: z.literal('cancelled'), figures }),
]);
export type TaskSight = z.infer<typeof taskSight>;

/** Place of the guest by the manager's report. The later of two counts, since inventories lag behind tasks. */
export const whereabouts = z.object({
  /** `elsewhere`: a host outside this migration. */
  at: z.enum(['source', 'destination', 'elsewhere', 'unknown']),
  /** A task of any origin moves it now; absent if not reported. */
  busy: z.boolean().optional(),
  /** The destination does not answer; only the source reports this. */
  unseen: z.literal(true).optional(),
  /** The guest is at its source, with a second copy at the destination, which the undo removes. */
  second: z.literal(true).optional(),
  ended: endKind.optional(),
});
export type Whereabouts = z.infer<typeof whereabouts>;

const copiedDisk = z.object({
  name: z.string().min(1).max(256),
  /** Image path at both hosts. */
  file: z.string().min(1).max(4096),
  format: z.string().min(1).max(64),
  sizeBytes: bytes,
  /** Container at the destination, by the manager's name. */
  place: z.string().min(1).max(256),
  /** File at the source; if absent (unknown, or an earlier build), it is not removed there. */
  identity: z.string().max(64).optional(),
});
export type CopiedDisk = z.infer<typeof copiedDisk>;
export const copiedDisks = z.array(copiedDisk).max(64);

/** Change of a running task; idempotent. `postcopy`: switch the guest now and let its memory follow. */
export type TaskChange = { readonly maxDowntimeMs: number } | { readonly postcopy: true };

/** Order to a manager. `id` makes it one task, however often the order arrives. */
export const managedOrder = z.object({
  id: migrationId,
  guest: guestName,
  from: hostName,
  to: hostName,
  mode,
  /** bytes/s */
  maxBandwidth: z.number().int().optional(),
  /** Maximum pause of the guest, ms; ignored by managers without such a limit. */
  maxDowntimeMs: z.number().int(),
  /** Godwit decides when post-copy begins; absent: the mode decides. */
  steered: z.boolean().optional(),
  /** The manager may throttle the guest: first step and increment, percent. */
  throttle: z
    .object({ initial: z.number().int().min(1), increment: z.number().int().min(1) })
    .optional(),
  /** Within the driver's declared limit. */
  streams: z.number().int(),
  compress: compression,
  /** Target of its disks, by the manager's name; absent: they stay. */
  datastore: datastoreName.optional(),
  /** Relative to the manager's other tasks; absent: the manager's default. */
  priority: z.enum(['low', 'high']).optional(),
  /** Memory and copied disks go through the driver's unix sockets, and over the wire. */
  wire: z.boolean().optional(),
  /** Refused if memory would go unencrypted. */
  encrypted: z.boolean().optional(),
  copies: copiedDisks.optional(),
  /** Keep the originals; otherwise they are removed once the guest runs elsewhere. */
  keepSource: z.boolean().optional(),
  vouched: z.enum(['source', 'destination']).optional(),
});
export type ManagedOrder = z.infer<typeof managedOrder>;
