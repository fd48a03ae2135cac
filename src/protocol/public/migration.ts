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
 * Path of memory: between hypervisors, or through the movers, which send only what the other side lacks; `auto` takes
 * the faster one by prediction.
 */
export const dataPath = z.enum(['auto', 'native', 'wire']);
export type DataPath = z.infer<typeof dataPath>;

/** `timeoutMs` bounds every wait. */
export const migrationSettings = z.object({
  mode: mode.default('precopy'),
  /** Longest planned switchover of pre-copy, ms. */
  maxDowntimeMs: z.number().int().min(1).max(60_000).default(100),
  /** Cap of the memory stream, bytes/s; absent: none. */
  maxBandwidth: z.number().int().min(1024).optional(),
  /** Share of the link's measured rate for memory, in addition to `maxBandwidth`. */
  linkShare: z.number().min(0.01).max(1).optional(),
  streams: streams.default(1),
  compress: compression.default('none'),
  compressLevel,
  /** The migration is rolled back after this duration, ms. */
  timeoutMs: z.number().int().min(1000).max(86_400_000).default(600_000),
  /** Nothing begins before; `timeoutMs` starts then. */
  notBefore: moment.optional(),
  /** Waits for a moment with few writes, at most this long, ms. */
  whenQuiet: z.object({ withinMs: z.number().int().min(1000).max(86_400_000) }).optional(),
  /** Time between the owner's notice and the move, ms; uses the hook `notice` of the source. */
  noticeMs: z.number().int().min(1000).max(3_600_000).optional(),
  /** Deadline, if sooner than `timeoutMs`: rolled back if the switch has not begun. */
  deadlineAt: moment.optional(),
  /** Hybrid: rounds of pre-copy before post-copy, unless it converges earlier. */
  hybridRounds: z.number().int().min(1).max(50).default(3),
  /** Strategy while memory moves; absent: the mode's. Its post-copy needs the mode hybrid. */
  steering: steering.optional(),
  /** Other addresses of the destination, tried in order if its own does not answer; absent: the known ones. */
  pathAddresses: z.array(pathAddress).max(8).optional(),
  /** The destination is dead for good during post-copy: hold, or restart the guest at the source. */
  onLost: z.enum(['hold', 'restart']).default('hold'),
  /** Absent: native, over tcp. */
  path: dataPath.optional(),
  transport: transport.optional(),
  /** Wire: how long its links may be down before the hypervisor notices, ms; absent: DEFAULT_LINK_GRACE_MS. */
  linkGraceMs: z.number().int().min(1000).max(120_000).optional(),
  /**
   * Keeps copied disks at the source, under another name with most drivers; absent: removed once the guest runs
   * elsewhere.
   */
  keepSource: z.boolean().optional(),
  /** For a guest that writes faster than its disks are copied: delay its writes or give up; absent: slow. */
  diskWrites: z.enum(['slow', 'refuse']).optional(),
  /** Compares copied disks afterwards, as they were at the switch. */
  verifyDisks: z.boolean().optional(),
  /** Network (bridge) of the source -> network of the destination, unless found by name, VLAN or VNI. */
  networks: networkMap.optional(),
  /** The destination runs this site check after the move for that time; a guest that fails it is moved back. */
  returnIfUnhealthy: returnIfUnhealthy.optional(),
  /** Devices to unplug during the move; names of the destination's devices that it gets there. */
  unplug: unplugs.optional(),
  plug: plugs.optional(),
  /** Everything up to the switch, then undone: the guest stays. */
  rehearse: z.boolean().optional(),
  /** Destination of its disks, in the manager's notation; absent: unchanged. */
  datastore: datastoreName.optional(),
  /** Priority among its manager's tasks; absent: the manager's default. */
  priority: z.enum(['low', 'high']).optional(),
  /** Refuses if the guest's manager would send memory unencrypted. */
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

/** The memory stream as the hypervisor reports it. */
export const memorySample = z.object({
  totalBytes: bytes,
  /** Bytes left in this round. */
  remainingBytes: bytes,
  transferredBytes: bytes,
  /** Zero and unchanged pages that were sent as a note, bytes. */
  skippedBytes: bytes,
  /** Pages sent with content, before compression, bytes; absent if not counted. */
  contentBytes: bytes.optional(),
  /** bytes/s over the hypervisor's last interval; 0 if unknown. */
  rate: bytes,
  /** bytes/s of dirtied memory; 0 in the first round. */
  dirtyRate: bytes,
  /** 1 during the first pass. */
  round: z.number().int().nonnegative(),
  /** The hypervisor's estimate, ms. */
  expectedDowntimeMs: ms.optional(),
  /** The hypervisor's figure after the switch, ms. */
  downtimeMs: ms.optional(),
  totalMs: ms,
  /** Page requests by the destination in post-copy. */
  pageRequests: z.number().int().nonnegative().default(0),
  /** Share of the guest's processor time taken by throttling; absent: none. */
  throttlePercent: z.number().min(0).max(100).optional(),
});
export type MemorySample = z.infer<typeof memorySample>;

export const progress = z.object({
  id: migrationId,
  guest: guestName,
  from: hostName,
  to: hostName,
  mode,
  phase,
  /** ms since the request. */
  elapsedMs: ms,
  /** 0..100 of guest memory, in the present round. */
  percent: z.number().min(0).max(100),
  /** ms until the end at the present rates; absent if unknown or not converging. */
  etaMs: ms.optional(),
  sample: memorySample.optional(),
  disks: z.array(diskProgress).max(64).optional(),
  /** Absent if unknown, and once they are copied. */
  diskPace: diskPace.optional(),
  /** The link is down: since when, and until when the migration waits; no end if only an operator can end it. */
  still: z.object({ since: moment, until: moment.optional() }).optional(),
  note: shortText.optional(),
  error: serialError.optional(),
});
export type Progress = z.infer<typeof progress>;

/** A check with its verdict, evidence and remedy. `notTried`: it passes unseen; the evidence has the reason. */
export const check = z.object({
  name: z.string().max(64),
  side: z.enum(['source', 'destination', 'both']),
  verdict: z.enum(['pass', 'warn', 'refuse']),
  notTried: z.literal(true).optional(),
  evidence: shortText,
  /** Remedy of a warning; a refusal has it in its error. */
  hint: shortText.optional(),
  error: serialError.optional(),
});
export type Check = z.infer<typeof check>;

export const MAX_ROUNDS = 10_000;
export const MAX_PHASES = 64;
export const MAX_CHECKS = 256;
export const MAX_LEFTOVERS = 64;

/** The report with its measurements, made from the journal alone. */
export const report = z.object({
  id: migrationId,
  guest: guestName,
  from: hostName,
  to: hostName,
  /** The host that made it; the source has most data. Absent in earlier builds. */
  side: z.enum(['source', 'destination']).optional(),
  /** In the destination's report: values unknown there. */
  notKnown: z.array(shortText).max(16).optional(),
  outcome: z.enum(['done', 'rehearsed', 'failed', 'cancelled', 'held', 'lost', 'running']),
  /**
   * Rehearsal: `rehearsed` if it came to the switch and left nothing behind; otherwise as the move would have ended.
   */
  rehearsal: rehearsal.optional(),
  phase,
  /** Requested mode, and how memory was really moved; `unknown`: a manager moved it without reporting how. */
  mode,
  finished: z.enum(['precopy', 'postcopy', 'none', 'unknown']),
  settings: migrationSettings,
  prediction: prediction.optional(),
  /** Absent in earlier builds, and for a cold move. */
  unpredicted: shortText.optional(),
  startedAt: moment,
  endedAt: moment.optional(),
  totalMs: ms,
  /** The hypervisor's figure, ms; absent without a switch. */
  downtimeMs: ms.optional(),
  /** Source stopped -> destination running, as the movers saw it, ms. */
  blackoutMs: ms.optional(),
  /** Parts of the downtime: the hypervisor's stop, the last pages and device state, the commit, the resume. */
  blackoutParts: z
    .array(z.object({ part: z.enum(['stop', 'state', 'commit', 'resume']), ms }))
    .max(4)
    .optional(),
  /** From the order to run at the destination to the first frame through its port there, ms. */
  firstFrameMs: ms.optional(),
  /** Gaps seen by watching hosts; absent if none was asked. */
  vantages: probeReports.optional(),
  /** Post-copy: time that all the guest's processors waited for memory at once, ms; absent if not counted. */
  postcopyWaitedMs: ms.optional(),
  /** Post-copy: total and number of the stream's stalls, ms; absent if there were none. */
  postcopyStalledMs: ms.optional(),
  postcopyStalls: z.number().int().positive().optional(),
  /** These four are absent if a manager reports none, or `notKnown` lists them; `throughput` is bytes/s. */
  bytes: bytes.optional(),
  rounds: z.number().int().nonnegative().optional(),
  throughput: bytes.optional(),
  pageRequests: z.number().int().nonnegative().optional(),
  /** Absent until the guest's manager has reported it. */
  memoryBytes: bytes.optional(),
  roundList: z.array(roundReport).max(MAX_ROUNDS),
  stream: chosenStream.optional(),
  /** Lowest time-dependent cap of its host while it ran (`limits.bandwidth`), bytes/s; absent: none. */
  timedCap: bytes.optional(),
  wire: wireFigures.optional(),
  ...copiedDisks,
  balloon: ballooned.optional(),
  /** Durations of the phases in order, ms. */
  phases: z.array(z.object({ phase, ms })).max(MAX_PHASES),
  checks: z.array(check).max(MAX_CHECKS),
  /** Checks from outside of the hypervisor once the guest ran there; doubts are warnings. */
  verified: z.array(check).max(128).optional(),
  /** `returnIfUnhealthy`: state of the check, from the destination. */
  siteCheck: siteCheck.optional(),
  returned: returned.optional(),
  returns: returns.optional(),
  decisions: z.array(z.object({ atMs: ms, what: shortText, ...steeringRecord.shape })).max(1000),
  takeovers: z.number().int().nonnegative(),
  error: serialError.optional(),
  leftovers: z.array(serialError).max(MAX_LEFTOVERS).optional(),
  /**
   * Start from the disks at the source at that moment: the memory was lost (`onLost`), or possibly older than the
   * disks.
   */
  restartedAt: moment.optional(),
  /** The guest is at the destination and has been stopped, by its owner, by itself or by a fault. */
  halted: halt.optional(),
  /** The host where the guest runs by this side's records. */
  runsAt,
  /** Source of `runsAt` if the host that made the report disagrees; `otherwise`: the value of that host. */
  runsAtTold: z.object({ by: hostName, otherwise: runsAt }).optional(),
});
export type Report = z.infer<typeof report>;

/** A line of `godwit migrations`. `request`: the fleet request that it belongs to; absent in earlier builds. */
export const migrationSummary = progress.extend({
  side: z.enum(['source', 'destination']),
  startedAt: moment,
  moverAlive: z.boolean(),
  request: requestId.optional(),
});
export type MigrationSummary = z.infer<typeof migrationSummary>;

/** Immediate answer with the consequence of the cancel. */
export const cancelAnswer = z.object({ accepted: z.boolean(), what: shortText });
export type CancelAnswer = z.infer<typeof cancelAnswer>;
