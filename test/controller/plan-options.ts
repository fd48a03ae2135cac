import type { PlanOption } from '../../src/protocol/public/plan.ts';

const sure = (amount: number) => ({ low: amount, middle: amount, high: amount });

/** What a plan predicts of one option, but for what is said. */
export const optionOf = ({
  bytes,
  probability = 1,
  ...more
}: { readonly bytes: number; readonly probability?: number } & Partial<
  Pick<PlanOption, 'mode' | 'path'>
>): PlanOption => ({
  mode: 'precopy',
  path: 'wire',
  stream: { streams: 1, compress: 'none' },
  ...more,
  level: 0.8,
  bytes: sure(bytes),
  totalMs: sure(1000),
  memoryMs: sure(1000),
  rounds: sure(2),
  downtimeMs: sure(50),
  clientGapMs: sure(80),
  converges: { probability, why: 'it ends' },
});
