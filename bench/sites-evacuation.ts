import {
  ALIKE,
  evacuatedLab,
  evacuateSite,
  missesOf,
  prepareEvacuation,
  type EvacuationResult,
} from '../test/e2e/support/evacuation.ts';
import { median, type BenchOptions, type Measure } from './contract.ts';
import { withLab } from './lab.ts';

const DEFAULT_RUNS = 3;
/** Of the predicted time, %. */
const MAX_ERROR = 20;

interface Run {
  readonly misses: readonly string[];
  /** How far the predicted time lies from the real one, % of the predicted one; of a run alone in which those went that were planned. */
  readonly error: number | undefined;
}

/** Evacuates a site of six guests again and again, each time in a lab of its own. */
export async function evacuations(options: BenchOptions): Promise<Measure[]> {
  const all: Run[] = [];
  for (let run = 0; run < (options.runs ?? DEFAULT_RUNS); run += 1) all.push(await once(options));
  const runs = all.length;
  const errors = all.flatMap(({ error }) => error ?? []);
  return [
    {
      name: 'evacuation: runs in which the most important guests were over in time, and those left were named',
      value: all.filter(({ misses }) => misses.length === 0).length,
      unit: 'runs',
      runs,
      target: { atLeast: runs },
    },
    ...(errors.length === 0
      ? []
      : [
          {
            name: 'evacuation: error of the predicted time, where those went that were planned',
            value: median(errors),
            unit: '%',
            runs: errors.length,
          },
          {
            name: 'evacuation: the greatest of these errors',
            value: Math.max(...errors),
            unit: '%',
            runs: errors.length,
            target: { atMost: MAX_ERROR },
          },
        ]),
  ];
}

async function once(options: BenchOptions): Promise<Run> {
  return withLab(
    options,
    async (lab) => {
      const controller = await prepareEvacuation(lab, ALIKE, options.signal);
      try {
        const found = await evacuateSite(lab, controller, ALIKE);
        const misses = await missesOf(lab, ALIKE, found);
        const error = errorOf(found);
        options.say(`evacuation: ${describe(found)}${misses.map((miss) => `; ${miss}`).join('')}`);
        return { misses, error };
      } finally {
        await controller.close();
      }
    },
    { ...evacuatedLab(ALIKE), suffix: 'e' },
  );
}

const errorOf = ({ plan, seconds, over }: EvacuationResult): number | undefined =>
  over.length === plan.steps.length
    ? (100 * Math.abs(seconds - plan.seconds)) / plan.seconds
    : undefined;

function describe({ plan, seconds, over }: EvacuationResult): string {
  return `${over.join(', ')} over after ${seconds.toFixed(1)} s, predicted ${plan.seconds.toFixed(1)} s`;
}
