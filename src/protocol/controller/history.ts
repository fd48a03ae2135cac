import { z } from 'zod';
import type { ErrorCode } from '../../errors.ts';
import { bytes, guestName, hostName, migrationId, moment, ms, shortText } from '../names.ts';
import { eventId } from '../public/hosts/host-event.ts';
import { cancelAnswer, END_PHASES, mode, phase, progress, report } from '../public/migration.ts';
import { requestId } from '../public/order.ts';
import { cursor, MAX_PER_PAGE, pageQuery } from '../public/page.ts';
import { LIST_BYTES, REPORT_BYTES, route } from '../route.ts';

const STORING = ['GODWIT_STORE'] as const satisfies ErrorCode[];
/** The agent of a migration's host is asked. */
const ASKING = [
  'GODWIT_UNREACHABLE',
  'GODWIT_HOST_UNKNOWN',
  'GODWIT_PROTOCOL_VERSION',
] as const satisfies ErrorCode[];

const byId = z.object({ id: migrationId });
/** The host that the guest left, if several hosts report that id. */
const ofSource = z.object({ source: hostName.optional() });
const percent = z.number().min(0).max(100);
const share = z.number().min(0).max(1);
const count = z.number().int().nonnegative();

/** How a migration ended. `held`: a person must decide; it may go on afterwards. */
export const migrationOutcome = z.enum(END_PHASES);
export type MigrationOutcome = z.infer<typeof migrationOutcome>;

/** A migration in the history of a fleet, whoever began it. Moments by the clock of the host that it left. */
export const fleetMigration = z.object({
  id: migrationId,
  guest: guestName,
  source: hostName,
  destination: hostName,
  mode,
  state: z.enum(['open', 'ended']),
  outcome: migrationOutcome.optional(),
  startedAt: moment,
  endedAt: moment.optional(),
  /** Without the time for which it waited for its moment, where its host gave a report. */
  totalMs: ms.optional(),
  /** The hypervisor's figure, ms. */
  downtimeMs: ms.optional(),
  /** The longest time without an answer that a host which watched the guest saw, ms. */
  clientGapMs: ms.optional(),
  /** Of memory, over the link. */
  bytes: bytes.optional(),
  /** Of the whole of one that is open, where the controller that is asked follows its source; never less than before. */
  percent: percent.optional(),
  /** Where it stands, of one that is open. */
  step: phase.optional(),
  /** The request that asked for it, and who asked for that; absent where a person began it at an agent. */
  request: requestId.optional(),
  by: z.string().max(256).optional(),
  /** Why it did not come to its end. */
  code: z.string().max(64).optional(),
  words: shortText.optional(),
});
export type FleetMigration = z.infer<typeof fleetMigration>;

/** In the fleet's events: each migration begins and ends once; between, how far it is, at most one a second of each. */
export const migrationHappened = z.object({
  type: z.literal('migration'),
  what: z.enum(['begun', 'progress', 'ended']),
  migration: fleetMigration,
});

/** `report`: as its agent made it; of one that is open, what it is so far. `progress`: of one that is open. */
const fleetMigrationDetail = fleetMigration.extend({
  report: report.optional(),
  progress: progress.optional(),
  /** Why there is no report. */
  withoutReport: shortText.optional(),
});
export type FleetMigrationDetail = z.infer<typeof fleetMigrationDetail>;

/** What happens in a migration, as its source's agent reports it. */
export const migrationNews = z.intersection(
  z.object({ id: eventId }),
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('progress'), progress }),
    /** After each round and each step: rounds and decisions so far, all of them. */
    z.object({ type: z.literal('report'), report }),
    /** Nobody knows how it stands; it is asked again. */
    z.object({ type: z.literal('silent'), words: shortText }),
    /** The last one. */
    z.object({ type: z.literal('ended'), migration: fleetMigration }),
  ]),
);
export type MigrationNews = z.infer<typeof migrationNews>;

/** A migration of a guest that did not take it elsewhere. */
const guestTry = z.object({
  migration: migrationId,
  to: hostName,
  outcome: migrationOutcome,
  at: moment,
  words: shortText.optional(),
});

/** A time for which a guest was on one host. */
export const guestStay = z.object({
  host: hostName,
  /** Absent: since before anything that is kept. */
  from: moment.optional(),
  /** Absent: it is there still, as far as anybody knows. */
  to: moment.optional(),
  /** Why it came, in words; with the migration that brought it. */
  why: shortText,
  migration: migrationId.optional(),
  request: requestId.optional(),
  by: z.string().max(256).optional(),
  /** What was tried meanwhile and came to nothing, oldest first. */
  tries: z.array(guestTry).max(1000),
});
export type GuestStay = z.infer<typeof guestStay>;

/** How often an amount lay where. */
export const distribution = z.object({
  count,
  least: z.number(),
  mean: z.number(),
  most: z.number(),
  /** The share of them that was not above the amount. */
  quantiles: z.array(z.object({ share, amount: z.number() })).max(16),
  /** From one bound up to and without the next, rising. */
  bins: z.array(z.object({ from: z.number(), to: z.number(), count })).max(64),
});
export type Distribution = z.infer<typeof distribution>;

export const PREDICTED = [
  'bytes',
  'totalMs',
  'memoryMs',
  'rounds',
  'downtimeMs',
  'clientGapMs',
] as const;

/** What is predicted of disks that are copied: of all of a migration together, and of the guest's own requests to each. */
export const DISK_PREDICTED = [
  'diskBytes',
  'diskMs',
  'readsP50Ms',
  'readsP99Ms',
  'writesP50Ms',
  'writesP99Ms',
  'flushesP50Ms',
  'flushesP99Ms',
] as const;

/** What was predicted of migrations that came to their end, beside what they came to. */
const predictionScore = z.object({
  of: z.enum(PREDICTED),
  count,
  /** How many lay within the range, and how many the ranges were made to hold. */
  within: share,
  level: share,
  /** (what it came to - the middle) / the middle; 0.1: a tenth more than was predicted. */
  error: distribution,
  /** The same without its sign. */
  size: distribution,
});
export type PredictionScore = z.infer<typeof predictionScore>;

/** The same; of the guest's requests each disk counts. */
const diskScore = predictionScore.extend({ of: z.enum(DISK_PREDICTED) });
export type DiskScore = z.infer<typeof diskScore>;

/** What the migrations of a time came to. */
export const insight = z.object({
  since: moment,
  until: moment,
  /** Migrations that ended in it and are counted here; the newest, where there were more than are read. */
  count,
  isPart: z.boolean(),
  outcomes: z.array(z.object({ outcome: migrationOutcome, count })).max(8),
  /** Of those that came to their end; absent where none has any. */
  totalMs: distribution.optional(),
  downtimeMs: distribution.optional(),
  clientGapMs: distribution.optional(),
  bytes: distribution.optional(),
  predictions: z.array(predictionScore).max(PREDICTED.length),
  /** Absent where none of them copied disks, and of earlier builds. */
  diskPredictions: z.array(diskScore).max(DISK_PREDICTED.length).optional(),
  /** Guest memory that did not travel as it was, by how it went instead; the most first. */
  saved: z.array(z.object({ kind: z.string().max(32), bytes })).max(32),
  /** The most frequent first, each with the newest migration that it ended. */
  failures: z.array(z.object({ code: z.string().max(64), count, newest: migrationId })).max(256),
});
export type Insight = z.infer<typeof insight>;

/** Who was where, when and why: every migration of the fleet. */
export const historyRoutes = {
  migrations: route({
    method: 'GET',
    path: '/v1/migrations',
    summary: 'The migrations of the fleet, whoever began them, newest first',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    query: z.object({
      guest: guestName.optional(),
      /** Their source or their destination. */
      host: hostName.optional(),
      state: z.enum(['open', 'ended']).optional(),
      outcome: migrationOutcome.optional(),
      /** Begun at that moment or later. */
      since: z.iso.datetime().max(64).optional(),
      ...pageQuery(100),
    }),
    response: z.object({
      migrations: z.array(fleetMigration).max(MAX_PER_PAGE),
      next: cursor.optional(),
    }),
    errors: STORING,
  }),
  migration: route({
    method: 'GET',
    path: '/v1/migrations/:id',
    summary: 'One migration with its report; of one that is open, how it stands now',
    access: 'viewer',
    answerBytes: REPORT_BYTES,
    params: byId,
    query: ofSource,
    response: fleetMigrationDetail,
    errors: [...STORING, 'GODWIT_MIGRATION_UNKNOWN', 'GODWIT_MIGRATION_AMBIGUOUS'],
  }),
  migrationEvents: route({
    method: 'GET',
    path: '/v1/migrations/:id/progress',
    summary: 'What happens in a migration until it ends, as its source reports it',
    access: 'viewer',
    answerBytes: REPORT_BYTES,
    params: byId,
    query: ofSource,
    response: migrationNews,
    stream: true,
    framing: 'events',
    errors: [...STORING, 'GODWIT_MIGRATION_UNKNOWN', 'GODWIT_MIGRATION_AMBIGUOUS'],
  }),
  cancelMigration: route({
    method: 'POST',
    path: '/v1/migrations/:id/cancel',
    summary: 'Ask the source to roll a migration back; says at once what will happen',
    access: 'operator',
    params: byId,
    /** `request`: the one of the fleet that it is a move of, which does not move the guest again. */
    query: ofSource.extend({ request: requestId.optional() }),
    response: cancelAnswer,
    errors: [
      ...STORING,
      ...ASKING,
      'GODWIT_MIGRATION_UNKNOWN',
      'GODWIT_MIGRATION_AMBIGUOUS',
      'GODWIT_MIGRATION_OF_REQUEST',
      'GODWIT_CANCEL_TOO_LATE',
      'GODWIT_ORDER_STALE',
    ],
  }),
  guestHistory: route({
    method: 'GET',
    path: '/v1/guests/:guest/history',
    summary: 'Every host that a guest was on, when and why, newest first, as far as it is kept',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    params: z.object({ guest: guestName }),
    response: z.object({
      guest: guestName,
      stays: z.array(guestStay).max(1000),
      /** Older ones are left out. */
      isPart: z.boolean(),
    }),
    errors: [...STORING, 'GODWIT_GUEST_UNKNOWN'],
  }),
  insight: route({
    method: 'GET',
    path: '/v1/insight',
    summary: 'What the migrations of a time came to: distributions, predictions, failures',
    access: 'viewer',
    answerBytes: REPORT_BYTES,
    /** Absent: the last 30 days. */
    query: z.object({ since: z.iso.datetime().max(64).optional() }),
    response: insight,
    errors: STORING,
  }),
};
