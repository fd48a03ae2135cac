import { readFile } from 'node:fs/promises';
import { godwitError } from '../../../errors.ts';

/** `agent`: the agent's user. Otherwise each guest's QEMU has a separate user of this range. */
export type QemuUser = 'agent' | { readonly from: number; readonly count: number };
export type Range = Exclude<QemuUser, 'agent'>;

/** The first number is the group that may open devices; the others are for guests. */
export function deviceGroup({ from }: Range): number {
  return from;
}

export function isGuestId(id: number, { from, count }: Range): boolean {
  return id > from && id < from + count;
}

export function guestIds({ count }: Range): number {
  return count - 1;
}

export function freeId(
  range: Range,
  taken: ReadonlySet<number>,
  start: number,
): number | undefined {
  const most = guestIds(range);
  const first = Math.min(most - 1, Math.floor(start * most));
  for (let tried = 0; tried < Math.min(most, taken.size + 1); tried += 1) {
    const id = range.from + 1 + ((first + tried) % most);
    if (!taken.has(id)) return id;
  }
  return undefined;
}

/**
 * Checks whether a process may become these users, by its `uid_map`. `alone`: its user namespace has only one
 * user, so it cannot become another.
 */
export function reachOf(uidMap: string, { from, count }: Range): 'all' | 'alone' | 'none' {
  const spans = uidMap
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter((numbers) => numbers.length === 3);
  const covers = spans.some(
    ([first = 0, , length = 0]) => first <= from && from + count <= first + length,
  );
  if (covers) return 'all';
  return spans.length === 1 && spans[0]?.[2] === 1 && spans[0][1] !== 0 ? 'alone' : 'none';
}

/** Range of users; undefined if QEMU runs as the agent. Throws GODWIT_PRIVILEGE if these users do not exist here. */
export async function rangeOf(user: QemuUser): Promise<Range | undefined> {
  if (user === 'agent' || process.geteuid?.() !== 0) return undefined;
  const reach = reachOf(await readFile('/proc/self/uid_map', 'utf8'), user);
  if (reach === 'all') return user;
  if (reach === 'alone') return undefined;
  const last = user.from + user.count - 1;
  throw godwitError(
    'GODWIT_PRIVILEGE',
    {
      what: 'a user of its own for each guest’s QEMU',
      needs: `the users ${user.from} to ${last}, which this user namespace lacks`,
    },
    {
      hint: 'Name users that it has as { "from", "count" } of drivers.qemu.user; or set drivers.qemu.user to "agent", and QEMU runs as root.',
    },
  );
}
