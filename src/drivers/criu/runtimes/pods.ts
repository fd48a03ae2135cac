import { readlink } from 'node:fs/promises';
import type { Obstacle } from '../obstacle.ts';
import type { RuncState } from './runc.ts';

/** Namespace kinds: kernel's name -> name in a container's configuration. */
const KINDS = { pid: 'pid', ipc: 'ipc', uts: 'uts', mnt: 'mount', net: 'network' } as const;

type Namespaces = Readonly<Record<string, string>>;

interface Member {
  readonly name: string;
  readonly namespaces: Namespaces;
}

/**
 * Containers that share a namespace (a pod) would lose it when one moves: its links go down for all. The first
 * container's configuration names no other, so the kernel is asked. Pure.
 */
export function podObstacles(own: Namespaces, others: readonly Member[]): Obstacle[] {
  return Object.entries(KINDS).flatMap(([kind, word]) => {
    const sharers = others
      .filter(({ namespaces }) => own[kind] !== undefined && namespaces[kind] === own[kind])
      .map(({ name }) => name);
    if (sharers.length === 0) return [];
    const more = sharers.length > 3 ? ` and ${sharers.length - 3} more` : '';
    const names = `${sharers.slice(0, 3).join(', ')}${more}`;
    const hint = `A pod does not move yet. Stop ${names} first, or start the container alone.`;
    const reason = `it is in a pod with ${names}`;
    return [{ device: `the ${word} namespace`, type: 'namespace', reason, hint }];
  });
}

export async function findPod(
  { id: name, pid }: RuncState,
  all: readonly RuncState[],
): Promise<Obstacle[]> {
  const others = all.filter((each) => each.id !== name && each.pid > 0);
  const members = others.map(async ({ id, pid: other }) => ({
    name: id,
    namespaces: await namespacesOf(other),
  }));
  return podObstacles(await namespacesOf(pid), await Promise.all(members));
}

async function namespacesOf(pid: number): Promise<Namespaces> {
  const found: Record<string, string> = {};
  for (const kind of Object.keys(KINDS)) {
    const identity = await readlink(`/proc/${pid}/ns/${kind}`).catch(() => undefined);
    if (identity !== undefined) found[kind] = identity;
  }
  return found;
}
