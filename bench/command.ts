import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { systemClock } from '../src/clock.ts';
import { median, type Bench, type BenchOptions, type Measure } from './contract.ts';

const DEFAULT_RUNS = 21;
const MAX_MS = 150;

export const command: Bench = {
  name: 'command',
  summary: 'how long `godwit --version` takes; --data PATH measures an installed program',
  run: (options) => Promise.resolve(measure(options)),
};

function measure({ runs = DEFAULT_RUNS, words }: BenchOptions): Measure[] {
  const program = words?.data ?? path.resolve(import.meta.dirname, '../godwit');
  const times: number[] = [];
  // The first one compiles what later ones find compiled.
  for (let run = -1; run < runs; run += 1) {
    const begun = systemClock.monotonicMs();
    execFileSync(program, ['--version']);
    if (run >= 0) times.push(systemClock.monotonicMs() - begun);
  }
  return [
    {
      name: 'godwit --version',
      value: median(times),
      unit: 'ms',
      runs,
      target: { atMost: MAX_MS },
    },
  ];
}
