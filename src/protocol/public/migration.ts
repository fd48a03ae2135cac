import { z } from 'zod';
import { copiedDisks, diskPace, diskProgress } from '../disk.ts';
import { serialError } from '../errors.ts';
import {
  bytes,
  datastoreName,
  guestName,
  hostName,
  migrationId,
  moment,
  ms,
  pathAddress,
  shortText,
} from '../names.ts';
import { networkMap } from '../network.ts';
import { halt } from '../guest-halt.ts';
import { runsAt } from './hosts/host.ts';
import { ballooned, balloonPolicy } from './balloon.ts';
import { requestId } from './order.ts';
import { prediction } from './prediction.ts';
import { probeReports } from './probe.ts';
import { chosenStream, compression, compressLevel, streams } from './compression.ts';
import { mode } from './hosts/mode.ts';
import { rehearsal } from './rehearsal.ts';
import { returned, returnIfUnhealthy, returns, siteCheck } from './site-check.ts';
import { roundReport, steering, steeringRecord } from './steering.ts';
import { transport } from './transport.ts';
import { plugs, unplugs } from '../unplug.ts';
import { wireFigures } from '../wire.ts';

export { END_PHASES, isEnd, type EndPhase } from './end-phases.ts';

export { mode, streamMode, streamModeOf } from './hosts/mode.ts';
export type { Mode, StreamMode } from './hosts/mode.ts';

export { chosenStream, compression } from './compression.ts';
export type { ChosenStream, Compression } from './compression.ts';

/**
 * The data path of memory: from hypervisor to hypervisor, or through the movers, which send only what the other side cannot
 * know; `auto` takes the one that is predicted to be sooner there.
 */
export const dataPath = z.enum(['auto', 'native', 'wire']);
export type DataPath = z.infer<typeof dataPath>;

/** What the user asks of a migration; every wait is bounded by `timeoutMs`. */
export const migrationSettings = z.object({
  mode: mode.default('precopy'),
  /** The longest switchover that pre-copy may plan for, ms. */
  maxDowntimeMs: z.number().int().min(1).max(60_000).default(100),
  /** Cap for the memory stream, bytes/s; absent: what the link gives. */
  maxBandwidth: z.number().int().min(1024).optional(),
  /** Memory uses at most this share of the measured rate of the link, and at most `maxBandwidth`. */
  linkShare: z.number().min(0.01).max(1).optional(),
  streams: streams.default(1),
  compress: compression.default('none'),
  compressLevel,
  /** How long the whole migration may take before it is rolled back, ms. */
  timeoutMs: z.number().int().min(1000).max(86_400_000).default(600_000),
  /** Nothing is touched before; `timeoutMs` runs from then on. */
  notBefore: moment.optional(),
  /** It waits for a moment in which the guest writes little; after so long it begins all the same, ms. */
  whenQuiet: z.object({ withinMs: z.number().int().min(1000).max(86_400_000) }).optional(),
  /** The guest's owner is notified so long ahead, ms, by the hook `notice` of the source. */
  noticeMs: z.number().int().min(1000).max(3_600_000).optional(),
  /** It is over by then, if that is sooner than `timeoutMs`: rolled back where the switch has not begun. */
  deadlineAt: moment.optional(),
  /** Hybrid: rounds of pre-copy before post-copy takes over, when it has not converged earlier. */
  hybridRounds: z.number().int().min(1).max(50).default(3),
  /** How it is steered while memory moves: a strategy; absent: as the mode has it. Its post-copy needs the mode hybrid. */
  steering: steering.optional(),
  /** Other paths to the destination, tried in order where its own address does not answer; absent: those it is known by. */
  pathAddresses: z.array(pathAddress).max(8).optional(),
  /** The destination has died for good amid post-copy: leave all as it is, or start the guest anew at the source. */
  onLost: z.enum(['hold', 'restart']).default('hold'),
  /** Absent: native, and over tcp. */
  path: dataPath.optional(),
  transport: transport.optional(),
  /** Wire: for how long its links may be cut before the hypervisor sees it, ms; absent: DEFAULT_LINK_GRACE_MS. */
  linkGraceMs: z.number().int().min(1000).max(120_000).optional(),
  /** Disks that are copied are kept at the source, most drivers give them another name; absent: removed once the guest runs elsewhere. */
  keepSource: z.boolean().optional(),
  /** A guest that writes to its disks faster than they are copied: its writes wait, or it is given up; absent: slow. */
  diskWrites: z.enum(['slow', 'refuse']).optional(),
  /** Disks that are copied are compared afterwards, as they were at the switch. */
  verifyDisks: z.boolean().optional(),
  /** Network of the source (a bridge) -> network of the destination, where they are not found by name, VLAN or VNI. */
  networks: networkMap.optional(),
  /** After the move the destination runs this check of the site's for so long; a guest that fails it is taken back. */
  returnIfUnhealthy: returnIfUnhealthy.optional(),
  /** Devices that it is without while it moves; names of the destination's own that it gets there. */
  unplug: unplugs.optional(),
  plug: plugs.optional(),
  /** Everything up to the switch, and then all of it undone: the guest stays where it is. */
  rehearse: z.boolean().optional(),
  /** Where its disks are to lie, by the name that the guest's manager has for it; absent: where they lie. */
  datastore: datastoreName.optional(),
  /** Before or after other tasks of its manager; absent: as the manager has it. */
  priority: z.enum(['low', 'high']).optional(),
  /** Refused where the guest's manager would send its memory unencrypted. */
  encrypted: z.boolean().optional(),
  balloon: balloonPolicy.optional(),
});
export type MigrationSettings = z.infer<typeof migrationSettings>;

export const DEFAULT_LINK_GRACE_MS = 60_000;

export const migrationRequest = migrationSettings.extend({
  guest: guestName,
  to: hostName,
});
export type MigrationRequest = z.infer<typeof migrationRequest>;

/** Where a migration stands, in the order in which it passes through. */
export const phase = z.enum([
  'planned',
  'checking',
  'seeding',
  'preparing',
  'disks',
  'memory',
  'switchover',
  'handover',
  'draining',
  'verifying',
  'cleanup',
  'undoing',
  'done',
  'rehearsed',
  'failed',
  'cancelled',
  'held',
  'lost',
]);
export type Phase = z.infer<typeof phase>;

/** One look at the memory stream, as the hypervisor reports it. */
export const memorySample = z.object({
  /** Bytes of guest memory in all. */
  totalBytes: bytes,
  /** Bytes not yet sent in this round. */
  remainingBytes: bytes,
  /** Bytes sent on the wire since the start, all streams. */
  transferredBytes: bytes,
  /** Zero and unchanged pages that travelled as a note, bytes. */
  skippedBytes: bytes,
  /** Of pages that were sent as such since the start, before they were compressed, bytes; absent: nobody counts it. */
  contentBytes: bytes.optional(),
  /** bytes/s over the hypervisor's last interval; 0 before it knows. */
  rate: bytes,
  /** bytes/s of guest memory made dirty; 0 before the first round ends. */
  dirtyRate: bytes,
  /** 1 while the first pass runs. */
  round: z.number().int().nonnegative(),
  /** The hypervisor's expectation, ms; absent before it knows. */
  expectedDowntimeMs: ms.optional(),
  /** The hypervisor's figure once the switch is over, ms. */
  downtimeMs: ms.optional(),
  /** Hypervisor's own total so far, ms. */
  totalMs: ms,
  /** Post-copy page requests from the destination. */
  pageRequests: z.number().int().nonnegative().default(0),
  /** How much of the guest's processor time is taken from it; absent: none. */
  throttlePercent: z.number().min(0).max(100).optional(),
});
export type MemorySample = z.infer<typeof memorySample>;

/** One line of the live view. */
export const progress = z.object({
  id: migrationId,
  guest: guestName,
  from: hostName,
  to: hostName,
  mode,
  phase,
  /** ms since the migration was asked for. */
  elapsedMs: ms,
  /** 0..100 of guest memory, in the present round. */
  percent: z.number().min(0).max(100),
  /** ms until the end if nothing changes; absent when unknown or not converging. */
  etaMs: ms.optional(),
  sample: memorySample.optional(),
  /** Disks that are being copied. */
  disks: z.array(diskProgress).max(64).optional(),
  /** Absent while it is not known, and once they are copied. */
  diskPace: diskPace.optional(),
  /** Nothing goes over the link: since when, and until when that is waited for; no end where only a person can end it. */
  still: z.object({ since: moment, until: moment.optional() }).optional(),
  /** What was decided or is being waited for, in words. */
  note: shortText.optional(),
  error: serialError.optional(),
});
export type Progress = z.infer<typeof progress>;

/** One named check: its verdict, what was seen, how to fix it. `notTried`: it passes unseen, the evidence says why. */
export const check = z.object({
  name: z.string().max(64),
  side: z.enum(['source', 'destination', 'both']),
  verdict: z.enum(['pass', 'warn', 'refuse']),
  notTried: z.literal(true).optional(),
  evidence: shortText,
  /** Of a warning: what would make it pass. A refusal has it in its error. */
  hint: shortText.optional(),
  error: serialError.optional(),
});
export type Check = z.infer<typeof check>;

/** Bounds of a report's lists. */
export const MAX_ROUNDS = 10_000;
export const MAX_PHASES = 64;
export const MAX_CHECKS = 256;
export const MAX_LEFTOVERS = 64;

/** What was done, with measurements; made from the journal alone. */
export const report = z.object({
  id: migrationId,
  guest: guestName,
  from: hostName,
  to: hostName,
  /** Which of its hosts made it: the source knows most. Absent in reports of earlier builds. */
  side: z.enum(['source', 'destination']).optional(),
  /** Of the destination's: what is not known there, in words. */
  notKnown: z.array(shortText).max(16).optional(),
  outcome: z.enum(['done', 'rehearsed', 'failed', 'cancelled', 'held', 'lost', 'running']),
  /** Of a rehearsal: `rehearsed` where it came to the switch and nothing was left behind, else as the move would have ended. */
  rehearsal: rehearsal.optional(),
  phase,
  /** The mode asked for, and how the memory really went over; `unknown`: a manager moved it, and does not report how. */
  mode,
  finished: z.enum(['precopy', 'postcopy', 'none', 'unknown']),
  settings: migrationSettings,
  /** What it was expected to come to, where a plan of it was made shortly before. */
  prediction: prediction.optional(),
  /** Why there is none; absent of earlier builds, and of a cold move, which sends no memory. */
  unpredicted: shortText.optional(),
  startedAt: moment,
  endedAt: moment.optional(),
  totalMs: ms,
  /** The hypervisor's figure, ms; absent when no switch took place. */
  downtimeMs: ms.optional(),
  /** Source stopped -> destination running, as the movers saw it, ms. */
  blackoutMs: ms.optional(),
  /** Where it goes: to the hypervisor's stop, the last pages and the devices' state, the commit, the resume. */
  blackoutParts: z
    .array(z.object({ part: z.enum(['stop', 'state', 'commit', 'resume']), ms }))
    .max(4)
    .optional(),
  /** From the order to run at the destination to the first frame through its new port there, ms. */
  firstFrameMs: ms.optional(),
  /** What hosts saw that watched the guest meanwhile: the time without an answer. Absent where none was asked to. */
  vantages: probeReports.optional(),
  /** Post-copy: how long all of the guest's processors waited for memory at once, ms; absent where nobody counts. */
  postcopyWaitedMs: ms.optional(),
  /** Post-copy: how long its stream was stalled in all, ms, and how often; absent when it never was. */
  postcopyStalledMs: ms.optional(),
  postcopyStalls: z.number().int().positive().optional(),
  /** These four are absent where a manager reports none, and where `notKnown` says so; `throughput` is bytes/s. */
  bytes: bytes.optional(),
  rounds: z.number().int().nonnegative().optional(),
  throughput: bytes.optional(),
  pageRequests: z.number().int().nonnegative().optional(),
  /** Absent where the guest's manager has not said yet how much it has. */
  memoryBytes: bytes.optional(),
  roundList: z.array(roundReport).max(MAX_ROUNDS),
  /** How its hypervisor sent memory, where the path was `auto` and the settings do not say so. */
  stream: chosenStream.optional(),
  /** The least that its host allowed by the time of day while it ran (`limits.bandwidth`), bytes/s; absent: nothing was capped so. */
  timedCap: bytes.optional(),
  /** What the wire sent instead of the hypervisor's bytes; absent where memory went natively. */
  wire: wireFigures.optional(),
  ...copiedDisks,
  balloon: ballooned.optional(),
  /** How long each phase took, ms, in order. */
  phases: z.array(z.object({ phase, ms })).max(MAX_PHASES),
  checks: z.array(check).max(MAX_CHECKS),
  /** What was looked at from outside of the hypervisor once the guest ran there; what is in doubt is a warning. */
  verified: z.array(check).max(128).optional(),
  /** `returnIfUnhealthy`: how the check stands, where the destination says it. */
  siteCheck: siteCheck.optional(),
  /** The guest was taken back. */
  returned: returned.optional(),
  /** This migration takes a guest back. */
  returns: returns.optional(),
  /** Decisions with the numbers they were taken on. */
  decisions: z.array(z.object({ atMs: ms, what: shortText, ...steeringRecord.shape })).max(1000),
  /** Times that a new mover took over. */
  takeovers: z.number().int().nonnegative(),
  error: serialError.optional(),
  /** What could not be undone or tidied, and so may be left; absent where nothing is. */
  leftovers: z.array(serialError).max(MAX_LEFTOVERS).optional(),
  /**
   * It was started from its disks at the source at that moment: its memory was lost (`onLost`), or may have been older than
   * its disks.
   */
  restartedAt: moment.optional(),
  /** The guest is at the destination and was stopped there since, by its owner, by itself or by a fault. */
  halted: halt.optional(),
  /** Where the guest runs now, as far as this side knows. */
  runsAt,
  /** Source of `runsAt` if the host that made the report disagrees; `otherwise`: the value of that host. */
  runsAtTold: z.object({ by: hostName, otherwise: runsAt }).optional(),
});
export type Report = z.infer<typeof report>;

/** A line of `godwit migrations`. `request`: the request that it is a move of; absent of earlier builds. */
export const migrationSummary = progress.extend({
  side: z.enum(['source', 'destination']),
  startedAt: moment,
  moverAlive: z.boolean(),
  request: requestId.optional(),
});
export type MigrationSummary = z.infer<typeof migrationSummary>;

/** What cancel will do, said at once. */
export const cancelAnswer = z.object({ accepted: z.boolean(), what: shortText });
export type CancelAnswer = z.infer<typeof cancelAnswer>;
