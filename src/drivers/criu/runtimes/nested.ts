import { readlink } from 'node:fs/promises';
import type { Obstacle } from '../obstacle.ts';

/** Namespaces that a process in a container created. CRIU dumps only mount namespaces. */

const KINDS = ['pid', 'ipc', 'uts', 'net', 'user', 'time', 'cgroup'] as const;

type Namespaces = Readonly<Record<string, string>>;

export function nestedObstacles(first: Namespaces, others: readonly Namespaces[]): Obstacle[] {
  return KINDS.flatMap((kind): Obstacle[] => {
    const own = first[kind];
    const differs = others.some((each) => each[kind] !== undefined && each[kind] !== own);
    if (own === undefined || !differs) return [];
    const device = `the ${kind} namespace of a process in it`;
    const reason = `CRIU restores one ${kind} namespace for all of a container`;
    const hint =
      'Stop the process that has made it (`unshare`, the sandbox of a browser, a container in the container). --mode cold moves it without.';
    return [{ device, type: 'namespace', reason, hint, ofMemory: true }];
  });
}

export async function lookForNested(first: number, pids: readonly number[]): Promise<Obstacle[]> {
  return nestedObstacles(await namespacesOf(first), await Promise.all(pids.map(namespacesOf)));
}

async function namespacesOf(pid: number): Promise<Namespaces> {
  const found: Record<string, string> = {};
  for (const kind of KINDS) {
    const identity = await readlink(`/proc/${pid}/ns/${kind}`).catch(() => undefined);
    if (identity !== undefined) found[kind] = identity;
  }
  return found;
}
