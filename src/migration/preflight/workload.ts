import type { GuestRates } from '../../protocol/public/hosts/guest-load.ts';
import type { MigrationSettings } from '../../protocol/public/migration.ts';
import { formatDuration, formatRate } from '../../protocol/quantity.ts';
import { RATE_WINDOW_MS } from '../prediction/curve.ts';
import { asKept } from '../prediction/link-share.ts';
import { mayThrottle, strategyOf } from '../steering/strategies.ts';
import { passes, warns, type Finding } from './finding.ts';
import { leastSwitchMs } from './limits.ts';

export interface WorkloadFacts {
  /** Over the last minute; absent if not observed. */
  readonly load?: GuestRates | undefined;
  /** Recent memory writes, each page counted once per RATE_WINDOW_MS, bytes/s; absent if not sampled. */
  readonly dirtyBytesPerS?: number | undefined;
  /** Label `godwit/max-downtime`, ms. */
  readonly ownersDowntimeMs?: number | undefined;
  /** Label `godwit/realtime`. */
  readonly isRealtime?: boolean | undefined;
  readonly linkRate?: number | undefined;
  /** Disks are copied; absent: not known yet. */
  readonly copiesDisks?: boolean | undefined;
  readonly settings: Pick<MigrationSettings, 'mode' | 'streams' | 'compress'> &
    Partial<
      Pick<
        MigrationSettings,
        | 'maxDowntimeMs'
        | 'maxBandwidth'
        | 'linkShare'
        | 'path'
        | 'steering'
        | 'whenQuiet'
        | 'diskWrites'
      >
    >;
}

/** A guest that uses this share of the link is slowed by a migration that takes all of it. */
const BUSY_LINK_SHARE = 0.3;
/** Above this share of writes to copied disks, a good part is copied twice. */
const BUSY_WRITE_SHARE = 0.5;

export function judgeWorkload(facts: WorkloadFacts): Finding[] {
  const owners = [ownersDoubt(facts), realtimeDoubt(facts)].filter((each) => each !== undefined);
  if (owners.length > 0) return owners;
  const doubt = writesDoubt(facts) ?? disksDoubt(facts) ?? trafficDoubt(facts);
  return [doubt ?? passes(wordsOf(facts))];
}

/** Rate of memory and disks, bytes/s; Infinity if unknown. */
function rateOf({ linkRate = Infinity, settings }: WorkloadFacts): number {
  const { maxBandwidth = Infinity, linkShare = 1 } = settings;
  return Math.min(linkRate * linkShare, maxBandwidth);
}

function ownersDoubt({
  ownersDowntimeMs,
  isRealtime,
  settings,
}: WorkloadFacts): Finding | undefined {
  if (ownersDowntimeMs === undefined) return undefined;
  const allows = `its owner allows ${formatDuration(ownersDowntimeMs)} of downtime (godwit/max-downtime)`;
  const least = leastSwitchMs(settings);
  if (least > ownersDowntimeMs)
    return warns(
      `${allows}, and the state of its devices alone takes ${formatDuration(least)}`,
      settings.mode === 'precopy' && isRealtime !== true
        ? 'Ask its owner for a time in which it may be paused for longer; `--mode postcopy` stops it for less.'
        : 'Ask its owner for a time in which it may be paused for longer.',
    );
  const { mode, maxDowntimeMs = 0 } = settings;
  // Hybrid may also end by pre-copy.
  const plansForIt = mode === 'precopy' || mode === 'hybrid';
  if (!plansForIt || maxDowntimeMs <= ownersDowntimeMs) return undefined;
  return warns(
    `${allows}, and ${formatDuration(maxDowntimeMs)} are asked for`,
    `Ask for --max-downtime ${ownersDowntimeMs}ms; a controller does so by itself.`,
  );
}

/** Throttled or waiting for pages, a real-time guest misses its deadlines all the time; a pause happens once. */
function realtimeDoubt({ isRealtime, settings }: WorkloadFacts): Finding | undefined {
  const { mode, steering } = settings;
  if (isRealtime !== true || mode === 'cold') return undefined;
  const { measures } = strategyOf({ hybridRounds: 1, ...settings });
  const waits = measures.includes('postcopy');
  if (!waits && !mayThrottle({ measures })) return undefined;
  const by = steering === undefined ? `--mode ${mode}` : 'its strategy';
  const does = waits ? 'may let it wait for pages that follow' : 'may slow it down';
  return warns(
    `its owner says that it works in real time (godwit/realtime), and ${by} ${does}`,
    'Use `--steering gentle` or `--mode precopy` without a strategy; `godwit migrate --dry-run` says whether that ends.',
  );
}

/**
 * Pre-copy repeats until the remainder fits into the downtime. Shorter windows have higher rates of written pages, so
 * if the link is slower than this window's rate, no round becomes shorter than the window.
 */
function writesDoubt(facts: WorkloadFacts): Finding | undefined {
  const { dirtyBytesPerS = 0, settings } = facts;
  const { mode, compress, path = 'native', steering, whenQuiet, maxDowntimeMs = 0 } = settings;
  const isPlain = mode === 'precopy' && compress === 'none' && path === 'native';
  if (!isPlain || steering !== undefined || whenQuiet !== undefined) return undefined;
  // QEMU rounds a low cap up, and sends at the rounded rate.
  const rate = rateOf({ ...facts, settings: asKept(settings, { memoryPath: 'plain' }) });
  if (dirtyBytesPerS <= rate || maxDowntimeMs >= RATE_WINDOW_MS) return undefined;
  return warns(
    `it wrote ${formatRate(dirtyBytesPerS)} to its memory lately, and memory goes at ${formatRate(rate)}: pre-copy alone does not end while it goes on like that`,
    'Use `--steering standard` or `--mode hybrid`, or wait with `--when quiet`; `godwit migrate --dry-run` says what each comes to.',
  );
}

/**
 * A write to a block that was copied already is copied again, and faster writes wait for their copy if the settings
 * allow it. The rate covers all disks of the guest: no counter shows the share of the copied disks.
 */
function disksDoubt(facts: WorkloadFacts): Finding | undefined {
  const { load, copiesDisks, settings } = facts;
  const { writtenBytesPerS = 0 } = load ?? {};
  const rate = rateOf(facts);
  if (copiesDisks !== true || writtenBytesPerS <= rate * BUSY_WRITE_SHARE) return undefined;
  const evidence = `it writes ${formatRate(writtenBytesPerS)} to its disks, of which some or all are copied, at ${formatRate(rate)} at most`;
  const hint =
    'Choose an hour in which it writes less (`godwit guest NAME`), or a faster link; `godwit migrate --dry-run` says how long the copy takes.';
  if (writtenBytesPerS <= rate)
    return warns(`${evidence}: much may be copied again, and take longer`, hint);
  return warns(
    settings.diskWrites === 'refuse'
      ? `${evidence}: the migration may be given up (GODWIT_DISK_BUSY)`
      : `${evidence}: its writes may have to wait for their copies`,
    hint,
  );
}

function trafficDoubt({ load, linkRate, settings }: WorkloadFacts): Finding | undefined {
  const traffic = trafficOf(load);
  if (linkRate === undefined || traffic <= linkRate * BUSY_LINK_SHARE) return undefined;
  if (settings.linkShare !== undefined || settings.maxBandwidth !== undefined) return undefined;
  const evidence = `its own traffic is ${formatRate(traffic)}, and the link carries ${formatRate(linkRate)}`;
  return warns(
    evidence,
    'Leave it room where both go over one link: `--link-share 0.6`, or a network of its own for migrations.',
  );
}

const trafficOf = ({ inBytesPerS = 0, outBytesPerS = 0 }: Partial<GuestRates> = {}): number =>
  Math.max(inBytesPerS, outBytesPerS);

function wordsOf({ load, ownersDowntimeMs }: WorkloadFacts): string {
  const allows =
    ownersDowntimeMs === undefined
      ? []
      : [`its owner allows ${formatDuration(ownersDowntimeMs)} of downtime`];
  if (load === undefined) return ['nobody has seen yet what it does', ...allows].join('; ');
  const { cores, writtenBytesPerS = 0 } = load;
  const does = [
    `${cores.toFixed(1)} processors`,
    `${formatRate(writtenBytesPerS)} to its disks`,
    `${formatRate(trafficOf(load))} over its network`,
  ];
  return [`in the last minute it used ${does.join(', ')}`, ...allows].join('; ');
}
