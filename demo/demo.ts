/**
 * `npm run demo`: moves a real guest between two hosts of a lab on this machine in each mode, while a
 * client keeps one connection to it, and says what each move cost and whether all came through.
 */
import { cpus, release } from 'node:os';
import { printFailure, printError } from '../src/cli/failure.ts';
import { systemContext } from '../src/cli/system.ts';
import { doctorText } from '../src/cli/render/findings.ts';
import { contextPainter, tableLook } from '../src/cli/render/paint.ts';
import { ERRORS, godwitError, toGodwitError } from '../src/errors.ts';
import type { GodwitError } from '../src/errors.ts';
import type { Lab } from '../src/lab/state.ts';
import { formatDuration } from '../src/protocol/quantity.ts';
import type { Ground } from './obstacles.ts';
import { surveyGround } from './obstacles.ts';
import { isGood, jsonOf } from './json.ts';
import type { DemoRun } from './json.ts';
import { HELP, parseOptions } from './options.ts';
import type { DemoOptions } from './options.ts';
import { isSkipped } from './outcome.ts';
import { play } from './play.ts';
import type { Played } from './play.ts';
import { claimLabName, keepLab, raiseLab, setStage, strike } from './stage.ts';
import { clientLine, guestLine, guestWarning, nextSteps, resultTable } from './text.ts';
import { Interruption, openWorld } from './world.ts';
import type { World } from './world.ts';

async function main(argv: readonly string[]): Promise<number> {
  let options: DemoOptions;
  try {
    options = parseOptions(argv);
  } catch (error) {
    return printFailure(systemContext(), error, argv.includes('--json'));
  }
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const world = openWorld(options);
  try {
    return await perform(options, world);
  } finally {
    world.close();
  }
}

/** What is known so far, for whatever way this ends. */
interface Progress {
  name?: string;
  lab?: Lab;
  ground?: Ground;
  played?: Played;
}

async function perform(options: DemoOptions, world: World): Promise<number> {
  const { context } = world;
  const start = context.clock.monotonicMs();
  const progress: Progress = {};
  let thrown: unknown;
  try {
    await build(options, world, progress);
  } catch (error) {
    thrown = world.signal.aborted ? world.signal.reason : error;
  }
  const interrupted = thrown instanceof Interruption ? thrown : undefined;
  const keep = options.keep && interrupted === undefined && progress.lab !== undefined;
  if (interrupted !== undefined)
    context.err.write(`\n${interrupted.message}; taking the lab down\n`);
  if (keep && progress.name !== undefined) await keepLab(progress.name);
  const left = progress.name === undefined || keep ? [] : await strike(progress.name, progress.lab);
  const error = thrown === undefined ? undefined : asError(thrown);
  const run: DemoRun = {
    machine: machineOf(progress.lab),
    guest: progress.played?.stage.guest,
    outcomes: progress.played?.outcomes ?? [],
    client: progress.played?.client,
    leftBehind: [...(progress.played?.leftBehind ?? []), ...left],
    error: error?.toJSON(),
    keptLab: keep ? progress.name : undefined,
    totalMs: context.clock.monotonicMs() - start,
  };
  tell(run, progress, world);
  if (error !== undefined) printError(context, error);
  if (options.json) process.stdout.write(`${JSON.stringify(jsonOf(run))}\n`);
  if (interrupted !== undefined) return interrupted.exit;
  return error?.exit ?? exitOf(run);
}

async function build(options: DemoOptions, world: World, progress: Progress): Promise<void> {
  const { context, signal } = world;
  const { out, clock } = context;
  const paint = contextPainter(context);
  const say = (what: string, text: string): void =>
    out.write(`${paint.dim(what.padEnd(8))}${text}\n`);
  const timed = async <T>(work: Promise<T>): Promise<{ value: T; took: string }> => {
    const start = clock.monotonicMs();
    return { value: await work, took: formatDuration(clock.monotonicMs() - start) };
  };
  const ground = await surveyGround(context);
  signal.throwIfAborted();
  progress.ground = ground;
  if (ground.obstacles.length > 0) {
    context.err.write(`${doctorText(ground.obstacles, paint)}\n`);
    const what = ground.obstacles.map(({ name, found }) => `${name}: ${found}`).join('; ');
    throw godwitError('GODWIT_HOST_LACKS', { what: `what the demo needs (${what})` });
  }
  progress.name = await claimLabName((what) => say('lab', what));
  const { value: lab, took: labTook } = await timed(raiseLab(progress.name, signal));
  progress.lab = lab;
  say(
    'lab',
    `${lab.name}: hosts ${lab.hosts.join(' and ')} with an agent each, and a client (${labTook})`,
  );
  say('guest', 'booting, and filling its memory');
  const { value: stage, took } = await timed(setStage(lab, options, signal));
  say('guest', `${guestLine(stage.guest)} (${took})`);
  const warning = guestWarning(stage.guest);
  if (warning !== undefined) say('', paint.yellow(warning));
  say('client', `one TCP connection to ${stage.guest.address}, a numbered line every 3 ms`);
  progress.played = { stage, outcomes: [], leftBehind: [] };
  await play(world, progress.played, ground.reasons);
}

function tell(run: DemoRun, { played }: Progress, { context }: World): void {
  const { out } = context;
  const paint = contextPainter(context);
  if (run.outcomes.length > 0) out.write(`\n${resultTable(run.outcomes, tableLook(context))}\n`);
  if (run.client !== undefined) {
    out.write(`${clientLine(run.client.view, run.client.oneConnection)}\n`);
  }
  for (const line of run.leftBehind) out.write(`${paint.red('left behind')}: ${line}\n`);
  if (run.keptLab !== undefined && played !== undefined) {
    out.write(`\n${nextSteps(run.keptLab, played.stage.guest, played.guestOn)}`);
  } else if (run.outcomes.length > 0 && run.leftBehind.length === 0) {
    out.write(
      `Nothing was left behind, and the lab is down. ${formatDuration(run.totalMs)} in all.\n`,
    );
  }
}

function asError(thrown: unknown): GodwitError | undefined {
  return thrown instanceof Interruption ? undefined : toGodwitError(thrown);
}

/** The exit code of the first thing that went wrong. */
function exitOf(run: DemoRun): number {
  if (isGood(run)) return 0;
  const failed = run.outcomes.find((outcome) => !isSkipped(outcome) && outcome.error !== undefined);
  if (failed === undefined || isSkipped(failed) || failed.error === undefined) {
    return ERRORS.GODWIT_STEP_FAILED.exit;
  }
  return ERRORS[failed.error.code].exit;
}

function machineOf(lab: Lab | undefined): DemoRun['machine'] {
  const processors = cpus();
  return {
    cores: processors.length,
    processor: processors[0]?.model ?? 'unknown',
    kernel: release(),
    node: process.versions.node,
    rootless: lab === undefined ? process.getuid?.() !== 0 : lab.entry.kind === 'user',
  };
}

process.exitCode = await main(process.argv.slice(2));
