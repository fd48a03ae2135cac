import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { CountedBy, CountedCgroup } from '../../../host/machine/guest-counters.ts';
import { groupsIn } from './processor-use.ts';

/**
 * A container is counted by the cgroup of its first process, since that process alone may use next to nothing of it. One
 * that has moved to a cgroup further down, as systemd does, is counted from there on.
 */
export function countedBy(pid: number, prefix: string): CountedBy {
  return { pid, ports: [], cgroup: countedCgroup(textOf(`/proc/${pid}/cgroup`), prefix) };
}

/**
 * The files that count, by the text of /proc/PID/cgroup; undefined for a process in no cgroup of its own, since the root
 * counts the whole machine. Pure.
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
