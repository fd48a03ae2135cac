import { z } from 'zod';
import { defined } from '../../protocol/defined.ts';
import { diskLink } from '../../protocol/disk.ts';
import { serialError } from '../../protocol/errors.ts';
import { bytes, guestName, hostName, migrationId, ms } from '../../protocol/names.ts';
import { check, MAX_CHECKS, migrationSettings } from '../../protocol/public/migration.ts';
import { prediction } from '../../protocol/public/prediction.ts';
import { probeReports } from '../../protocol/public/probe.ts';
import { runAtSide } from '../../protocol/public/resolve.ts';
import { wireFigures } from '../../protocol/wire.ts';
import { steeringRecord } from '../../protocol/public/steering.ts';
import { guestSnapshot } from '../guest-changes/snapshot.ts';
import { ownThrottle } from '../steering/own-throttle.ts';
import { plannedDowntimeMs, presentDowntimeMs, WIRE_UNDER_WAY_MS } from '../steering/downtime.ts';
import { strategyOf } from '../steering/strategies.ts';
import {
  copiedDisks,
  taskSight,
  whereabouts,
  type CopiedDisk,
  type ManagedOrder,
} from './task-sight.ts';

/** What can happen to a managed migration. What is journaled is exactly this. */

export const STEP_NAMES = [
  'wait',
  'inspect',
  'check',
  'prepare',
  'start',
  'watch',
  'verify',
  'finish',
] as const;
export type StepName = (typeof STEP_NAMES)[number];
const step = z.enum(STEP_NAMES);

/** Of what a manager’s driver has found as it took something back, characters. */
export const MAX_FOUND = 1024;
/** What was seen of a guest, from outside of its hypervisor. */
const looks = {
  /** What was looked at once the guest was at its destination. */
  verified: z.array(check).max(16).optional(),
  /** What was seen of it from outside while it moved. */
  vantages: probeReports.optional(),
};

/** What a step found out; kept, so that a new mover needs not ask again. */
export const managedFacts = z.object({
  memoryBytes: bytes.optional(),
  checks: z.array(check).max(MAX_CHECKS).optional(),
  /** The guest as it was inspected, to be compared with later. */
  snapshot: guestSnapshot.optional(),
  /** What `prepare` is to make, before it makes it. */
  copies: copiedDisks.optional(),
  /** What an order may leave at the destination is taken back. Journals of before have no word of it: nothing is. */
  takesBack: z.boolean().optional(),
  /** Once it has waited: when it began, wall clock, and for what. */
  beganAtMs: z.number().nonnegative().optional(),
  waited: z.string().max(1024).optional(),
  ...looks,
});
export type ManagedFacts = z.infer<typeof managedFacts>;

export const managedEvent = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('planned'),
    id: migrationId,
    guest: guestName,
    from: hostName,
    to: hostName,
    settings: migrationSettings,
    /** Wall clock when the agent was asked. */
    askedAtMs: z.number().nonnegative().optional(),
    /** What a plan of it said shortly before. */
    prediction: prediction.optional(),
  }),
  z.object({ type: z.literal('did'), step, facts: managedFacts }),
  z.object({
    type: z.literal('failed'),
    step,
    error: serialError,
    checks: z.array(check).max(MAX_CHECKS).optional(),
    ...looks,
  }),
  /** The one order to start is about to be sent. It lies on the disk before that, and is never sent again. */
  z.object({ type: z.literal('ordered') }),
  z.object({ type: z.literal('accepted') }),
  /** The manager's word that it has started no task and will not. */
  z.object({ type: z.literal('refused'), error: serialError }),
  /** Nobody knows whether the order had its effect. */
  z.object({ type: z.literal('unanswered'), error: serialError }),
  /** So much time has passed that an order which was given up can begin no task any more. */
  z.object({ type: z.literal('settled') }),
  z.object({ type: z.literal('saw'), task: taskSight }),
  z.object({ type: z.literal('found'), where: whereabouts }),
  /** The steering's decision, with the numbers it was taken on. */
  z.object({
    type: z.literal('decided'),
    what: z.enum(['postcopy', 'downtime', 'throttle', 'give-up']),
    why: z.string().max(1024),
    ...steeringRecord.shape,
  }),
  /** The manager did not do what was decided last. */
  z.object({ type: z.literal('unset'), error: serialError }),
  /** The wire was closed, and this is what it did, and the path of the disks beside it; `why` where one ended by itself. */
  z.object({
    type: z.literal('wire'),
    figures: wireFigures,
    disks: diskLink.optional(),
    why: z.string().max(1024).optional(),
  }),
  /** What was prepared is taken back, or `error` says why not all of it; `found`: what a person has to know of it. */
  z.object({
    type: z.literal('undone'),
    error: serialError.optional(),
    found: z.string().max(MAX_FOUND).optional(),
  }),
  z.object({ type: z.literal('cancel') }),
  z.object({ type: z.literal('timeout'), step, afterMs: ms }),
  z.object({ type: z.literal('taken-over'), pid: z.number().int() }),
  /** A person decided on a migration that is held. `ask`: its manager is asked again; `operator`: on that person's word. */
  z.object({
    type: z.literal('resolved'),
    runAt: runAtSide,
    proof: z.enum(['ask', 'operator']),
    by: z.string().max(128),
  }),
]);
export type ManagedEvent = z.infer<typeof managedEvent>;
export type ManagedPlanned = Extract<ManagedEvent, { type: 'planned' }>;

/** What the manager is asked to do. */
export function orderOf(
  { id, guest, from, to, settings }: Omit<ManagedPlanned, 'type' | 'askedAtMs' | 'prediction'>,
  copies: readonly CopiedDisk[] = [],
): ManagedOrder {
  const { mode, maxBandwidth, streams, compress } = settings;
  const { datastore, priority, encrypted, keepSource } = settings;
  const wire = settings.path === 'wire';
  const strategy = strategyOf(settings);
  const firstMs = presentDowntimeMs(strategy, settings.maxDowntimeMs);
  const maxDowntimeMs = Math.floor(plannedDowntimeMs(firstMs, wire ? WIRE_UNDER_WAY_MS : 0));
  const throttle = ownThrottle(strategy, mode);
  // The wire's links have the cap then, and not what the manager writes into its socket.
  const cap = maxBandwidth === undefined || wire ? {} : { maxBandwidth };
  const wanted = {
    ...defined({ datastore, priority }),
    ...(wire ? { wire } : {}),
    ...(settings.steering === undefined ? {} : { steered: true }),
    ...defined({ throttle }),
    ...(encrypted === true ? { encrypted } : {}),
    ...(keepSource === true ? { keepSource } : {}),
    ...(copies.length === 0 ? {} : { copies: [...copies] }),
  };
  return { id, guest, from, to, mode, maxDowntimeMs, streams, compress, ...cap, ...wanted };
}

/** The journal's records, as those of a direct migration: what happened, when, in order. */
export const managedRecord = z.object({
  v: z.literal(1),
  seq: z.number().int().nonnegative(),
  at: z.number(),
  mono: z.number(),
  event: managedEvent,
});
export type ManagedRecord = z.infer<typeof managedRecord>;
