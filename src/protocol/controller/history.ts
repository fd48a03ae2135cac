import { z } from 'zod';
import type { ErrorCode } from '../../errors.ts';
import { bytes, guestName, hostName, migrationId, moment, ms, shortText } from '../names.ts';
import { eventId } from '../public/hosts/host-event.ts';
import { cancelAnswer, END_PHASES, mode, phase, progress, report } from '../public/migration.ts';
import { requestId } from '../public/order.ts';
import { cursor, MAX_PER_PAGE, pageQuery } from '../public/page.ts';
import { LIST_BYTES, REPORT_BYTES, route } from '../route.ts';

const STORING = ['GODWIT_STORE'] as const satisfies ErrorCode[];
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

/** How a migration ended. `held`: an operator must decide; it may continue afterwards. */
export const migrationOutcome = z.enum(END_PHASES);
export type MigrationOutcome = z.infer<typeof migrationOutcome>;

/** Times by the clock of its source. */
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
  /** Without the wait for its start. */
  totalMs: ms.optional(),
  downtimeMs: ms.optional(),
  /** Longest time without an answer, as seen by a watching host, ms. */
  clientGapMs: ms.optional(),
  bytes: bytes.optional(),
  /** Progress of an open one as a whole, if the called controller follows its source; never decreases. */
  percent: percent.optional(),
  step: phase.optional(),
  request: requestId.optional(),
  by: z.string().max(256).optional(),
  code: z.string().max(64).optional(),
  words: shortText.optional(),
});
export type FleetMigration = z.infer<typeof fleetMigration>;

/** Event: each migration begins and ends once; progress between, at most once a second. */
export const migrationHappened = z.object({
  type: z.literal('migration'),
  what: z.enum(['begun', 'progress', 'ended']),
  migration: fleetMigration,
});

/** `report`: from its agent; of an open one, the interim report. `progress`: of an open one. */
const fleetMigrationDetail = fleetMigration.extend({
  report: report.optional(),
  progress: progress.optional(),
  withoutReport: shortText.optional(),
});
export type FleetMigrationDetail = z.infer<typeof fleetMigrationDetail>;

export const migrationNews = z.intersection(
  z.object({ id: eventId }),
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('progress'), progress }),
    /** After each round and step, with all rounds and decisions so far. */
    z.object({ type: z.literal('report'), report }),
    /** The state is unknown; the host is asked again. */
    z.object({ type: z.literal('silent'), words: shortText }),
    z.object({ type: z.literal('ended'), migration: fleetMigration }),
  ]),
);
export type MigrationNews = z.infer<typeof migrationNews>;

const guestTry = z.object({
  migration: migrationId,
  to: hostName,
  outcome: migrationOutcome,
  at: moment,
  words: shortText.optional(),
});

export const guestStay = z.object({
  host: hostName,
  /** Absent: since before the kept history. */
  from: moment.optional(),
  /** Absent: it is still there. */
  to: moment.optional(),
  why: shortText,
  migration: migrationId.optional(),
  request: requestId.optional(),
  by: z.string().max(256).optional(),
  /** Failed attempts meanwhile, oldest first. */
  tries: z.array(guestTry).max(1000),
});
export type GuestStay = z.infer<typeof guestStay>;

export const distribution = z.object({
  count,
  least: z.number(),
  mean: z.number(),
  most: z.number(),
  /** Amounts that the given shares of the values do not exceed. */
  quantiles: z.array(z.object({ share, amount: z.number() })).max(16),
  /** Intervals from a bound up to and without the next, rising. */
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

/** Predictions about copied disks: total per migration, and the guest's requests to each. */
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

const predictionScore = z.object({
  of: z.enum(PREDICTED),
  count,
  /** Share within the range, and the intended share. */
  within: share,
  level: share,
  /** (result - middle) / middle; 0.1: a tenth more than predicted. */
  error: distribution,
  /** Absolute error. */
  size: distribution,
});
export type PredictionScore = z.infer<typeof predictionScore>;

/** The same; each disk's requests count. */
const diskScore = predictionScore.extend({ of: z.enum(DISK_PREDICTED) });
export type DiskScore = z.infer<typeof diskScore>;

export const insight = z.object({
  since: moment,
  until: moment,
  /** Counted migrations that ended in it, the newest if there are too many. */
  count,
  isPart: z.boolean(),
  outcomes: z.array(z.object({ outcome: migrationOutcome, count })).max(8),
  /** Times of completed migrations; absent if there are none. */
  totalMs: distribution.optional(),
  downtimeMs: distribution.optional(),
  clientGapMs: distribution.optional(),
  bytes: distribution.optional(),
  predictions: z.array(predictionScore).max(PREDICTED.length),
  /** Absent if none copied disks, and in earlier builds. */
  diskPredictions: z.array(diskScore).max(DISK_PREDICTED.length).optional(),
  /** Guest memory that was not sent as is, by encoding, most first. */
  saved: z.array(z.object({ kind: z.string().max(32), bytes })).max(32),
  /** Most frequent first, each with its newest migration. */
  failures: z.array(z.object({ code: z.string().max(64), count, newest: migrationId })).max(256),
});
export type Insight = z.infer<typeof insight>;

export const historyRoutes = {
  migrations: route({
    method: 'GET',
    path: '/v1/migrations',
    summary: 'The migrations of the fleet, whoever began them, newest first',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    query: z.object({
      guest: guestName.optional(),
      host: hostName.optional(),
      state: z.enum(['open', 'ended']).optional(),
      outcome: migrationOutcome.optional(),
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
    /** `request`: its fleet request, which then does not move the guest again. */
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
