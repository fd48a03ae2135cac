import { existsSync } from 'node:fs';
import { readdir, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../../clock.ts';
import { kill } from '../../../system/processes/process.ts';
import { processesIn, setFrozen } from './processes.ts';

const EMPTY_MS = 10_000;

/**
 * Returns 2 if one hierarchy has all controllers, and 1 even if a v2 hierarchy without controllers is mounted
 * next to v1.
 */
export function cgroupVersion(prefix: string): 1 | 2 {
  return existsSync(`${prefix}/sys/fs/cgroup/cgroup.controllers`) ? 2 : 1;
}

/** Source's cgroup version in its hypervisor version; undefined for an earlier build. Pure. */
export function cgroupsIn(hypervisorVersion: string): number | undefined {
  const said = /, cgroups ([12])$/.exec(hypervisorVersion)?.[1];
  return said === undefined ? undefined : Number(said);
}

/**
 * Kills the processes in a container's cgroup and removes it: a killed restore leaves processes that runc does
 * not list, which would block the next one. Can be repeated; rejects if a process does not end.
 */
export async function removeCgroup(
  prefix: string,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const root = `${prefix}/sys/fs/cgroup`;
  const controllers = (await readdir(root, { withFileTypes: true }).catch(() => []))
    .filter((each) => each.isDirectory())
    .map((each) => path.join(root, each.name));
  const places = [root, ...controllers].map((at) => path.join(at, name)).filter(existsSync);
  const until = systemClock.monotonicMs() + EMPTY_MS;
  for (;;) {
    const pids = new Set((await Promise.all(places.map(processesIn))).flat());
    if (pids.size === 0) break;
    if (systemClock.monotonicMs() > until) throw new Error(`${name} still has processes`);
    for (const pid of pids) kill(pid);
    for (const place of places) {
      if (existsSync(path.join(place, 'freezer.state'))) await setFrozen(place, false, signal);
    }
    await systemClock.sleep(20, signal);
  }
  // runc may remove them at the same time.
  for (const place of places) await rmdir(place).catch(() => undefined);
}
