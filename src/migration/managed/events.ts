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

/** Maximum length of a driver's finding from an undo, characters. */
export const MAX_FOUND = 1024;
const looks = {
  verified: z.array(check).max(16).optional(),
  vantages: probeReports.optional(),
};

export const managedFacts = z.object({
  memoryBytes: bytes.optional(),
  checks: z.array(check).max(MAX_CHECKS).optional(),
  snapshot: guestSnapshot.optional(),
  /** Recorded before `prepare` makes them. */
  copies: copiedDisks.optional(),
  /**
   * True if the driver undoes the effects of an order at the destination. Earlier journals lack it: nothing is
   * undone.
   */
  takesBack: z.boolean().optional(),
  /** Wall clock at the start, after a wait, and the event that it waited for. */
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
    askedAtMs: z.number().nonnegative().optional(),
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
  /** The only order to start is about to be sent. Synced before; never repeated. */
  z.object({ type: z.literal('ordered') }),
  z.object({ type: z.literal('accepted') }),
  /** The manager reports that it started no task and will not. */
  z.object({ type: z.literal('refused'), error: serialError }),
  z.object({ type: z.literal('unanswered'), error: serialError }),
  /** An abandoned order can no longer start a task. */
  z.object({ type: z.literal('settled') }),
  z.object({ type: z.literal('saw'), task: taskSight }),
  z.object({ type: z.literal('found'), where: whereabouts }),
  z.object({
    type: z.literal('decided'),
    what: z.enum(['postcopy', 'downtime', 'throttle', 'give-up']),
    why: z.string().max(1024),
    ...steeringRecord.shape,
  }),
  z.object({ type: z.literal('unset'), error: serialError }),
  /** Final figures of the wire and of the disks' path; `why` if one ended by itself. */
  z.object({
    type: z.literal('wire'),
    figures: wireFigures,
    disks: diskLink.optional(),
    why: z.string().max(1024).optional(),
  }),
  /** The preparation was undone; `error`: not entirely; `found`: a note for the operator. */
  z.object({
    type: z.literal('undone'),
    error: serialError.optional(),
    found: z.string().max(MAX_FOUND).optional(),
  }),
  z.object({ type: z.literal('cancel') }),
  z.object({ type: z.literal('timeout'), step, afterMs: ms }),
  z.object({ type: z.literal('taken-over'), pid: z.number().int() }),
  /**
   * An operator's decision on a held migration. `ask`: the manager is asked again; `operator`: the operator answers.
   */
  z.object({
    type: z.literal('resolved'),
    runAt: runAtSide,
    proof: z.enum(['ask', 'operator']),
    by: z.string().max(128),
  }),
]);
export type ManagedEvent = z.infer<typeof managedEvent>;
export type ManagedPlanned = Extract<ManagedEvent, { type: 'planned' }>;

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
  // The cap applies to the wire's links, if any, and not to the manager's socket.
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

export const managedRecord = z.object({
  v: z.literal(1),
  seq: z.number().int().nonnegative(),
  at: z.number(),
  mono: z.number(),
  event: managedEvent,
});
export type ManagedRecord = z.infer<typeof managedRecord>;
