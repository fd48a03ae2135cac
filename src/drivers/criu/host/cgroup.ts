import { existsSync } from 'node:fs';
import { readdir, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../../clock.ts';
import { kill } from '../../../system/processes/process.ts';
import { processesIn, setFrozen } from './processes.ts';

const EMPTY_MS = 10_000;

/** 2 where one hierarchy has all controllers; 1 also where one without controllers is mounted beside the older ones. */
export function cgroupVersion(prefix: string): 1 | 2 {
  return existsSync(`${prefix}/sys/fs/cgroup/cgroup.controllers`) ? 2 : 1;
}

/** What a source says of its cgroups in the version of its hypervisor; undefined of an earlier build. Pure. */
export function cgroupsIn(hypervisorVersion: string): number | undefined {
  const said = /, cgroups ([12])$/.exec(hypervisorVersion)?.[1];
  return said === undefined ? undefined : Number(said);
}

/**
 * Ends what is in a cgroup that was made for a container, and removes it: a restore that was killed leaves processes in it
 * that runc knows nothing of, and they would be in the way of the next one. Repeatable; rejects where one does not end.
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
