/**
 * Checks the right to run exhaustively: `node tools/model.ts [--faults N] [--trace] [--json]`.
 *
 * Explores every state that one migration can come to, in pre-copy and in post-copy, with messages late, doubled and
 * lost, and with up to N (2) deaths, power losses and broken streams. Then breaks the protocol on purpose, and shows
 * that each break is found; `--trace` prints how. Exit 1 when a rule is broken, a mutant is missed, or a bound cut
 * it short. See docs/model.md.
 */
import { parseArgs } from 'node:util';
import { explore } from '../test/model/explore.ts';
import type { Bounds, Explored } from '../test/model/explore.ts';
import { MUTANTS, REAL, withEdit } from '../test/model/rules.ts';
import { SHELL_MUTANTS } from '../test/model/shells/mutants.ts';

/** More states than this are not worth the memory: 44 bytes each. */
const MOST_STATES = 20_000_000;

type Result = { name: string; explored: Explored };

const RUNS: readonly { name: string; bounds: Pick<Bounds, 'mode' | 'earlier'> }[] = [
  { name: 'pre-copy', bounds: { mode: 'precopy', earlier: false } },
  { name: 'post-copy and hybrid', bounds: { mode: 'hybrid', earlier: false } },
];

const count = (value: number): string => value.toLocaleString('en');
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

function verdict({ violation, exhaustive }: Explored): string {
  if (violation !== undefined) return `BROKEN: ${violation.rule}`;
  return exhaustive ? 'no rule broken; every fair run ends' : 'not exhaustive: too many states';
}

function printRun(name: string, explored: Explored): void {
  const { states, moves, depth, ms, sourceStates, destinationStates, ends } = explored;
  console.log(`${name}: ${count(states)} states, ${count(moves)} moves, ${seconds(ms)}`);
  console.log(
    `  ${depth} moves deep; ${sourceStates} states of the source, ${destinationStates} of the destination`,
  );
  const outcomes = Object.entries(ends).map(([outcome, times]) => `${outcome} ${count(times)}`);
  console.log(`  ends: ${outcomes.join(', ')}`);
  console.log(`  ${verdict(explored)}`);
  if (explored.violation !== undefined) printTrace(explored.violation.trace);
}

function printTrace(trace: readonly string[]): void {
  for (const [index, move] of trace.entries()) console.log(`    ${index + 1}. ${move}`);
}

function runReal(faults: number, quiet: boolean): Result[] {
  return RUNS.map(({ name, bounds }) => {
    const all = { ...bounds, faults, mostStates: MOST_STATES, ends: true };
    const explored = explore(REAL, all);
    if (!quiet) printRun(name, explored);
    return { name, explored };
  });
}

/** With the calls of an earlier migration of the same guest still under way. */
function runSecond(faults: number, quiet: boolean): Result[] {
  const all = { faults, mostStates: MOST_STATES, ends: true, earlier: true };
  const name = 'a second migration, with calls of the first still under way';
  const explored = explore(REAL, { ...all, mode: 'precopy' });
  if (!quiet) printRun(name, explored);
  return [{ name, explored }];
}

/** One that turns round at its switch, however that would be made. */
function runRehearsal(faults: number, quiet: boolean): Result[] {
  const all = { faults, mostStates: MOST_STATES, ends: true, earlier: false, rehearses: true };
  const name = 'a rehearsal';
  const explored = explore(REAL, { ...all, mode: 'hybrid' });
  if (!quiet) printRun(name, explored);
  return [{ name, explored }];
}

function printMutant(name: string, breaks: string, explored: Explored, trace: boolean): void {
  const { violation, ms } = explored;
  console.log(`${name} (${breaks})`);
  if (violation === undefined) return console.log('  MISSED');
  console.log(`  found in ${violation.trace.length} moves, ${seconds(ms)}: ${violation.rule}`);
  if (trace) printTrace(violation.trace);
}

/** The rules broken, and then the movers' own code. */
async function runMutants(quiet: boolean, trace: boolean): Promise<Result[]> {
  const most = { faults: 1, mostStates: MOST_STATES };
  const results: Result[] = [];
  const ran = (name: string, breaks: string, explored: Explored): void => {
    if (!quiet) printMutant(name, breaks, explored, trace);
    results.push({ name, explored });
  };
  for (const { name, breaks, mode, earlier, rules } of MUTANTS) {
    ran(name, breaks, explore(rules, { ...most, mode, earlier, ends: false }));
  }
  for (const mutant of SHELL_MUTANTS) {
    const { name, breaks, mode, earlier = false, ends = false } = mutant;
    ran(name, breaks, explore(await withEdit(mutant), { ...most, mode, earlier, ends }));
  }
  return results;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      faults: { type: 'string', default: '2' },
      trace: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const faults = Number(values.faults);
  if (!Number.isSafeInteger(faults) || faults < 0 || faults > 7) {
    console.error('--faults takes a number from 0 to 7');
    return 2;
  }
  const began = performance.now();
  const quiet = values.json;
  if (!quiet) console.log(`The right to run, with at most ${faults} faults in one migration`);
  const real = [
    ...runReal(faults, quiet),
    ...runSecond(Math.min(faults, 1), quiet),
    ...runRehearsal(faults, quiet),
  ];
  if (!quiet) console.log('\nThe protocol broken on purpose');
  const mutants = await runMutants(quiet, values.trace);
  const found = mutants.filter(({ explored }) => explored.violation !== undefined).length;
  const states = real.slice(0, RUNS.length).reduce((sum, { explored }) => sum + explored.states, 0);
  const ms = performance.now() - began;
  const holds = real.every(({ explored }) => explored.exhaustive && !explored.violation);
  const ok = holds && found === mutants.length;
  if (quiet) {
    console.log(
      JSON.stringify({ ok, faults, states, found, of: mutants.length, ms, real, mutants }),
    );
  } else {
    console.log(`\n${count(states)} distinct states of pre-copy and post-copy together`);
    console.log(`${found} of ${mutants.length} mutants found; ${seconds(ms)} in all`);
  }
  return ok ? 0 : 1;
}

process.exitCode = await main();
