/**
 * Moves guests in a simulated world under random faults: `npm run sim -- [--runs N] [--seed S] [--minutes M] [--json]
 * [--trace]`.
 *
 * The movers are the real ones; the clock, the link, the disks and the hypervisors are not. Seed S gives run S, S + 1
 * the next, and each gives the same run again. Exit 1 when a rule is broken; the seed is printed with the shortest
 * story of how. `--seed S --runs 1 --trace` prints what happens in run S. See sim/README.md.
 */
import { parseArgs } from 'node:util';
import { momentOf, wordsOf } from './faults.ts';
import { runScenario } from './run.ts';
import { drawScenario, type Scenario } from './scenario.ts';
import { shrink } from './shrink.ts';
import { Tally } from './tally.ts';

/** Stories of so many broken rules are reported. */
const MAX_STORIES = 3;

const count = (value: number): string => value.toLocaleString('en');

interface RunOptions {
  readonly seed: number;
  readonly runs: number;
  readonly minutes: number | undefined;
  readonly json: boolean;
  readonly trace: boolean;
}

/** The command line; undefined where it cannot be meant. */
function wantedOf(argv: readonly string[]): RunOptions | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: 'string', default: '1' },
      runs: { type: 'string' },
      minutes: { type: 'string' },
      json: { type: 'boolean', default: false },
      trace: { type: 'boolean', default: false },
    },
  });
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
  const runs = Number(values.runs ?? (minutes === undefined ? 2000 : Number.MAX_SAFE_INTEGER));
  const seed = Number(values.seed);
  const whole = Number.isSafeInteger(seed) && seed >= 0 && Number.isSafeInteger(runs) && runs > 0;
  if (!whole || !(minutes === undefined || minutes > 0)) return undefined;
  return { seed, runs, minutes, json: values.json, trace: values.trace };
}

async function runAll({ seed: first, runs, minutes }: RunOptions): Promise<Tally> {
  const tally = new Tally();
  const began = performance.now();
  const endsAt = minutes === undefined ? Infinity : began + minutes * 60_000;
  for (let run = 0; run < runs && performance.now() < endsAt; run += 1) {
    const scenario = drawScenario(first + run);
    tally.add(first + run, scenario, await runScenario(scenario));
  }
  tally.ms = performance.now() - began;
  return tally;
}

/** What goes wrong, and what comes of it. */
async function printStory(scenario: Scenario): Promise<void> {
  const { outcome, story, violation } = await runScenario(scenario, true);
  const { mode, memoryMiB, dirtyMiB, linkMiB, fleet } = scenario;
  console.log(
    `  ${fleet === true ? 'three hosts, ' : ''}${mode}, ${memoryMiB} MiB that dirty ${dirtyMiB} MiB/s, over ${linkMiB} MiB/s; with`,
  );
  for (const { when, deed } of scenario.faults) {
    console.log(`    ${wordsOf(deed)}, ${momentOf(when)}`);
  }
  for (const { call, how, times, forMs } of scenario.calls) {
    const what = how === 'hang' ? `takes ${forMs} ms` : `fails ${how} its effect`;
    console.log(`    ${call} ${what}, ${times} times`);
  }
  for (const line of story) console.log(`  ${line}`);
  console.log(`  it ends as ${outcome}${violation === undefined ? '' : `: ${violation.rule}`}`);
}

async function printViolations(tally: Tally): Promise<void> {
  for (const { seed, rule } of tally.violations.slice(0, MAX_STORIES)) {
    console.log(`\nBROKEN, seed ${seed}: ${rule}`);
    const least = await shrink(drawScenario(seed));
    await printStory(least);
    console.log(`  as a scenario: ${JSON.stringify(least)}`);
  }
  const others = tally.violations.slice(MAX_STORIES).map(({ seed }) => seed);
  if (others.length > 0) console.log(`\nbroken too: seeds ${others.join(' ')}`);
}

function print(tally: Tally): void {
  const list = (counts: ReadonlyMap<string, number>): string =>
    [...counts]
      .toSorted(([, one], [, other]) => other - one)
      .map(([name, times]) => `${name} ${count(times)}`)
      .join(', ');
  const seconds = (tally.ms / 1000).toFixed(1);
  const hours = (tally.virtualMs / 3_600_000).toFixed(1);
  console.log(
    `${count(tally.runs)} migrations in ${seconds} s (${hours} h of theirs): ${count(tally.perMinute)} a minute`,
  );
  console.log(`  ${list(tally.modes)}`);
  console.log(`  ends: ${list(tally.outcomes)}`);
  console.log(
    `  guests recovered: ${count(tally.recovered)}; held and resolved: ${count(tally.resolved)}`,
  );
  console.log(`  faults that struck: ${list(tally.faults)}`);
  const broken = tally.violations.length;
  console.log(broken === 0 ? '  no rule broken' : `  BROKEN in ${count(broken)}`);
}

async function main(): Promise<number> {
  const wanted = wantedOf(process.argv.slice(2));
  if (wanted === undefined) {
    console.error('--seed, --runs and --minutes take numbers');
    return 2;
  }
  const tally = await runAll(wanted);
  if (wanted.json) {
    console.log(JSON.stringify(tally));
  } else {
    print(tally);
    if (wanted.trace && wanted.runs === 1) await printStory(drawScenario(wanted.seed));
    await printViolations(tally);
  }
  return tally.violations.length === 0 ? 0 : 1;
}

process.exitCode = await main();
