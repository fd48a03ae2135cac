import { z } from 'zod';
import { measuredLine } from './measured-line.ts';
import { serialError } from '../errors.ts';
import { bytes, epoch, guestName, hostName, migrationId, shortText, siteName } from '../names.ts';
import { requestId } from '../public/order.ts';
import { descriptionNumber } from '../public/recovery.ts';
import { migrationSettings } from '../public/migration.ts';

/** ms since 1970, by the store's clock. */
export const atMs = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

/** Guests of a recovery that an operator names by their descriptions' numbers. */
const MAX_INSISTED = 1024;

const REQUEST_KINDS = ['migration', 'drain', 'evacuate', 'roll', 'recover'] as const;
export type FleetRequestKind = (typeof REQUEST_KINDS)[number];

/** Requests move guests; a rehearsal is requested at the guest's host. */
const requestSettings = migrationSettings.partial().extend({
  // No default, because a guest's label may allow a longer one.
  maxDowntimeMs: migrationSettings.shape.maxDowntimeMs.removeDefault().optional(),
  rehearse: z.literal(false, 'a request cannot be rehearsed').optional(),
});

/** Name of a program in the controller's configuration. */
export const programName = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'the name of a program');

/**
 * What was requested. A migration names a guest; a drain names one host, an evacuation, a roll and a recovery several.
 */
export const requestAsk = z.object({
  kind: z.enum(REQUEST_KINDS),
  guest: guestName.optional(),
  hosts: z.array(hostName).max(10_000).default([]),
  to: z.array(hostName).min(1).max(10_000).optional(),
  /** Deadline. A late request continues and reports that it is late. */
  deadlineAtMs: atMs.optional(),
  maxParallel: z.number().int().min(1).max(1000).optional(),
  priority: z.number().int().min(-100).max(100).default(0),
  settings: requestSettings.prefault({}),
  /**
   * Evacuation: the site of its hosts, and the destination's. Guests move by priority; those that the deadline or the
   * budget excludes are named and stay.
   */
  sites: z.object({ from: siteName, to: siteName }).optional(),
  budgetBytes: bytes.optional(),
  /** Evacuation of a site: permitted pause of a guest that cannot move otherwise. */
  maxPauseMs: z.number().int().min(0).max(60_000).optional(),
  /** Drain or evacuation: guests that cannot move live are shut down and started elsewhere. */
  cold: z.boolean().optional(),
  /** Drain of a manager's host: guests that are off leave it, too, if the manager moves them. */
  stopped: z.boolean().optional(),
  /** Recovery: guests to start from a description that may be out of date; an operator has seen each by its number. */
  insist: z
    .array(z.object({ guest: guestName, number: descriptionNumber }))
    .max(MAX_INSISTED)
    .optional(),
  /** Roll: program for each empty host. */
  run: programName.optional(),
  /** Roll: guests return to their hosts. */
  comeBack: z.boolean().optional(),
  /** Roll: time for a host to come back after its program. */
  healthyWithinMs: z.number().int().min(1000).max(86_400_000).optional(),
});
export type FleetRequestAsk = z.infer<typeof requestAsk>;

export const REQUEST_PHASES = ['working', 'cancelling', 'done', 'left', 'cancelled'] as const;
/** `left`: nothing more can be done, and guests remain. */
export type FleetRequestPhase = (typeof REQUEST_PHASES)[number];
export const isRequestEnd = (phase: FleetRequestPhase): boolean =>
  phase !== 'working' && phase !== 'cancelling';

const WAITS = [
  'host-limit',
  'destination-limit',
  'link-limit',
  'request-limit',
  'fleet-limit',
  'turn',
  'memory',
  'apart',
  'window',
  'retry',
  'destination',
  'plan',
  'other-move',
  'two-hosts',
  'manager',
  'silence',
] as const;
export type WaitsFor = (typeof WAITS)[number];

/** A guest whose move has not begun. */
export const waiting = z.object({
  guest: guestName,
  from: hostName,
  to: hostName.optional(),
  waitsFor: z.enum(WAITS),
  words: shortText,
  startsAtMs: atMs.optional(),
});
export type Waiting = z.infer<typeof waiting>;

export const stay = z.object({ guest: guestName, host: hostName, words: shortText });
export type Stay = z.infer<typeof stay>;

export const plannedStep = z.object({
  guest: guestName,
  to: hostName,
  seconds: z.number().nonnegative(),
  /**
   * How it moves, if not live as usual. For an evacuation of a site also the bytes sent and the start, seconds after
   * the plan.
   */
  how: z.enum(['precopy', 'postcopy', 'pause', 'cold']).optional(),
  bytes: bytes.optional(),
  startsInSeconds: z.number().nonnegative().optional(),
});
export type PlannedStep = z.infer<typeof plannedStep>;

export const tries = z.object({
  count: z.number().int().nonnegative(),
  notBeforeMs: atMs,
  /** Hosts of failed attempts. */
  at: z.array(hostName).max(16),
  error: serialError.optional(),
  cancelled: migrationId.optional(),
});
export type Tries = z.infer<typeof tries>;

export const ROLL_STAGES = [
  'planning',
  'draining',
  'noting',
  'running',
  'waiting',
  'returning',
] as const;
/**
 * Stage of a roll at one host. `planning`: nothing is done yet. `noting`: it is empty, and its facts are recorded.
 * `running`: the site's program. `waiting`: until it is back. `returning`: guests return.
 */
export type RollStage = (typeof ROLL_STAGES)[number];

/** Facts that a program announces. */
export const rollPromise = z.strictObject({
  boot: z.literal('new').optional(),
  version: z.string().min(1).max(128).optional(),
});
export type RollPromise = z.infer<typeof rollPromise>;

export const roll = z.object({
  at: z.number().int().nonnegative().max(10_000),
  stage: z.enum(ROLL_STAGES),
  sinceMs: atMs,
  /** The host's facts before its program. */
  before: z
    .object({ version: z.string().max(128), bootId: z.string().max(128).optional() })
    .optional(),
  promised: rollPromise.optional(),
  away: z.array(guestName).max(10_000),
});
export type Roll = z.infer<typeof roll>;

/**
 * Drain of a manager's host. `wanted`: the host is read first. `asking`: the order to enter may have arrived.
 * `entering`: it has begun, and guests remain. `refused`: it is not asked again. `leaving`: after a cancel, the mode is
 * being left. `out`: it was left.
 */
const MODE_PHASES = ['wanted', 'asking', 'entering', 'in', 'refused', 'leaving', 'out'] as const;

export const requestMode = z.object({
  phase: z.enum(MODE_PHASES),
  moves: z.enum(['manager', 'godwit']),
  words: z.string().max(128),
  /** The host was in the mode before the drain, and stays in it. */
  found: z.boolean(),
  /** The order to enter may have been sent; absent: written by an earlier build. */
  asked: z.boolean().optional(),
  tries: z.number().int().nonnegative(),
  notBeforeMs: atMs,
  reason: shortText.optional(),
});
export type FleetRequestMode = z.infer<typeof requestMode>;

const guestSize = z.object({
  precopyBytes: bytes.optional(),
  postcopyBytes: bytes.optional(),
});
export type GuestSize = z.infer<typeof guestSize>;

export const MAX_GUESTS = 10_000;

export const fleetRequest = z.object({
  id: requestId,
  ask: requestAsk,
  phase: z.enum(REQUEST_PHASES),
  createdAtMs: atMs,
  createdBy: z.string().max(256),
  endedAtMs: atMs.optional(),
  order: z.array(plannedStep).max(MAX_GUESTS),
  parallel: z.number().int().min(1),
  plannedAtMs: atMs,
  tries: z.record(guestName, tries),
  refused: z.record(guestName, shortText),
  queue: z.array(waiting).max(MAX_GUESTS),
  stays: z.array(stay).max(MAX_GUESTS),
  roll: roll.optional(),
  maintenanceMode: requestMode.optional(),
  /** Evacuation of a site: sizes measured when it was requested. */
  sizes: z.record(guestName, guestSize).optional(),
  measuredLine: measuredLine.optional(),
  moved: z.number().int().nonnegative(),
  words: shortText,
});
export type FleetRequest = z.infer<typeof fleetRequest>;

export const MOVE_PHASES = [
  'chosen',
  'running',
  'withdrawing',
  'held',
  'done',
  'failed',
  'cancelled',
  'lost',
  'dropped',
] as const;
/**
 * `chosen`: stored, perhaps not yet ordered. `withdrawing`: must not begin, without proof so far. `dropped`: it never
 * began and never will.
 */
export type MovePhase = (typeof MOVE_PHASES)[number];

/** The migration's id is stored before any agent is asked. `withdrawn`: by the engine, after a refusal. */
export const move = z.object({
  id: migrationId,
  request: requestId,
  guest: guestName,
  from: hostName,
  to: hostName,
  attempt: z.number().int().min(1),
  phase: z.enum(MOVE_PHASES),
  /** The highest epoch of any order to begin it. */
  askedEpoch: epoch,
  memoryBytes: bytes,
  bytes: bytes.optional(),
  seconds: z.number().nonnegative(),
  createdAtMs: atMs,
  endedAtMs: atMs.optional(),
  /** It has ended, and nothing is reserved for it. */
  settled: z.boolean(),
  settings: migrationSettings.partial(),
  withdrawn: z.literal(true).optional(),
  /** The guest's host is dead: `to` starts the guest after proving `from` and these hosts off. */
  recovers: z
    .object({ off: z.array(hostName).max(64), insist: descriptionNumber.optional() })
    .optional(),
  error: serialError.optional(),
});
export type Move = z.infer<typeof move>;

export function newRequest(
  id: string,
  ask: FleetRequestAsk,
  { nowMs, by }: { readonly nowMs: number; readonly by: string },
): FleetRequest {
  return {
    id,
    ask,
    phase: 'working',
    createdAtMs: nowMs,
    createdBy: by,
    order: [],
    parallel: 1,
    plannedAtMs: 0,
    tries: {},
    refused: {},
    queue: [],
    stays: [],
    moved: 0,
    words: 'it was asked for, and nothing is planned yet',
  };
}
