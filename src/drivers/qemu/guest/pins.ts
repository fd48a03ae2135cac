import { readFile, readdir } from 'node:fs/promises';
import { defined } from '../../../protocol/defined.ts';

/** Host processors and NUMA nodes that a QEMU may use: `0-3,8`. Absent: all that this process may use. */
export interface Pins {
  readonly processors?: string;
  readonly nodes?: string;
}

const MAX_THREADS = 4096;

export async function readPins(pid: number): Promise<Pins> {
  const own = await statusOf('self');
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const read = threads.slice(0, MAX_THREADS).map((thread) => statusOf(`${pid}/task/${thread}`));
  return pinsOf(own, await Promise.all(read));
}

async function statusOf(where: string): Promise<string> {
  return readFile(`/proc/${where}/status`, 'utf8').catch(() => '');
}

/**
 * Compares /proc/PID/status of this process and of each thread: the first thread that is restricted more than
 * this process counts.
 */
export function pinsOf(own: string, threads: readonly string[]): Pins {
  const narrowest = (name: string): string | undefined => {
    const ours = numbersOf(lineOf(own, name));
    return threads
      .map((status) => lineOf(status, name))
      .find((list) => list !== '' && !ours.isSubsetOf(numbersOf(list)));
  };
  const processors = narrowest('Cpus_allowed_list');
  const nodes = narrowest('Mems_allowed_list');
  return {
    ...defined({ processors, nodes }),
  };
}

function lineOf(status: string, name: string): string {
  return new RegExp(`^${name}:\\s*(\\S*)$`, 'm').exec(status)?.[1] ?? '';
}

function numbersOf(list: string): Set<number> {
  const numbers = new Set<number>();
  for (const part of list === '' ? [] : list.split(',')) {
    const [first = 0, last = first] = part.split('-').map(Number);
    for (let each = first; each <= last; each += 1) numbers.add(each);
  }
  return numbers;
}
