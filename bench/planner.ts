import { runExperiment } from './cloudsim/experiment.ts';
import { onlyOf, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { ablations } from './planner-ablations.ts';
import { balanceContest } from './planner-balance.ts';
import { daysContest } from './planner-days.ts';
import { dataDirectory, daysOf, readDay, referenceRows } from './planner-data.ts';
import { CONTESTS, lineOf, measuresOf, runDay } from './planner-policies.ts';
import { digitsOf, policyCalled } from './planner-reference.ts';
import { receipts } from './planner-receipts.ts';
import { rightsizeContest } from './planner-rightsize.ts';
import { speed } from './planner-speed.ts';

const PARTS = [
  'reference',
  'ours',
  'real',
  'balance',
  'receipts',
  'ablations',
  'days',
  'rightsize',
  'speed',
] as const;

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
  for (const part of ['ours', 'real'] as const) {
    if (only.includes(part)) measures.push(...contest(part, directory, options));
  }
  if (only.includes('balance')) measures.push(...balanceContest(options));
  if (only.includes('receipts')) measures.push(...receipts(options));
  if (only.includes('ablations')) measures.push(...ablations(options));
  if (only.includes('days')) measures.push(...daysContest(options));
  if (only.includes('rightsize')) measures.push(...rightsizeContest(options));
  if (only.includes('speed')) measures.push(...speed(options));
  return Promise.resolve(measures);
}

/** Our policy and the reference's on each day, under the same rules. */
function contest(
  part: 'ours' | 'real',
  directory: string,
  { say, signal }: BenchOptions,
): Measure[] {
  const days = daysOf(directory).map(({ day, file }) => {
    signal.throwIfAborted();
    const done = runDay(day, readDay(file), CONTESTS[part]);
    say(lineOf(done, CONTESTS[part]));
    return done;
  });
  return measuresOf(days, CONTESTS[part]);
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
