import { between, hitsOf } from './hits.ts';
import type { Facts, Processors } from './facts.ts';
import { COSTS, MIN_SHARE } from './parameters.ts';
import type { Scenario } from './scenarios.ts';

/** What a memory path takes of both hosts' processors. Pure. */

const GB = 1e9;

/** Seconds of one processor: for each GB of memory, and before the first one. */
export function workOf(
  facts: Pick<Facts, 'memoryPath' | 'mix' | 'factors'>,
  scenario: Scenario,
): { readonly secondsPerGb: number; readonly startSeconds: number } {
  const { memoryPath, factors } = facts;
  const slowness = scenario.processor * (factors?.processor.times ?? 1);
  const hits = hitsOf(facts, scenario);
  // Without a cache, or where nobody has looked into it, its own row says it.
  const [none, all] =
    hits === undefined ? [COSTS[memoryPath], COSTS[memoryPath]] : [COSTS.cold, COSTS.known];
  const of = (one: number, other: number): number => between(one, other, hits ?? 0) * slowness;
  return {
    secondsPerGb: of(none.secondsPerGb, all.secondsPerGb),
    startSeconds: of(none.startSeconds ?? 0, all.startSeconds ?? 0),
  };
}

/** ms for a byte of memory. */
export function workMsPerByte(facts: Facts, scenario: Scenario): number {
  return (workOf(facts, scenario).secondsPerGb / coresOf(facts) / GB) * 1000;
}

/** Workers start, and each end finds what the other knows, ms. */
export function startMsOf(facts: Facts, scenario: Scenario): number {
  return (workOf(facts, scenario).startSeconds / coresOf(facts)) * 1000;
}

/** Both hosts have to do the work: of the one that has less time for it. */
function coresOf({ memoryPath, processors }: Facts): number {
  return Math.min(...processors.map((host) => coresFor(COSTS[memoryPath].mostCores, host)));
}

/** One of those that want to run is the guest's; and each thread gets as much as any other. */
function coresFor(threads: number, { cores, load = 0 }: Processors): number {
  const others = Math.max(0, load - 1);
  const alone = Math.min(threads, Math.max(0.5, cores - 1));
  const beside = (cores * threads) / (others + threads);
  return Math.max(alone * MIN_SHARE, Math.min(alone, beside));
}
