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

/** What a manager says about the one task of a migration, and about the guest; the same words for every manager. */

/** Cut rather than refused: a record that cannot be read again would end the journal before it. */
const reason = z.string().transform((text) => text.slice(0, 4096));

/** What the manager measured of its task, as far as it says so: absent is not reported, and never 0 in its place. */
const taskFigures = z.object({
  /** Bytes that it has sent. */
  sentBytes: bytes.optional(),
  /** Passes over the guest's memory. */
  rounds: z.number().int().nonnegative().optional(),
  /** How long the guest was paused, ms. */
  downtimeMs: ms.optional(),
  /** How the memory went over. */
  finished: z.enum(['precopy', 'postcopy']).optional(),
  /** Pages that the destination asked for. */
  pageRequests: z.number().int().nonnegative().optional(),
});
export type TaskFigures = z.infer<typeof taskFigures>;
const figures = taskFigures.optional();

/** The task of one migration. `none`: the manager knows of none; it never began, or the manager has forgotten it. */
export const taskSight = z.discriminatedUnion('state', [
  z.object({ state: z.literal('none') }),
  z.object({
    state: z.literal('running'),
    percent: z.number().min(0).max(100).optional(),
    /** The guest runs at its destination, and its memory follows: nobody can end the task any more. */
    postcopy: z.boolean().optional(),
    /** How its memory goes over now; absent where the manager does not say, or while something else moves. */
    memory: memorySample.optional(),
    figures,
  }),
  z.object({ state: z.literal('done'), figures }),
  z.object({ state: z.literal('failed'), reason, figures }),
  z.object({ state: z.literal('cancelled'), figures }),
]);
export type TaskSight = z.infer<typeof taskSight>;

/** Where the manager says that the guest is. Of two answers the later one counts: inventories lag behind tasks. */
export const whereabouts = z.object({
  /** `elsewhere`: on a host that has no part in this migration. */
  at: z.enum(['source', 'destination', 'elsewhere', 'unknown']),
  /** A task, whoever started it, moves it now; absent where the manager does not say. */
  busy: z.boolean().optional(),
  /** Its destination does not answer: this is the source's word alone. */
  unseen: z.literal(true).optional(),
  /** At its source: its manager has a second copy at the destination, which the migration ends as it is taken back. */
  second: z.literal(true).optional(),
  /** It ended there, by itself or by an order, and runs nowhere. */
  ended: endKind.optional(),
});
export type Whereabouts = z.infer<typeof whereabouts>;

/** A disk that goes along only as a copy, and where that comes to lie. */
const copiedDisk = z.object({
  /** As the guest has it. */
  name: z.string().min(1).max(256),
  /** Its image, at both hosts. */
  file: z.string().min(1).max(4096),
  format: z.string().min(1).max(64),
  /** As large as the guest sees it, bytes. */
  sizeBytes: bytes,
  /** What it lies in at the destination, by the manager's name. */
  place: z.string().min(1).max(256),
  /** Which file it is at the source; absent if that is not known, or by an earlier build: then it is not removed there. */
  identity: z.string().max(64).optional(),
});
export type CopiedDisk = z.infer<typeof copiedDisk>;
export const copiedDisks = z.array(copiedDisk).max(64);

/**
 * What a manager lets one change of a task that runs, one at a time; twice is as good as once. `postcopy`: the guest is
 * to switch now, and its memory to follow.
 */
export type TaskChange = { readonly maxDowntimeMs: number } | { readonly postcopy: true };

/** What a manager is asked to do. `id` makes it one task, however often the order arrives. */
export const managedOrder = z.object({
  id: migrationId,
  guest: guestName,
  from: hostName,
  to: hostName,
  mode,
  /** bytes/s */
  maxBandwidth: z.number().int().optional(),
  /** The longest time for which the guest may be paused, ms; a manager that takes no such limit goes by its own. */
  maxDowntimeMs: z.number().int(),
  /** Godwit says when the manager goes over to post-copy; absent: as the mode has it. */
  steered: z.boolean().optional(),
  /** The manager may slow the guest down by itself, by so much at first and so much more each time, percent. */
  throttle: z
    .object({ initial: z.number().int().min(1), increment: z.number().int().min(1) })
    .optional(),
  /** As far as the driver declares that it can. */
  streams: z.number().int(),
  compress: compression,
  /** Where its disks are to lie, by the manager's name; absent: where they lie. */
  datastore: datastoreName.optional(),
  /** Before or after the manager's other tasks; absent: as the manager has it. */
  priority: z.enum(['low', 'high']).optional(),
  /** Memory, and what is copied, go through the unix sockets that the driver names for this migration, and over the wire. */
  wire: z.boolean().optional(),
  /** Refused where its memory would go unencrypted. */
  encrypted: z.boolean().optional(),
  /** Copied with the guest; absent: none. */
  copies: copiedDisks.optional(),
  /** They stay at the source too; otherwise they are removed there once the guest runs elsewhere. */
  keepSource: z.boolean().optional(),
  /** The operator reported that the guest runs there, while its manager did not. */
  vouched: z.enum(['source', 'destination']).optional(),
});
export type ManagedOrder = z.infer<typeof managedOrder>;
