import path from 'node:path';
import { startGuest } from '../lab/guest/start.ts';
import { verifyGuest } from '../lab/guest/talk.ts';
import { openProbe, type Probe } from '../lab/probe/probe.ts';
import { labHost, type Lab } from '../lab/state.ts';
import { moveByHand } from './by-hand.ts';
import { median, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { godwitMigrate } from './godwit.ts';
import { otherHost, untilDirtied, untilQuiet, withLab, witnessedQemu } from './lab.ts';
import { Monitor } from '../lab/witness/monitor.ts';
import { spans, streamTimes, type StreamTimes } from './stream-times.ts';

const GUEST = 'web1';
const MIB = 1024 ** 2;
/** A link that the processors can fill without being full themselves: else it is their luck that is measured. */
const LINK = { linkBytesPerSecond: 125_000_000 };
const DEFAULT_RUNS = 15;
/** Short, since QEMU stops the guest for any time up to this as it happens to come: that is not what is compared. */
const MAX_DOWNTIME_MS = 20;
/** As fine as an emulated guest can answer without the answers becoming its load. */
const PROBE_MS = 2;
const WARM_UP_MS = 2000;
const SETTLE_MS = 60_000;

type Side = 'godwit' | 'hand';

/** What one move came to, by whichever side, ms. */
interface MoveResult {
  readonly totalMs: number;
  readonly clientGapMs: number;
  /** From STOP at the source to RESUME at the destination, as the two QEMUs say. */
  readonly stoppedMs: number;
  /** The whole command, where there is one. */
  readonly wallMs?: number;
}

export const overhead: Bench = {
  name: 'overhead',
  summary: "Godwit's native pre-copy against the same migration driven by hand over QMP",
  run: (options) => withLab(options, (lab) => compare(lab, options), LINK),
};

async function compare(lab: Lab, options: BenchOptions): Promise<Measure[]> {
  const { signal, say } = options;
  const pairs = options.runs ?? DEFAULT_RUNS;
  const guest = await startGuest(lab, {
    name: GUEST,
    host: 'a',
    memoryBytes: 512 * MIB,
    workingSetBytes: 128 * MIB,
    // Little enough that the number of rounds does not hang on luck.
    dirtyBytesPerSecond: 4 * MIB,
    signal,
  });
  const moved: Record<Side, MoveResult[]> = { godwit: [], hand: [] };
  let host = 'a';
  // The first move of each side only warms caches up. Both sides begin and both directions serve each in turn.
  for (const [index, side] of schedule(pairs + 1).entries()) {
    const to = otherHost(lab, host);
    await untilQuiet(lab, signal);
    // A connection for each move: its window shrinks with every loss, until one that is longer than it would stall.
    const client = await openProbe(lab, GUEST, { intervalMs: PROBE_MS, signal });
    await untilDirtied(lab, guest, WARM_UP_MS, signal);
    const result = await move(lab, { side, from: host, to, client, signal });
    await client.stop();
    host = to;
    say(`${side.padEnd(7)}${describe(result)}${index < 2 ? '  (warming up)' : ''}`);
    if (index >= 2) moved[side].push(result);
  }
  const { ok } = await verifyGuest(lab, GUEST, { signal });
  if (!ok) throw new Error('the guest’s memory is not what it was');
  return measures(moved);
}

/** Godwit, hand, hand, Godwit, Godwit, hand, ...: each side goes first in turn, and each way in turn. */
export function schedule(pairs: number): Side[] {
  return Array.from({ length: pairs }, (_, pair): Side[] =>
    pair % 2 === 0 ? ['godwit', 'hand'] : ['hand', 'godwit'],
  ).flat();
}

interface Move {
  readonly side: Side;
  readonly from: string;
  readonly to: string;
  readonly client: Probe;
  readonly signal: AbortSignal;
}

async function move(lab: Lab, { side, from, to, client, signal }: Move): Promise<MoveResult> {
  await client.mark();
  const moved =
    side === 'hand'
      ? {
          times: await moveByHand({
            lab,
            guest: GUEST,
            from,
            to,
            maxDowntimeMs: MAX_DOWNTIME_MS,
            signal,
          }),
        }
      : await moveByGodwit(lab, from, to, signal);
  const seen = await client.settle(SETTLE_MS, signal);
  if (!seen.connectionKept) throw new Error(`the client's connection broke: ${seen.reason ?? ''}`);
  const { totalMs, stoppedMs = Number.NaN } = spans(moved.times);
  const wall = 'wallMs' in moved ? { wallMs: moved.wallMs } : {};
  return { totalMs, stoppedMs, clientGapMs: seen.clientGapMs, ...wall };
}

/** The times come from the QEMUs themselves over monitors that Godwit does not use. */
async function moveByGodwit(
  lab: Lab,
  from: string,
  to: string,
  signal: AbortSignal,
): Promise<{ times: StreamTimes; wallMs: number }> {
  const { witness } = await witnessedQemu(lab, GUEST, from);
  const left = await Monitor.open(witness, signal);
  const socket = path.join(labHost(lab, to).stateDir, 'guests', GUEST, path.basename(witness));
  const opening = Monitor.open(socket, signal);
  // It is waited for below; what goes wrong before then is reported first.
  opening.catch(() => {});
  try {
    const maxDowntime = ['--max-downtime', `${MAX_DOWNTIME_MS}ms`];
    const { wallMs } = await godwitMigrate(lab, { guest: GUEST, to, words: maxDowntime }, signal);
    const right = await opening;
    const resumed = right.events.find(({ event }) => event === 'RESUME');
    const times = streamTimes(left.events);
    return { times: { ...times, ...(resumed && { resumedAtMs: resumed.atMs }) }, wallMs };
  } finally {
    left.close();
    await opening.then(
      (right) => right.close(),
      () => {},
    );
  }
}

function describe({ totalMs, clientGapMs, stoppedMs, wallMs }: MoveResult): string {
  const ms = (value: number): string => `${value.toFixed(0).padStart(5)} ms`;
  const wall = wallMs === undefined ? '' : `, the command ${ms(wallMs)}`;
  return `total ${ms(totalMs)}, client gap ${ms(clientGapMs)}, stopped ${ms(stoppedMs)}${wall}`;
}

/** Both sides' medians, and what Godwit adds. */
export function measures(moved: Readonly<Record<Side, readonly MoveResult[]>>): Measure[] {
  const { godwit, hand } = moved;
  const runs = godwit.length;
  const of = (side: readonly MoveResult[], value: (each: MoveResult) => number): number =>
    median(side.map(value));
  const total = { godwit: of(godwit, totalOf), hand: of(hand, totalOf) };
  const gap = { godwit: of(godwit, gapOf), hand: of(hand, gapOf) };
  const stopped = { godwit: of(godwit, stoppedOf), hand: of(hand, stoppedOf) };
  const ms = (name: string, value: number): Measure => ({ name, value, unit: 'ms', runs });
  return [
    {
      name: 'total time, Godwit / by hand',
      value: total.godwit / total.hand,
      unit: 'x',
      runs,
      target: { atMost: 1.05 },
    },
    {
      name: 'client gap, Godwit - by hand',
      value: gap.godwit - gap.hand,
      unit: 'ms',
      runs,
      target: { atMost: 5 },
    },
    ms('total time, Godwit', total.godwit),
    ms('total time, by hand', total.hand),
    ms('client gap, Godwit', gap.godwit),
    ms('client gap, by hand', gap.hand),
    ms('guest stopped, Godwit', stopped.godwit),
    ms('guest stopped, by hand', stopped.hand),
    ms(
      'whole `godwit migrate`',
      of(godwit, ({ wallMs = 0 }) => wallMs),
    ),
  ];
}

const totalOf = ({ totalMs }: MoveResult): number => totalMs;
const gapOf = ({ clientGapMs }: MoveResult): number => clientGapMs;
const stoppedOf = ({ stoppedMs }: MoveResult): number => stoppedMs;
