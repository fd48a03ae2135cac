import { z } from 'zod';
import { measuredLine } from './measured-line.ts';
import { serialError } from '../errors.ts';
import { bytes, epoch, guestName, hostName, migrationId, shortText, siteName } from '../names.ts';
import { requestId } from '../public/order.ts';
import { descriptionNumber } from '../public/recovery.ts';
import { migrationSettings } from '../public/migration.ts';

/** ms since 1970, by the clock of the store. */
export const atMs = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

/** Guests of one recovery that an operator names by the number of a description. */
const MAX_INSISTED = 1024;

const REQUEST_KINDS = ['migration', 'drain', 'evacuate', 'roll', 'recover'] as const;
export type FleetRequestKind = (typeof REQUEST_KINDS)[number];

/** A fleet's request moves guests: a rehearsal is asked of one guest's own host. */
const requestSettings = migrationSettings.partial().extend({
  // Absent where nobody asked for one: a guest's label may allow a longer one than is usual.
  maxDowntimeMs: migrationSettings.shape.maxDowntimeMs.removeDefault().optional(),
  rehearse: z.literal(false, 'a request cannot be rehearsed').optional(),
});

/** By which a person names a program of the controller's configuration. */
export const programName = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'the name of a program');

/** What a person asked for. A migration names a guest; a drain names one host, an evacuation, a roll and a recovery several. */
export const requestAsk = z.object({
  kind: z.enum(REQUEST_KINDS),
  guest: guestName.optional(),
  hosts: z.array(hostName).max(10_000).default([]),
  /** Where guests may go; absent: anywhere. */
  to: z.array(hostName).min(1).max(10_000).optional(),
  /** When it is to be true. Later than that it goes on, and says that it is late. */
  deadlineAtMs: atMs.optional(),
  /** Moves at a time, at most. */
  maxParallel: z.number().int().min(1).max(1000).optional(),
  /** The greater one goes first. */
  priority: z.number().int().min(-100).max(100).default(0),
  settings: requestSettings.prefault({}),
  /**
   * Of an evacuation: its hosts are at the one site, those it goes to at the other. Guests go by priority, and those
   * that the deadline or the budget leaves no room for are named and stay.
   */
  sites: z.object({ from: siteName, to: siteName }).optional(),
  /** Of an evacuation of a site: what its moves may send over the line, bytes. */
  budgetBytes: bytes.optional(),
  /** Of an evacuation of a site: how long a guest may be paused if it cannot move otherwise. */
  maxPauseMs: z.number().int().min(0).max(60_000).optional(),
  /** Of a drain or an evacuation: guests that cannot move live are shut down and started where they go. */
  cold: z.boolean().optional(),
  /** Of a drain of a manager's host: guests that are off leave it, too, where the manager moves them. */
  stopped: z.boolean().optional(),
  /** Of a recovery: guests that start from a description that may be out of date; an operator has seen each by its number. */
  insist: z
    .array(z.object({ guest: guestName, number: descriptionNumber }))
    .max(MAX_INSISTED)
    .optional(),
  /** Of a roll: what is run for each host once it is empty. */
  run: programName.optional(),
  /** Of a roll: guests that left a host come back to it. */
  comeBack: z.boolean().optional(),
  /** Of a roll: for how long a host is waited for after its program. */
  healthyWithinMs: z.number().int().min(1000).max(86_400_000).optional(),
});
export type FleetRequestAsk = z.infer<typeof requestAsk>;

export const REQUEST_PHASES = ['working', 'cancelling', 'done', 'left', 'cancelled'] as const;
/** `left`: nothing more can be done, and guests are there still. */
export type FleetRequestPhase = (typeof REQUEST_PHASES)[number];
export const isRequestEnd = (phase: FleetRequestPhase): boolean =>
  phase !== 'working' && phase !== 'cancelling';

/** What an entry of the queue waits for. */
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

/** A guest that is to move and does not yet. */
export const waiting = z.object({
  guest: guestName,
  from: hostName,
  to: hostName.optional(),
  waitsFor: z.enum(WAITS),
  words: shortText,
  /** By prediction; absent where nobody knows. */
  startsAtMs: atMs.optional(),
});
export type Waiting = z.infer<typeof waiting>;

/** A guest that stays for good as far as this request goes, and why. */
export const stay = z.object({ guest: guestName, host: hostName, words: shortText });
export type Stay = z.infer<typeof stay>;

/** A move of the plan; `seconds` by prediction. */
export const plannedStep = z.object({
  guest: guestName,
  to: hostName,
  seconds: z.number().nonnegative(),
  /** How it goes, where that is not live as usual; of an evacuation of a site also what it sends, and when it begins, s from the plan. */
  how: z.enum(['precopy', 'postcopy', 'pause', 'cold']).optional(),
  bytes: bytes.optional(),
  startsInSeconds: z.number().nonnegative().optional(),
});
export type PlannedStep = z.infer<typeof plannedStep>;

/** What became of a guest's earlier moves for this request. `cancelled`: by a person, and so it was the last one. */
export const tries = z.object({
  count: z.number().int().nonnegative(),
  notBeforeMs: atMs,
  /** Where it failed. */
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
 * Where a roll is with one host. `planning`: nothing has been done yet. `noting`: it is empty, and is asked what it is, so
 * that it is known again. `running`: the site's program. `waiting`: until it is back. `returning`: guests may come again.
 */
export type RollStage = (typeof ROLL_STAGES)[number];

/** What a program promises of its host: what it does not name stays as it was. */
export const rollPromise = z.strictObject({
  boot: z.literal('new').optional(),
  version: z.string().min(1).max(128).optional(),
});
export type RollPromise = z.infer<typeof rollPromise>;

export const roll = z.object({
  /** Which of the hosts that were asked for, from 0. */
  at: z.number().int().nonnegative().max(10_000),
  stage: z.enum(ROLL_STAGES),
  /** Since when it is in that stage. */
  sinceMs: atMs,
  /** What the host said of itself before its program. */
  before: z
    .object({ version: z.string().max(128), bootId: z.string().max(128).optional() })
    .optional(),
  promised: rollPromise.optional(),
  /** Guests that left the host, where they are to come back. */
  away: z.array(guestName).max(10_000),
});
export type Roll = z.infer<typeof roll>;

/**
 * Of a drain of a manager's host. `wanted`: the host is looked at first. `asking`: it is to enter the mode, and the manager may
 * have heard of that. `entering`: it has begun, and guests are there.
 * `refused`: it is asked no more. `leaving`: the drain is cancelled, and the host is to be in use as before. `out`: it is.
 */
const MODE_PHASES = ['wanted', 'asking', 'entering', 'in', 'refused', 'leaving', 'out'] as const;

export const requestMode = z.object({
  phase: z.enum(MODE_PHASES),
  /** Who moves its guests: the manager, or Godwit; and in the manager's words who that is, or why not. */
  moves: z.enum(['manager', 'godwit']),
  words: z.string().max(128),
  /** The host was in the mode, or on its way, before the drain asked: then it stays so. */
  found: z.boolean(),
  /** The manager may have been asked to put the host into it; absent where a controller of the previous build wrote it. */
  asked: z.boolean().optional(),
  tries: z.number().int().nonnegative(),
  notBeforeMs: atMs,
  /** Why it is not in the mode. */
  reason: shortText.optional(),
});
export type FleetRequestMode = z.infer<typeof requestMode>;

/** What a move of a guest is predicted to send, without its disks: absent where it would not end, or its host cannot do it. */
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
  /** Moves at a time that the plan found best. */
  parallel: z.number().int().min(1),
  plannedAtMs: atMs,
  tries: z.record(guestName, tries),
  /** Why the plan has no destination for a guest. */
  refused: z.record(guestName, shortText),
  queue: z.array(waiting).max(MAX_GUESTS),
  stays: z.array(stay).max(MAX_GUESTS),
  roll: roll.optional(),
  maintenanceMode: requestMode.optional(),
  /** Of an evacuation of a site: guests that their hosts measured when it was asked for. */
  sizes: z.record(guestName, guestSize).optional(),
  /** The same of the line: what these sizes rest on. */
  measuredLine: measuredLine.optional(),
  /** Guests that were moved for it. */
  moved: z.number().int().nonnegative(),
  /** Where it stands, for people. */
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
 * `chosen`: stored, and its agent may not have heard of it. `withdrawing`: it is not to begin any more, and that is not
 * proved yet. `dropped`: it never began, and never will.
 */
export type MovePhase = (typeof MOVE_PHASES)[number];

/** One migration of a request. Its id is stored before any agent is asked. `withdrawn`: by the engine, after a refusal. */
export const move = z.object({
  id: migrationId,
  request: requestId,
  guest: guestName,
  from: hostName,
  to: hostName,
  attempt: z.number().int().min(1),
  phase: z.enum(MOVE_PHASES),
  /** The highest epoch under which an agent may have been asked to begin it. */
  askedEpoch: epoch,
  memoryBytes: bytes,
  /** What it is predicted to send, where its request counts that. */
  bytes: bytes.optional(),
  seconds: z.number().nonnegative(),
  createdAtMs: atMs,
  endedAtMs: atMs.optional(),
  /** It has ended and nothing is reserved for it any more. */
  settled: z.boolean(),
  settings: migrationSettings.partial(),
  withdrawn: z.literal(true).optional(),
  /** Its host is dead: the guest is started at `to`, which proves `from` and these off first. */
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
