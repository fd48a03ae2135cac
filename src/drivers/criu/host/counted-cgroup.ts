import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { CountedBy, CountedCgroup } from '../../../host/machine/guest-counters.ts';
import { groupsIn } from './processor-use.ts';

/**
 * A container's use is counted in its first process's cgroup, because that process alone may use little. If it
 * moves to a lower cgroup, as systemd does, that one is counted.
 */
export function countedBy(pid: number, prefix: string): CountedBy {
  return { pid, ports: [], cgroup: countedCgroup(textOf(`/proc/${pid}/cgroup`), prefix) };
}

/**
 * Counter files from the text of /proc/PID/cgroup; undefined for a process in the root cgroup, which counts the
 * whole machine. Pure.
 */
export function countedCgroup(text: string, prefix: string): CountedCgroup | undefined {
  const groups = groupsIn(text);
  const file = (controller: string, old: string, unified: string): string | undefined => {
    const isOld = groups.has(controller);
    const at = groups.get(isOld ? controller : '') ?? '/';
    const root = `${prefix}/sys/fs/cgroup`;
    if (at === '/' || at === '') return undefined;
    return isOld ? path.join(root, controller, at, old) : path.join(root, at, unified);
  };
  const processor = file('cpuacct', 'cpuacct.usage', 'cpu.stat');
  const memory = file('memory', 'memory.stat', 'memory.stat');
  return processor === undefined || memory === undefined ? undefined : { processor, memory };
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
