/** What an agent answers to a plan: a guest that ends by pre-copy, and would be sooner with zstd; refused for others than b. */
import type { PlanAnswer, PlanOption } from '../../src/protocol/public/plan.ts';
import type { Range } from '../../src/protocol/public/prediction.ts';
import { checked } from './checked.ts';

const MIB = 1024 ** 2;
const range = (middle: number): Range => ({ low: middle * 0.8, middle, high: middle * 1.25 });

const way: PlanOption = {
  mode: 'precopy',
  path: 'native',
  stream: { streams: 1, compress: 'none' },
  level: 0.8,
  bytes: range(400 * MIB),
  totalMs: range(6000),
  memoryMs: range(4000),
  rounds: range(5),
  downtimeMs: range(80),
  clientGapMs: range(100),
  effects: {
    guest: { throttlePercent: 40, lostMs: 3200 },
    link: { share: 0.84, forMs: 4000 },
    hosts: { processorMs: 1500, memoryBytes: 512 * MIB },
  },
  converges: { probability: 0.98, why: 'a round of 100 ms leaves 2 MiB written' },
  steering: {
    strategy: 'standard',
    ends: 'postcopy',
    steps: [
      {
        round: 2,
        atMs: 4000,
        what: 'downtime',
        why: '',
        change: { of: 'downtimeMs', from: 125, to: 250 },
      },
      { round: 4, atMs: 9000, what: 'postcopy', why: '' },
    ],
  },
};

export function plannedTo(to: string): PlanAnswer {
  const [host] = checked([to]).hosts;
  if (host === undefined) throw new Error('a check of one host has that host');
  const common = { guest: 'web1', from: 'a', host };
  if (to !== 'b') return { ...common, advice: [] };
  const zstd = { ...way, stream: { streams: 4, compress: 'zstd' as const }, totalMs: range(3000) };
  return {
    ...common,
    measured: {
      how: 'pages',
      memoryBytes: 1024 * MIB,
      pages: 4096,
      curve: [
        { windowMs: 100, dirtyBytes: 2 * MIB },
        { windowMs: 3000, dirtyBytes: 20 * MIB },
      ],
      mix: {
        zero: 0.6,
        duplicate: 0.02,
        packed: 0.4,
        known: { share: 0.3, pages: 1600 },
      },
    },
    link: { rate: 12_500_000, how: 'measured', roundTripMs: 9.8 },
    prediction: way,
    others: [zstd],
    advice: ['--mode precopy --streams 4 --compress zstd is predicted to take 3.0 s'],
  };
}
