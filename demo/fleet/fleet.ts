/**
 * `npm run demo -- --fleet`: three hosts, six guests that dirty their memory, a controller with its dashboard;
 * then the first host is drained while a client talks to each of its guests.
 */
import { printError } from '../../src/cli/failure.ts';
import { contextPainter, tableLook } from '../../src/cli/render/paint.ts';
import { ERRORS } from '../../src/errors.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { openProbe } from '../../lab/probe/probe.ts';
import { labCensus, type HostCensus } from '../../lab/witness/census.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import type { Lab } from '../../lab/state.ts';
import { formatBytes, formatDuration, formatRate } from '../../src/protocol/quantity.ts';
import { leftovers, type Home } from '../leftovers.ts';
import { machineOf, onLab, type Standing } from '../on-lab.ts';
import type { DemoOptions } from '../options.ts';
import { guestWarning } from '../text.ts';
import type { World } from '../world.ts';
import { startFleetController, type FleetController } from './controller.ts';
import { drainHost, type WatchedGuest } from './drain.ts';
import {
  loginLines,
  drainTable,
  fleetJson,
  fleetNextSteps,
  isGoodFleet,
  type FleetRun,
} from './outcome.ts';

/** Which guests begin where: the first host, which is drained, has the most. */
const HOMES: readonly (readonly [guest: string, host: string])[] = [
  ['web1', 'a'],
  ['web2', 'a'],
  ['db1', 'a'],
  ['web3', 'b'],
  ['db2', 'b'],
  ['cache1', 'c'],
];
const DRAINED = 'a';
/** Each client sends a line so often: seldom enough for small machines, and so exact is its gap. */
const CLIENT_MS = 10;
/** After the last move the agents' and movers' last work may take a moment. */
const SETTLE_MS = 10_000;
const SETTLE_STEP_MS = 100;

/** What is known so far, for whatever way this ends. */
interface Progress {
  controller?: FleetController;
  drain?: FleetRun['drain'];
  leftBehind: readonly string[];
}

/** Plays it all; returns the exit code. */
export async function performFleet(options: DemoOptions, world: World): Promise<number> {
  const { context } = world;
  const progress: Progress = { leftBehind: [] };
  const ending = await onLab(world, { hosts: 3, keep: options.keep }, (standing) =>
    playFleet(standing, options, world, progress),
  );
  const { controller, drain } = progress;
  controller?.client.close();
  const run: FleetRun = {
    machine: machineOf(ending.lab),
    drain,
    dashboard: controller && { url: controller.url, token: controller.token },
    leftBehind: [...progress.leftBehind, ...ending.leftBehind],
    error: ending.error?.toJSON(),
    keptLab: ending.keptLab,
    totalMs: ending.totalMs,
  };
  report(run, controller, world);
  if (ending.error !== undefined) printError(context, ending.error);
  if (options.json) process.stdout.write(`${JSON.stringify(fleetJson(run))}\n`);
  const exit = ending.interruption?.exit ?? ending.error?.exit;
  return exit ?? (isGoodFleet(run) ? 0 : ERRORS.GODWIT_STEP_FAILED.exit);
}

async function playFleet(
  { lab, say, timed }: Standing,
  options: DemoOptions,
  { context, signal }: World,
  progress: Progress,
): Promise<void> {
  const { value: controller, took } = await timed(startFleetController(lab, signal));
  progress.controller = controller;
  const [address, key] = loginLines(controller.url, controller.token);
  say('dashboard', `${address} (${took})`);
  say('', key);
  const bare = await labCensus(lab);
  say('guests', `booting ${HOMES.length}, and filling their memory`);
  await startGuests({ lab, say, timed }, options, { context, signal });
  const names = HOMES.filter(([, host]) => host === DRAINED).map(([name]) => name);
  const watched: WatchedGuest[] = [];
  for (const name of names)
    watched.push({ name, probe: await openProbe(lab, name, { signal, intervalMs: CLIENT_MS }) });
  say(
    'clients',
    `one TCP connection to each of ${names.join(', ')}, a numbered line every ${CLIENT_MS} ms`,
  );
  say('drain', `host ${DRAINED}, by the controller; its page shows it live`);
  const { request, guests } = await drainHost(DRAINED, {
    lab,
    controller,
    watched,
    clock: context.clock,
    signal,
    say: (text) => say('', text),
  });
  progress.drain = {
    host: DRAINED,
    phase: request.phase,
    words: request.words,
    asked: names,
    guests,
  };
  progress.leftBehind = await findLeftovers(lab, bare, { context, signal });
}

/** One after the other: several that boot at once under emulation take longer than their turns. */
async function startGuests(
  { lab, say, timed }: Pick<Standing, 'lab' | 'say' | 'timed'>,
  { memoryBytes, workingSetBytes, dirtyBytesPerSecond, qemu }: DemoOptions,
  { context, signal }: Pick<World, 'context' | 'signal'>,
): Promise<void> {
  for (const [name, host] of HOMES) {
    const request = { name, host, memoryBytes, workingSetBytes, dirtyBytesPerSecond, qemu, signal };
    const { value: guest, took } = await timed(startGuest(lab, request));
    const load = `${formatBytes(workingSetBytes)} checksummed, half of it rewritten at ${formatRate(dirtyBytesPerSecond)}`;
    say('', `${name} on ${host}: ${formatBytes(memoryBytes)}, ${load} (${took})`);
    const warning = name === HOMES[0]?.[0] ? guestWarning(guest) : undefined;
    if (warning !== undefined) say('', contextPainter(context).yellow(warning));
  }
}

async function findLeftovers(
  lab: Lab,
  bare: readonly HostCensus[],
  { context: { clock }, signal }: Pick<World, 'context' | 'signal'>,
): Promise<string[]> {
  const start = clock.monotonicMs();
  for (;;) {
    const homes: Home[] = [];
    for (const [name] of HOMES) {
      for (const host of await runningOn(lab, name)) homes.push({ name, host });
    }
    const found = leftovers(bare, await labCensus(lab), homes);
    if (found.length === 0 || clock.monotonicMs() - start > SETTLE_MS) return found;
    await clock.sleep(SETTLE_STEP_MS, signal);
  }
}

function report(run: FleetRun, controller: FleetController | undefined, { context }: World): void {
  const { out } = context;
  const { drain } = run;
  if (drain !== undefined) {
    out.write(`\n${drainTable(drain.guests, tableLook(context))}`);
    out.write(`\nDrain of ${drain.host}: ${drain.phase}. ${drain.words}\n`);
  }
  for (const line of run.leftBehind)
    out.write(`${contextPainter(context).red('left behind')}: ${line}\n`);
  if (run.keptLab !== undefined && controller !== undefined) {
    out.write(`\n${fleetNextSteps(run.keptLab, controller, DRAINED)}`);
  } else if (drain !== undefined && run.leftBehind.length === 0) {
    out.write(
      `Nothing was left behind, and the lab is down. ${formatDuration(run.totalMs)} in all.\n`,
    );
  }
}
