/**
 * Checks the right to run exhaustively: `node tools/model.ts [--faults N] [--from NAME] [--trace] [--json]`.
 *
 * Explores every state that one migration can come to, in pre-copy and in post-copy, with messages late, doubled and
 * lost, and with up to N (2) deaths, power losses and broken streams. Then breaks the protocol on purpose, and shows
 * that each break is found; `--trace` prints how. Exit 1 when a rule is broken, a mutant is missed, or a bound cut
 * it short. `--from` begins with the run or the mutant of that name. See test/model/README.md.
 */
import { parseArgs } from 'node:util';
import { explore, type Bounds, type ExplorationResult } from '../test/model/explore.ts';
import { MUTANTS, REAL, withEdit } from '../test/model/rules.ts';
import { SHELL_MUTANTS } from '../test/model/shells/mutants.ts';
import { exploreThirdHosts } from '../test/model/third-hosts/explore.ts';
import { PRODUCT, THIRD_HOST_MUTANTS } from '../test/model/third-hosts/rules.ts';
import { proverRecorder } from './prover-record.ts';

/** More states than this are not worth the memory: 44 bytes each. */
const MAX_STATES = 20_000_000;

type Result = { name: string; explored: ExplorationResult };

const RUNS: readonly { name: string; bounds: Pick<Bounds, 'mode' | 'earlier'> }[] = [
  { name: 'pre-copy', bounds: { mode: 'precopy', earlier: false } },
  { name: 'post-copy and hybrid', bounds: { mode: 'hybrid', earlier: false } },
];

/** Tells which runs and mutants are to be explored, and records how they came out. */
interface Progress {
  begins(name: string): boolean;
  ends(isRight: boolean): void;
}

const count = (value: number): string => value.toLocaleString('en');
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

function verdict({ violation, exhaustive }: ExplorationResult): string {
  if (violation !== undefined) return `BROKEN: ${violation.rule}`;
  return exhaustive ? 'no rule broken; every fair run ends' : 'not exhaustive: too many states';
}

function printRun(name: string, explored: ExplorationResult): void {
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

function holds({ exhaustive, violation }: ExplorationResult): boolean {
  return exhaustive && violation === undefined;
}

function runReal(faults: number, quiet: boolean, progress: Progress): Result[] {
  return RUNS.flatMap(({ name, bounds }) => {
    if (!progress.begins(name)) return [];
    const all = { ...bounds, faults, mostStates: MAX_STATES, ends: true };
    const explored = explore(REAL, all);
    if (!quiet) printRun(name, explored);
    progress.ends(holds(explored));
    return [{ name, explored }];
  });
}

/** With the calls of an earlier migration of the same guest still under way. */
function runSecond(faults: number, quiet: boolean, progress: Progress): Result[] {
  const all = { faults, mostStates: MAX_STATES, ends: true, earlier: true };
  const name = 'a second migration, with calls of the first still under way';
  if (!progress.begins(name)) return [];
  const explored = explore(REAL, { ...all, mode: 'precopy' });
  if (!quiet) printRun(name, explored);
  progress.ends(holds(explored));
  return [{ name, explored }];
}

/** One that turns round at its switch, however that would be made. */
function runRehearsal(faults: number, quiet: boolean, progress: Progress): Result[] {
  const all = { faults, mostStates: MAX_STATES, ends: true, earlier: false, rehearses: true };
  const name = 'a rehearsal';
  if (!progress.begins(name)) return [];
  const explored = explore(REAL, { ...all, mode: 'hybrid' });
  if (!quiet) printRun(name, explored);
  progress.ends(holds(explored));
  return [{ name, explored }];
}

function printMutant(
  name: string,
  breaks: string,
  explored: ExplorationResult,
  trace: boolean,
): void {
  const { violation, ms } = explored;
  console.log(`${name} (${breaks})`);
  if (violation === undefined) return console.log('  MISSED');
  console.log(`  found in ${violation.trace.length} moves, ${seconds(ms)}: ${violation.rule}`);
  if (trace) printTrace(violation.trace);
}

/** The rules broken, and then the movers' own code. */
async function runMutants(quiet: boolean, trace: boolean, progress: Progress): Promise<Result[]> {
  const most = { faults: 1, mostStates: MAX_STATES };
  const results: Result[] = [];
  const ran = (name: string, breaks: string, explored: ExplorationResult): void => {
    if (!quiet) printMutant(name, breaks, explored, trace);
    results.push({ name, explored });
    progress.ends(explored.violation !== undefined);
  };
  for (const { name, breaks, mode, earlier, rules } of MUTANTS) {
    if (!progress.begins(name)) continue;
    ran(name, breaks, explore(rules, { ...most, mode, earlier, ends: false }));
  }
  for (const mutant of SHELL_MUTANTS) {
    const { name, breaks, mode, earlier = false, ends = false } = mutant;
    if (!progress.begins(name)) continue;
    ran(name, breaks, explore(await withEdit(mutant), { ...most, mode, earlier, ends }));
  }
  return results;
}

/** Keeps what is known before each run: one that is ended goes on with the name that is recorded as the next. */
function progressFrom(
  from: string | undefined,
  faults: number,
): { readonly progress: Progress; readonly record: () => void; readonly begun: () => number } {
  const recorder = proverRecorder({ prover: 'model', options: { faults }, from });
  const explored: string[] = [];
  const wrong: string[] = [];
  let now: string | undefined;
  const keep = (next: { readonly next?: string }): void => {
    recorder.keep({ ...next, ok: wrong.length === 0, figures: { explored, wrong } });
  };
  const progress: Progress = {
    begins: (name) => {
      if (now === undefined && from !== undefined && name !== from) return false;
      now = name;
      keep({ next: name });
      return true;
    },
    ends: (isRight) => {
      if (now === undefined) return;
      explored.push(now);
      if (!isRight) wrong.push(now);
    },
  };
  return { progress, record: () => keep({}), begun: () => explored.length };
}

/** Recoveries, restarts and third hosts around one migration. */
function runThirdHosts(faults: number, quiet: boolean, progress: Progress): boolean {
  if (!progress.begins('third hosts')) return true;
  const real = exploreThirdHosts(PRODUCT, { faults, mostStates: MAX_STATES });
  if (!quiet) {
    const { states, moves, depth, ms } = real;
    console.log('\nThird hosts: recoveries and restarts around one migration');
    console.log(`  ${count(states)} states, ${count(moves)} moves, ${depth} deep, ${seconds(ms)}`);
    console.log(`  ${real.violation === undefined ? 'two copies never run' : 'BROKEN'}`);
    printTrace(real.violation ?? []);
  }
  const missed = THIRD_HOST_MUTANTS.filter(({ name, breaks, rules }) => {
    const { violation, ms } = exploreThirdHosts(rules, { faults: 2, mostStates: MAX_STATES });
    const found = violation === undefined ? 'MISSED' : `found in ${violation.length} moves`;
    if (!quiet) console.log(`${name} (${breaks})\n  ${found}, ${seconds(ms)}`);
    return violation === undefined;
  });
  const isRight = real.exhaustive && real.violation === undefined && missed.length === 0;
  progress.ends(isRight);
  return isRight;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      faults: { type: 'string', default: '2' },
      from: { type: 'string' },
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
  const { from } = values;
  const { progress, record, begun } = progressFrom(from, faults);
  const real = [
    ...runReal(faults, quiet, progress),
    ...runSecond(Math.min(faults, 1), quiet, progress),
    ...runRehearsal(faults, quiet, progress),
  ];
  if (!quiet) console.log('\nThe protocol broken on purpose');
  const mutants = await runMutants(quiet, values.trace, progress);
  const thirdHosts = runThirdHosts(faults, quiet, progress);
  if (begun() === 0) {
    console.error(`--from ${from}: there is no run and no mutant of that name`);
    return 2;
  }
  const found = mutants.filter(({ explored }) => explored.violation !== undefined).length;
  const states = real.slice(0, RUNS.length).reduce((sum, { explored }) => sum + explored.states, 0);
  const ms = performance.now() - began;
  const ok =
    thirdHosts && real.every(({ explored }) => holds(explored)) && found === mutants.length;
  if (quiet) {
    console.log(
      JSON.stringify({
        ok,
        faults,
        thirdHosts,
        states,
        found,
        of: mutants.length,
        ms,
        real,
        mutants,
      }),
    );
  } else {
    console.log(`\n${count(states)} distinct states of pre-copy and post-copy together`);
    console.log(`${found} of ${mutants.length} mutants found; ${seconds(ms)} in all`);
  }
  record();
  return ok ? 0 : 1;
}

process.exitCode = await main();
