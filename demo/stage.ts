import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { labDown } from '../lab/down.ts';
import { startContainer } from '../lab/container/start.ts';
import { startGuest } from '../lab/guest/start.ts';
import type { LabGuest } from '../lab/guest/registry.ts';
import { openProbe, type ClientView, type Probe } from '../lab/probe/probe.ts';
import { isAlive } from '../src/system/processes/process.ts';
import { processesInNamespaces } from '../lab/processes.ts';
import { readLabState, type Lab } from '../lab/state.ts';
import { labCensus, type HostCensus } from '../lab/witness/census.ts';
import { containerRunsOn } from '../lab/witness/containers.ts';
import { runningOn } from '../lab/witness/qemus.ts';
import type { DemoOptions } from './options.ts';
import { labDirectory } from '../src/cli/connection/labs.ts';

export const GUEST = 'web1';
const MAX_DEMOS = 9;

/** What the moves are played on. */
export interface Stage {
  readonly lab: Lab;
  readonly guest: LabGuest;
  readonly client: Probe;
  /** The client as it was when it had just connected. */
  readonly connected: ClientView;
  /** The hosts before there was a guest. */
  readonly bare: readonly HostCensus[];
  readonly isContainer: boolean;
}

/** The hosts on which the guest runs, as QEMU says, or runc and the kernel. */
export function hostsOf({ lab, isContainer }: Stage): Promise<string[]> {
  return isContainer ? containerRunsOn(lab, GUEST) : runningOn(lab, GUEST);
}

/** Where the building of the stage has come to. */
export type Say = (what: string) => void;

/**
 * A name for the lab: `demo`, or `demo-2` and so on beside demos that run or were kept. What is left of a
 * demo that was killed is taken down first.
 */
export async function claimLabName(say: Say): Promise<string> {
  for (let number = 1; number < MAX_DEMOS; number += 1) {
    const name = number === 1 ? 'demo' : `demo-${number}`;
    if (!existsSync(labDirectory(name))) return name;
    const state = await readLabState(name).catch(() => undefined);
    if (state !== undefined && isAlive(state.builder)) continue;
    if (existsSync(keptMark(name))) {
      say(
        `${name} is still up, as an earlier demo kept it: \`./godwit lab down --name ${name}\` ends it`,
      );
      continue;
    }
    say(`taking down ${name}, which a demo that was killed has left`);
    await labDown(name);
    return name;
  }
  return `demo-${MAX_DEMOS}`;
}

/** Shows later demos that this lab is somebody's, not debris. */
export async function keepLab(name: string): Promise<void> {
  await writeFile(keptMark(name), '');
}

function keptMark(name: string): string {
  return path.join(labDirectory(name), 'kept');
}

/** Starts the guest on host a and opens the client's connection, which lasts until the end. */
export async function setStage(
  lab: Lab,
  options: DemoOptions,
  signal: AbortSignal,
): Promise<Stage> {
  const bare = await labCensus(lab);
  const guest = await (options.container ? containerOf(lab, options) : vmOf(lab, options, signal));
  const client = await openProbe(lab, GUEST, { signal });
  const connected = await client.read();
  return { lab, guest, client, connected, bare, isContainer: options.container };
}

function vmOf(lab: Lab, options: DemoOptions, signal: AbortSignal): Promise<LabGuest> {
  const { memoryBytes, workingSetBytes, dirtyBytesPerSecond, qemu } = options;
  const memory = { memoryBytes, workingSetBytes, dirtyBytesPerSecond };
  return startGuest(lab, { name: GUEST, host: 'a', ...memory, qemu, signal });
}

function containerOf(lab: Lab, options: DemoOptions): Promise<LabGuest> {
  const { workingSetBytes, dirtyBytesPerSecond } = options;
  const dirtyBytes = dirtyBytesPerSecond === 0 ? 0 : Math.floor(workingSetBytes / 2);
  const staticBytes = workingSetBytes - dirtyBytes;
  return startContainer(lab, {
    name: GUEST,
    host: 'a',
    staticBytes,
    dirtyBytes,
    dirtyBytesPerSecond,
  });
}

/**
 * Takes the lab down, whatever state it is in; returns a line for each thing that is still there
 * afterwards, and never rejects.
 */
export async function strike(name: string, lab: Lab | undefined): Promise<string[]> {
  try {
    await labDown(name);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [`lab ${name} could not be taken down: ${reason}`];
  }
  const left: string[] = [];
  if (existsSync(labDirectory(name))) left.push(`the folder ${labDirectory(name)} is still there`);
  const inodes = new Set(Object.values(lab?.namespaces ?? {}));
  for (const { pid, argv } of await processesInNamespaces(inodes)) {
    left.push(`process ${pid} (${argv[0] ?? 'no name'}) still runs in the lab`);
  }
  return left;
}
