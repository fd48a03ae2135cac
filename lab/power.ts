import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../src/clock.ts';
import { startAgent } from './agents.ts';
import type { AgentConfigInput } from '../src/config.ts';
import { bootIdFile } from './boot-id.ts';
import { runCommand } from './command.ts';
import { inHost, inLab } from './entry.ts';
import { removeTap } from './guest/start.ts';
import { portNames } from './network-plan.ts';
import { namespaceOf, pathsOf } from './plan.ts';
import {
  endProcesses,
  processesInNamespaces,
  signalProcess,
  type LabProcess,
} from './processes.ts';
import { labHost, type Lab, type LabHost } from './state.ts';
import { hostCensus } from './witness/census.ts';

/**
 * The power supply of a lab's host. A cut ends every process of the host at once and keeps its disks; other hosts hear
 * nothing of it, as its links are down before. With the power back the host has another boot id and no kernel state.
 */

const ENDS_MS = 10_000;

/** There while the host has no power. */
function offMark({ dir }: Pick<LabHost, 'dir'>): string {
  return path.join(dir, 'power-off');
}

export function isOff(lab: Lab, host: string): boolean {
  return existsSync(offMark(labHost(lab, host)));
}

/** The command of a fencing hook that proves a host of the lab off if its power is cut. `stateDir`: of the host that asks. */
export function powerProof(stateDir: string): NonNullable<AgentConfigInput['fencing']>['command'] {
  const hosts = path.resolve(stateDir, '..', '..');
  const script = '[ -e "$0/$1/power-off" ] || { echo "its power is on" >&2; exit 1; }; echo off';
  return ['/bin/sh', '-c', script, hosts];
}

/** `first`: known processes, which stop at once; the others stop as soon as they are found. */
export async function cutPower(
  lab: Lab,
  host: string,
  first: readonly number[] = [],
): Promise<void> {
  const member = labHost(lab, host);
  // A stopped process closes no connection: the links may go down a moment later.
  for (const pid of first) signalProcess(pid, 'SIGSTOP');
  await setLinks(lab, host, 'down');
  const all = await processesOn(lab, member);
  for (const { pid } of all) signalProcess(pid, 'SIGSTOP');
  // A process that was stopped in its start may have left a child.
  const late = await processesOn(lab, member);
  for (const { pid } of [...all, ...late]) signalProcess(pid, 'SIGKILL');
  await endProcesses(() => processesOn(lab, member), {
    graceMs: -1,
    deadlineMs: ENDS_MS,
    known: all,
  });
  // The kernel would go on sending the last segments of connections that no process has any more.
  await runCommand(inHost(lab, host, ['ss', '-K', '-t'])).catch(() => {});
  await writeFile(offMark(member), `${new Date(systemClock.wallMs()).toISOString()}\n`);
}

/** The host starts again, with its agent: without taps, packet filters and sockets, and in another boot. */
export async function restorePower(lab: Lab, host: string): Promise<void> {
  const member = labHost(lab, host);
  const { taps } = await hostCensus(lab, host);
  for (const tap of taps) await removeTap(lab, member, tap);
  await runCommand(inHost(lab, host, ['nft', 'flush', 'ruleset'])).catch(() => {});
  await rm(member.agentSocket, { force: true });
  await writeFile(bootIdFile(member), `${randomUUID()}\n`);
  await setLinks(lab, host, 'up');
  await rm(offMark(member), { force: true });
  await startAgent(lab, host);
}

async function processesOn(lab: Lab, { namespace }: LabHost): Promise<LabProcess[]> {
  const inode = lab.namespaces[namespace];
  return processesInNamespaces(new Set(inode === undefined ? [] : [inode]));
}

/** At the switch, so that neither side sees its own link fail. */
async function setLinks(lab: Lab, host: string, state: 'up' | 'down'): Promise<void> {
  const ports = pathsOf(lab).map((_, index) => portNames(host, index).port);
  const lines = ports.map((port) => `link set ${port} ${state}\n`).join('');
  const argv = ['ip', '-n', namespaceOf(lab.name, 'switch'), '-batch', '-'];
  await runCommand(inLab(lab.entry, argv), { input: lines });
}
