import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { refusal, type Refusal } from '../../protocol/public/trust.ts';
import type { Refusals } from '../../rpc/refusals.ts';

/** In a migration's directory: what its mover refused to others, for its agent to show. */
const REFUSED_FILE = 'refused.json';
/** A peer that is refused over and over has it written no more often. */
const WRITE_EVERY_MS = 1000;
/** Of one migration. */
const MAX = 64;

const refusedFile = z.array(refusal).max(MAX);

/** From now on `refusals` are written where the agent looks. That it cannot be written stops nothing. */
export function keepRefused(dir: string, refusals: Refusals): void {
  const earlier = readRefused(dir);
  let isWaiting = false;
  const write = (): void => {
    const all = addRefusals([earlier, refusals.list()]).slice(0, MAX);
    const file = path.join(dir, REFUSED_FILE);
    try {
      writeFileSync(`${file}.new`, JSON.stringify(all), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } catch {
      // The log has them.
    }
  };
  refusals.changed = () => {
    if (isWaiting) return;
    isWaiting = true;
    // Refusals of the same second are written together. A mover that ends writes what it has.
    const end = (): void => {
      isWaiting = false;
      write();
    };
    setImmediate(write);
    setTimeout(end, WRITE_EVERY_MS).unref();
  };
  process.once('exit', () => {
    if (isWaiting) write();
  });
}

/** What a migration's mover has refused; nothing where that cannot be read. */
export function readRefused(dir: string): Refusal[] {
  try {
    return refusedFile.parse(JSON.parse(readFileSync(path.join(dir, REFUSED_FILE), 'utf8')));
  } catch {
    return [];
  }
}

/** Several lists as one: for each peer and kind the sum, and the last one's words. The last refused first. */
export function addRefusals(lists: readonly (readonly Refusal[])[]): Refusal[] {
  const all = new Map<string, Refusal>();
  for (const each of lists.flat()) {
    const key = `${each.code} ${each.peer}`;
    const before = all.get(key);
    if (before === undefined) all.set(key, each);
    else {
      const last = before.at > each.at ? before : each;
      all.set(key, { ...last, count: before.count + each.count });
    }
  }
  return [...all.values()].toSorted((a, b) => (a.at < b.at ? 1 : -1));
}
