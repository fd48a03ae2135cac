import { between, hitsOf } from './hits.ts';
import type { Facts, Processors } from './facts.ts';
import { COSTS, MIN_SHARE } from './parameters.ts';
import type { Scenario } from './scenarios.ts';

/** Processor time of a memory path on both hosts. Pure. */

const GB = 1e9;

/** Seconds of one processor: per GB of memory, and before the first. */
export function workOf(
  facts: Pick<Facts, 'memoryPath' | 'mix' | 'factors'>,
  scenario: Scenario,
): { readonly secondsPerGb: number; readonly startSeconds: number } {
  const { memoryPath, factors } = facts;
  const slowness = scenario.processor * (factors?.processor.times ?? 1);
  const hits = hitsOf(facts, scenario);
  // Without a cache sample, use the path's row.
  const [none, all] =
    hits === undefined ? [COSTS[memoryPath], COSTS[memoryPath]] : [COSTS.cold, COSTS.known];
  const of = (one: number, other: number): number => between(one, other, hits ?? 0) * slowness;
  return {
    secondsPerGb: of(none.secondsPerGb, all.secondsPerGb),
    startSeconds: of(none.startSeconds ?? 0, all.startSeconds ?? 0),
  };
}

export function workMsPerByte(facts: Facts, scenario: Scenario): number {
  return (workOf(facts, scenario).secondsPerGb / coresOf(facts) / GB) * 1000;
}

/** Time for workers to start, and for each end to find what the other knows, ms. */
export function startMsOf(facts: Facts, scenario: Scenario): number {
  return (workOf(facts, scenario).startSeconds / coresOf(facts)) * 1000;
}

/** Both hosts do the work, so the slower one counts. */
function coresOf({ memoryPath, processors }: Facts): number {
  return Math.min(...processors.map((host) => coresFor(COSTS[memoryPath].mostCores, host)));
}

/** One running thread is the guest's; all threads share equally. */
function coresFor(threads: number, { cores, load = 0 }: Processors): number {
  const others = Math.max(0, load - 1);
  const alone = Math.min(threads, Math.max(0.5, cores - 1));
  const beside = (cores * threads) / (others + threads);
  return Math.max(alone * MIN_SHARE, Math.min(alone, beside));
}
