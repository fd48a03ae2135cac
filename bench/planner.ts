import { runExperiment } from '../src/planner/sim/reference/experiment.ts';
import { onlyOf } from './contract.ts';
import type { Bench, BenchOptions, Measure } from './contract.ts';
import { dataDirectory, daysOf, readDay, referenceRows } from './planner-data.ts';
import { digitsOf, policyCalled } from './planner-reference.ts';

const PARTS = ['reference'] as const;

export const planner: Bench = {
  name: 'planner',
  summary: 'the planner on recorded days, and the reference experiment; --data DIR for other days',
  run: (options) => measure(options),
};

function measure(options: BenchOptions): Promise<Measure[]> {
  const directory = dataDirectory(options.words?.data);
  if (directory === undefined) throw new Error('no recorded days: say where with --data DIR');
  const only = onlyOf(options, PARTS) ?? PARTS;
  const measures = only.includes('reference') ? reference(directory, options) : [];
  return Promise.resolve(measures);
}

/** Every row of a CloudSim run that draws no random numbers, digit by digit. */
function reference(directory: string, { say, signal }: BenchOptions): Measure[] {
  let same = 0;
  let different = 0;
  const files = new Map(daysOf(directory).map(({ day, file }) => [day, file]));
  for (const { day, run, digits } of referenceRows(directory)) {
    signal.throwIfAborted();
    const policy = policyCalled(run);
    const file = files.get(day);
    if (policy === undefined || file === undefined) continue;
    const got = digitsOf(runExperiment({ traces: readDay(file), policy }));
    if (got === digits) same += 1;
    else different += 1;
    say(`${day} ${run}: ${got === digits ? `${got}, as printed` : `${got}, printed ${digits}`}`);
  }
  return [
    { name: 'reference rows as printed', value: same, unit: 'rows', runs: 1 },
    {
      name: 'reference rows that differ',
      value: different,
      unit: 'rows',
      runs: 1,
      target: { atMost: 0 },
    },
  ];
}
