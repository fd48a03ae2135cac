import { cpus, release } from 'node:os';
import { doctorText } from '../src/cli/render/findings.ts';
import { contextPainter } from '../src/cli/render/paint.ts';
import { godwitError, toGodwitError, type GodwitError } from '../src/errors.ts';
import type { Lab } from '../lab/state.ts';
import { labUp } from '../lab/up.ts';
import { formatDuration } from '../src/protocol/quantity.ts';
import type { Machine } from './json.ts';
import { bringContainers } from './container-programs.ts';
import { surveyGround, type Ground } from './obstacles.ts';
import { claimLabName, keepLab, strike } from './stage.ts';
import { Interruption, type World } from './world.ts';

/** A lab that stands, and how to speak about what is done on it. */
export interface Standing {
  readonly lab: Lab;
  readonly ground: Ground;
  /** A line under a word, such as `guest`. */
  readonly say: (what: string, text: string) => void;
  readonly timed: <T>(work: Promise<T>) => Promise<{ value: T; took: string }>;
}

/** How a demo ended; the lab is down unless it was kept. */
export interface Ending {
  /** The lab that was built, if it came so far. */
  readonly lab: Lab | undefined;
  /** Its name where it was left up. */
  readonly keptLab: string | undefined;
  /** A line for each thing that taking it down has left. */
  readonly leftBehind: readonly string[];
  readonly error: GodwitError | undefined;
  readonly interruption: Interruption | undefined;
  readonly totalMs: number;
}

/**
 * Builds a lab, has `act` do its work on it, and takes the lab down whatever happens, or keeps it where
 * that was asked for and nobody interrupted. Never rejects: what `act` throws is in the ending.
 */
export async function onLab(
  world: World,
  {
    keep,
    ...shape
  }: { readonly hosts: number; readonly containers?: boolean; readonly keep: boolean },
  act: (standing: Standing) => Promise<void>,
): Promise<Ending> {
  const { context } = world;
  const start = context.clock.monotonicMs();
  const built: LabResources = {};
  let thrown: unknown;
  try {
    await act(await build(world, shape, built));
  } catch (error) {
    thrown = world.signal.aborted ? world.signal.reason : error;
  }
  const interruption = thrown instanceof Interruption ? thrown : undefined;
  if (interruption !== undefined)
    context.err.write(`\n${interruption.message}; taking the lab down\n`);
  const { name, lab } = built;
  const keptLab = keep && interruption === undefined && lab !== undefined ? name : undefined;
  if (keptLab !== undefined) await keepLab(keptLab);
  const isError = thrown !== undefined && interruption === undefined;
  return {
    lab,
    keptLab,
    leftBehind: name === undefined || keptLab !== undefined ? [] : await strike(name, lab),
    error: isError ? toGodwitError(thrown) : undefined,
    interruption,
    totalMs: context.clock.monotonicMs() - start,
  };
}

/** What there is to take down, for whatever way this ends. */
interface LabResources {
  name?: string;
  lab?: Lab;
}

async function build(
  { context, signal }: World,
  { hosts, containers = false }: { readonly hosts: number; readonly containers?: boolean },
  built: LabResources,
): Promise<Standing> {
  const { out, clock } = context;
  const paint = contextPainter(context);
  const say = (what: string, text: string): void =>
    out.write(`${paint.dim(what.padEnd(10))}${text}\n`);
  const timed = async <T>(work: Promise<T>): Promise<{ value: T; took: string }> => {
    const start = clock.monotonicMs();
    return { value: await work, took: formatDuration(clock.monotonicMs() - start) };
  };
  const ground = await surveyGround(context, containers);
  signal.throwIfAborted();
  if (ground.obstacles.length > 0) {
    context.err.write(`${doctorText(ground.obstacles, paint)}\n`);
    const what = ground.obstacles.map(({ name, found }) => `${name}: ${found}`).join('; ');
    throw godwitError('GODWIT_HOST_LACKS', { what: `what the demo needs (${what})` });
  }
  if (containers) await bringContainers((what) => say('setup', what), signal);
  const name = await claimLabName((what) => say('lab', what));
  built.name = name;
  const { value: lab, took } = await timed(labUp({ name, hosts, containers, signal }));
  built.lab = lab;
  const names = `${lab.hosts.slice(0, -1).join(', ')} and ${lab.hosts.at(-1)}`;
  say('lab', `${name}: hosts ${names} with an agent each, and a client (${took})`);
  return { lab, ground, say, timed };
}

/** This machine; `lab` says whether it took root. */
export function machineOf(lab: Lab | undefined): Machine {
  const processors = cpus();
  return {
    cores: processors.length,
    processor: processors[0]?.model ?? 'unknown',
    kernel: release(),
    node: process.versions.node,
    rootless: lab === undefined ? process.getuid?.() !== 0 : lab.entry.kind === 'user',
  };
}
