import type { PlannerGuest } from '../src/planner/inventory.ts';
import { RIGHTSIZE, rightsize } from '../src/planner/rightsize.ts';
import type { Trace } from './cloudsim/experiment.ts';
import type { BenchOptions, Measure } from './contract.ts';
import { dataDirectory, daysOf, readDay } from './planner-data.ts';

/** Cores of each guest: enough that a proposal can be smaller. */
const CORES = 8;

/** What is proposed by the first half of each day, held against the second. */
export function rightsizeContest({ say, words }: BenchOptions): Measure[] {
  const directory = dataDirectory(words?.data);
  if (directory === undefined) throw new Error('no recorded days: say where with --data DIR');
  let guests = 0;
  let proposed = 0;
  let spared = 0;
  let above = 0;
  let samples = 0;
  const days = daysOf(directory);
  for (const { day, file } of days) {
    const traces = readDay(file);
    const half = Math.floor((traces[0]?.loads.length ?? 0) / 2);
    const later = new Map(traces.map(({ name, loads }) => [name, loads.slice(half)]));
    const found = rightsize(
      { hosts: [], guests: traces.map((trace) => guestOf(trace, half)) },
      { ...RIGHTSIZE, leastSamples: half },
    );
    guests += traces.length;
    proposed += found.length;
    for (const { guest, cpu } of found) {
      const most = cpu?.proposed ?? CORES;
      spared += CORES - most;
      for (const load of later.get(guest) ?? []) {
        samples += 1;
        if (load * CORES > most) above += 1;
      }
    }
    say(`${day}: ${found.length} of ${traces.length} guests could be smaller`);
  }
  const runs = days.length;
  const percent = (part: number, of: number): number => (100 * part) / Math.max(1, of);
  return [
    { name: 'rightsize: guests proposed', value: percent(proposed, guests), unit: '%', runs },
    {
      name: 'rightsize: cores proposed away',
      value: percent(spared, guests * CORES),
      unit: '%',
      runs,
    },
    { name: 'rightsize: later samples above it', value: percent(above, samples), unit: '%', runs },
  ];
}

const guestOf = ({ name, loads }: Trace, half: number): PlannerGuest => ({
  name,
  host: 'any',
  memoryBytes: 1,
  cpu: CORES,
  demand: loads.slice(0, half).map((load) => load * CORES),
});
