/**
 * `npm run demo`: moves a real guest between two hosts of a lab on this machine in each mode, while a
 * client keeps one connection to it, and says what each move cost and whether all came through. With
 * --fleet: drains a host of a fleet under a controller.
 */
import { printFailure, printError } from '../src/cli/failure.ts';
import { systemContext } from '../src/cli/system.ts';
import { contextPainter, tableLook } from '../src/cli/render/paint.ts';
import { ERRORS } from '../src/errors.ts';
import { formatDuration } from '../src/protocol/quantity.ts';
import { performFleet } from './fleet/fleet.ts';
import { isGood, jsonOf, type DemoRun } from './json.ts';
import { machineOf, onLab } from './on-lab.ts';
import { HELP, parseOptions, type DemoOptions } from './options.ts';
import { isSkipped } from './outcome.ts';
import { play, type PlayRecord } from './play.ts';
import { setStage } from './stage.ts';
import { clientLine, guestLine, guestWarning, nextSteps, resultTable } from './text.ts';
import { openWorld, type World } from './world.ts';

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
    return options.fleet ? await performFleet(options, world) : await perform(options, world);
  } finally {
    world.close();
  }
}

async function perform(options: DemoOptions, world: World): Promise<number> {
  const { context } = world;
  let played: PlayRecord | undefined;
  const { container: containers, keep } = options;
  const ending = await onLab(world, { hosts: 2, containers, keep }, async (standing) => {
    const { lab, ground, say, timed } = standing;
    say('guest', `${containers ? 'starting' : 'booting'}, and filling its memory`);
    const { value: stage, took } = await timed(setStage(lab, options, world.signal));
    say('guest', `${guestLine(stage.guest)} (${took})`);
    const warning = guestWarning(stage.guest);
    if (warning !== undefined) say('', contextPainter(context).yellow(warning));
    say('client', `one TCP connection to ${stage.guest.address}, a numbered line every 3 ms`);
    played = { stage, outcomes: [], leftBehind: [] };
    await play(world, played, ground.reasons);
  });
  const run: DemoRun = {
    machine: machineOf(ending.lab),
    guest: played?.stage.guest,
    outcomes: played?.outcomes ?? [],
    client: played?.client,
    leftBehind: [...(played?.leftBehind ?? []), ...ending.leftBehind],
    error: ending.error?.toJSON(),
    keptLab: ending.keptLab,
    totalMs: ending.totalMs,
  };
  report(run, played, world);
  if (ending.error !== undefined) printError(context, ending.error);
  if (options.json) process.stdout.write(`${JSON.stringify(jsonOf(run))}\n`);
  return ending.interruption?.exit ?? ending.error?.exit ?? exitOf(run);
}

function report(run: DemoRun, played: PlayRecord | undefined, { context }: World): void {
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

/** The exit code of the first thing that went wrong. */
function exitOf(run: DemoRun): number {
  if (isGood(run)) return 0;
  const failed = run.outcomes.find((outcome) => !isSkipped(outcome) && outcome.error !== undefined);
  if (failed === undefined || isSkipped(failed) || failed.error === undefined) {
    return ERRORS.GODWIT_STEP_FAILED.exit;
  }
  return ERRORS[failed.error.code].exit;
}

process.exitCode = await main(process.argv.slice(2));
