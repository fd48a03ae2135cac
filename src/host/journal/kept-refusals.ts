import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { refusal, type Refusal } from '../../protocol/public/trust.ts';
import type { Refusals } from '../../rpc/refusals.ts';

const REFUSED_FILE = 'refused.json';
/** Minimum interval of writes, even if a peer is refused repeatedly. */
const WRITE_EVERY_MS = 1000;
const MAX = 64;

const refusedFile = z.array(refusal).max(MAX);

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
    // Refusals of the same second share a write. An ending mover writes the rest.
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

export function readRefused(dir: string): Refusal[] {
  try {
    return refusedFile.parse(JSON.parse(readFileSync(path.join(dir, REFUSED_FILE), 'utf8')));
  } catch {
    return [];
  }
}

/** Merges lists: per peer and kind the sum, with the last text. Last refused first. */
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
