import { verifyGuest } from '../lab/guest/talk.ts';
import type { Lab } from '../lab/state.ts';
import type { HandSetting } from './by-hand.ts';
import { median, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { withLab } from './lab.ts';
import { makeMixes, startMixedGuest, type Mixes } from './wire-guest.ts';
import { CACHE_BYTES, forgetAll, measuredMove, type MoveResult } from './wire-move.ts';

const MIB = 1024 ** 2;
const GUESTS = 6;
const MEMORY_BYTES = 640 * MIB;
/** Each of them; all are emulated on the same processors. */
const DIRTY_BYTES_PER_S = 2 * MIB;
const LINK_BYTES_PER_S = 125_000_000;
const DELAY_MS = 1;
const DEFAULT_RUNS = 1;

/** Of QEMU's settings the one that sends the least of such guests (`bench -- wire`). */
const SMALLEST: HandSetting = {
  name: 'multifd 4, zstd 9',
  capabilities: ['multifd'],
  parameters: {
    'multifd-channels': 4,
    'multifd-compression': 'zstd',
    'multifd-zstd-level': 9,
  },
};
/** Back again, which counts for nobody. */
const PLAIN: HandSetting = { name: 'plain', capabilities: [], parameters: {} };

export const wireDrain: Bench = {
  name: 'wire-drain',
  summary: 'six guests of one image leave a host over 1 Gbit/s: the wire against QEMU’s zstd 9',
  run: async (options) => {
    const request = {
      linkBytesPerSecond: LINK_BYTES_PER_S,
      delayMs: DELAY_MS,
      configure: () => ({ cache: { scope: 'host' as const, bytes: CACHE_BYTES } }),
    };
    const mixes = await makeMixes(MEMORY_BYTES, { bytesPerSecond: DIRTY_BYTES_PER_S });
    try {
      return await withLab(options, (lab) => drains(lab, mixes, options), request);
    } finally {
      await mixes.remove();
    }
  },
};

const guests = Array.from({ length: GUESTS }, (_, index) => `web${index + 1}`);

async function drains(lab: Lab, mixes: Mixes, options: BenchOptions): Promise<Measure[]> {
  for (const [index, name] of guests.entries()) {
    const initramfs = await mixes.initramfs(index + 1);
    const guest = { name, host: 'a', memoryBytes: MEMORY_BYTES, initramfs };
    await startMixedGuest(lab, { ...guest, signal: options.signal });
  }
  const runs = options.runs ?? DEFAULT_RUNS;
  const [byHand, byWire]: [MoveResult[][], MoveResult[][]] = [[], []];
  for (let run = 0; run < runs; run += 1) {
    byHand.push(await drain(lab, 'a', 'b', options, SMALLEST));
    await drain(lab, 'b', 'a', options, PLAIN);
    await forgetAll(lab);
    byWire.push(await drain(lab, 'a', 'b', options));
    if (run < runs - 1) await drain(lab, 'b', 'a', options, PLAIN);
  }
  return measures(byHand, byWire, runs);
}

/** One guest after the other; each must find its memory as it was. */
async function drain(
  lab: Lab,
  from: string,
  to: string,
  { signal, say }: BenchOptions,
  setting?: HandSetting,
): Promise<MoveResult[]> {
  const moves: MoveResult[] = [];
  for (const guest of guests) {
    const of = { lab, guest, from, to, dirtyBytesPerSecond: DIRTY_BYTES_PER_S, signal };
    const moved = await measuredMove(of, setting ?? 'wire');
    const { ok } = await verifyGuest(lab, guest, { signal });
    if (!ok) throw new Error(`the memory of ${guest} is not what it was`);
    const seconds = (moved.totalMs / 1000).toFixed(1);
    const how = (setting?.name ?? 'wire').padEnd(18);
    say(`${how} ${guest} ${seconds} s, ${(moved.linkBytes / 1e6).toFixed(1)} MB`);
    moves.push(moved);
  }
  return moves;
}

function measures(byHand: MoveResult[][], byWire: MoveResult[][], runs: number): Measure[] {
  const sum = (moves: readonly MoveResult[], value: (moved: MoveResult) => number): number =>
    moves.reduce((all, moved) => all + value(moved), 0);
  const of = (all: MoveResult[][], value: (moved: MoveResult) => number): number =>
    median(all.map((moves) => sum(moves, value)));
  const [bytes, total] = [
    (moved: MoveResult) => moved.linkBytes,
    (moved: MoveResult) => moved.totalMs,
  ];
  const measure = (name: string, value: number, unit: string): Measure => {
    return { name: `six guests: ${name}`, value, unit, runs };
  };
  return [
    measure('QEMU’s zstd 9: bytes', of(byHand, bytes) / 1e6, 'MB'),
    measure('QEMU’s zstd 9: total', of(byHand, total) / 1000, 's'),
    measure('wire: bytes', of(byWire, bytes) / 1e6, 'MB'),
    measure('wire: total', of(byWire, total) / 1000, 's'),
    {
      ...measure('bytes, of QEMU’s zstd 9', of(byWire, bytes) / of(byHand, bytes), 'x'),
      target: { atMost: 0.35 },
    },
  ];
}
