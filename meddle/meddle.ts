/** `npm run meddle`: owners change their guests while the guests move. See meddle/README.md. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { holeNamed, openHole } from '../hostile/holes/hole.ts';
import { proverRecorder } from '../tools/prover-record.ts';
import { MAX_RUNS, planRun } from './draw.ts';
import { plan as planSchema, planWords, type Plan } from './plan.ts';
import { play, type PlayResult } from './play.ts';
import { shrink } from './shrink.ts';
import { BootedGuests } from './booted.ts';
import type { Ground } from './ground.ts';
import { canShow, HOLES } from './holes.ts';
import { LibvirtStage } from './libvirt-stage.ts';
import { clearDebris, Stage } from './stage.ts';

const USAGE = `npm run meddle -- [--runs N] [--from N] [--seed N] [--run N]... [--match P] [--cases] [--shrink N] [--lanes N]
  [--hole H] [--json] [--list]

  --runs N    how many runs; default 12
  --from N    the first of them, so that many are played in parts; default 0
  --seed N    which ones; default 1
  --run N     only this run of the seed; may be repeated
  --match P   only runs whose words (--list) match this pattern
  --cases     only the cases that were kept; default: they are played first; --no-cases: without them
  --shrink N  makes a failing run as simple as N further runs can show; default 0
  --lanes N   how many guests move at the same time, each in a lab of its own; default 2
  --hole H    the product has this known defect, which must be found (see meddle/holes.ts): of the runs,
              only those that can show it (without --run and --match); ends with the first that
              finds it, and with status 1 if none does
  --json      one line of JSON for each run, on standard output
  --list      the runs in words; nothing is started

What was played, and on which commit, is kept in out/proofs/meddle.json.
`;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '12' },
    from: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    run: { type: 'string', multiple: true, default: [] },
    cases: { type: 'boolean' },
    match: { type: 'string', default: '' },
    lanes: { type: 'string', default: '2' },
    hole: { type: 'string' },
    shrink: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
  allowNegative: true,
});

const MAX_LANES = 8;
const CASES = new URL('cases.json', import.meta.url);

function numberOf(text: string, name: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0 && number <= MAX_RUNS) return number;
  throw new Error(`--${name} ${text}: a whole number up to ${MAX_RUNS} is possible`);
}

/** A run and the name that it goes by. */
interface NamedRun {
  readonly name: string;
  /** Options that play it again. */
  readonly again: string;
  readonly plan: Plan;
}

function keptCases(): NamedRun[] {
  const all = z.record(z.string(), planSchema).parse(JSON.parse(readFileSync(CASES, 'utf8')));
  return Object.entries(all).map(([name, plan]) => ({ name, again: '--cases', plan }));
}

/** Run N of a seed is the same in each part of it. */
function runsOf(seed: number): NamedRun[] {
  const first = numberOf(values.from, 'from');
  const count = numberOf(values.runs, 'runs');
  const numbers =
    values.run.length > 0
      ? values.run.map((each) => numberOf(each, 'run'))
      : Array.from({ length: count }, (_, index) => first + index);
  const all = numbers.map((number) => {
    const again = `--seed ${seed} --run ${number}`;
    return { name: `run ${number}`, again, plan: planRun(seed * MAX_RUNS + number) };
  });
  const wanted = new RegExp(values.match);
  const hole = values.hole === undefined ? undefined : holeNamed(HOLES, values.hole);
  const isChosen = values.run.length > 0 || values.match !== '';
  return all.filter(({ plan }) => {
    return wanted.test(planWords(plan)) && (hole === undefined || isChosen || canShow(hole, plan));
  });
}

function report({ name, again }: NamedRun, played: PlayResult): void {
  const { plan, problems, outcome, reason, acts, tookMs } = played;
  if (values.json) process.stdout.write(`${JSON.stringify({ name, ...played })}\n`);
  const done = acts.map(({ kind, refused, isBetween }) => {
    return `${kind}${refused === undefined ? '' : ` (refused: ${refused})`}${isBetween ? ' (between)' : ''}`;
  });
  const ofHole = values.hole === undefined ? '' : ` --hole ${values.hole}`;
  const lines = [
    `${problems.length === 0 ? 'ok ' : 'RED'} ${name}: ${planWords(plan)}`,
    `    ${outcome} after ${(tookMs / 1000).toFixed(1)} s; ${done.join(', ') || 'nothing was done'}`,
    ...(reason === '' ? [] : [`    ${reason}`]),
    ...problems.map((problem) => `    PROBLEM ${problem}`),
    ...(problems.length === 0 ? [] : [`    again: npm run meddle -- ${again}${ofHole}`]),
  ];
  process.stderr.write(`${lines.join('\n')}\n`);
}

/** Runs are taken in their order by whichever lane is free. */
async function playAll(
  all: readonly NamedRun[],
  signal: AbortSignal,
  keep: (done: readonly PlayResult[]) => void,
): Promise<PlayResult[]> {
  await clearDebris();
  const booted = new BootedGuests();
  const done: PlayResult[] = [];
  const left = all.entries();
  // One run that finds the known defect is enough.
  const isFound = (): boolean =>
    values.hole !== undefined && done.some(({ problems }) => problems.length > 0);
  const lane = async (number: number): Promise<void> => {
    const stages = new Map<string, Ground>();
    const stageFor = async ({ scene: { driver } }: Plan): Promise<Ground> => {
      const stage =
        stages.get(driver) ??
        (await (driver === 'qemu' ? Stage.open(number, booted) : LibvirtStage.open(number)));
      stages.set(driver, stage);
      return stage;
    };
    try {
      for (const [index, named] of left) {
        const { plan } = named;
        if (signal.aborted || isFound()) break;
        const stage = await stageFor(plan);
        const played = await play(stage, plan, `m${index}`);
        report(named, played);
        done.push(played);
        keep(done);
        if (played.problems.length > 0) await makeSimple(stage, plan, `m${index}`);
      }
    } finally {
      for (const stage of stages.values()) await stage.close();
    }
  };
  const lanes = Math.min(MAX_LANES, numberOf(values.lanes, 'lanes'), all.length);
  const over = await Promise.allSettled(Array.from({ length: lanes }, (_, number) => lane(number)));
  for (const each of over) if (each.status === 'rejected') throw each.reason;
  return done;
}

async function makeSimple(stage: Ground, plan: Plan, name: string): Promise<void> {
  const tries = numberOf(values.shrink, 'shrink');
  if (tries === 0) return;
  let count = 0;
  const fails = async (each: Plan): Promise<boolean> =>
    (await play(stage, each, `${name}s${(count += 1)}`)).problems.length > 0;
  const least = await shrink(plan, fails, tries);
  process.stderr.write(`    shrunk: ${JSON.stringify(least)}\n`);
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const seed = numberOf(values.seed, 'seed');
  const isChosen = values.run.length > 0 || values.match !== '' || values.hole !== undefined;
  const cases = isChosen || values.from !== '0' || values.cases === false ? [] : keptCases();
  const all = values.cases === true ? keptCases() : [...cases, ...runsOf(seed)];
  if (values.list) {
    for (const { name, plan } of all) process.stdout.write(`${name}: ${planWords(plan)}\n`);
    return 0;
  }
  const lacks = all.some(({ plan }) => plan.scene.driver === 'libvirt')
    ? await LibvirtStage.lacks()
    : undefined;
  if (lacks !== undefined) {
    const left = all.filter(({ plan }) => plan.scene.driver !== 'libvirt');
    process.stderr.write(`${all.length - left.length} runs of libvirt are left out: ${lacks}\n`);
    all.splice(0, all.length, ...left);
  }
  if (values.hole !== undefined) openHole(HOLES, values.hole);
  const stop = new AbortController();
  // The run under way is played to its end, and the lab comes down.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  }
  const from = numberOf(values.from, 'from');
  const recorder = proverRecorder({
    prover: 'meddle',
    options: { seed },
    from: from === 0 ? undefined : String(from),
  });
  const keep = (done: readonly PlayResult[]): void => {
    // A chosen run, or a known defect, is not a part of the whole.
    if (isChosen || values.cases === true) return;
    const next = String(from + Math.max(0, done.length - cases.length));
    const red = done.filter(({ problems }) => problems.length > 0);
    recorder.keep({
      next,
      ok: red.length === 0,
      figures: { played: done.length, red: red.map(({ plan }) => plan.seed) },
    });
  };
  const done = await playAll(all, stop.signal, keep);
  const red = done.filter(({ problems }) => problems.length > 0).length;
  process.stderr.write(`${done.length} runs, ${red} red\n`);
  if (values.hole !== undefined) return red > 0 ? 0 : 1;
  return red === 0 && done.length === all.length ? 0 : 1;
}

process.exitCode = await main();
