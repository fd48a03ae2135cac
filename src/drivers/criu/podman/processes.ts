import { readFileSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../../clock.ts';
import { kill, pids, readStat, startTicksOf } from '../../../system/processes/process.ts';

/** podman's processes that outlive its commands, as the kernel reports them. */

const POLL_MS = 20;

function readWords(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

/** Container of a conmon command line; undefined for other programs and for `podman exec` sessions. Pure. */
export function readConmon(
  words: readonly string[],
): { readonly id: string; readonly name: string } | undefined {
  if (path.basename(words[0] ?? '') !== 'conmon') return undefined;
  const after = (option: string): string | undefined => {
    const at = words.indexOf(option);
    return at < 0 ? undefined : words[at + 1];
  };
  const [id, name] = [after('-c') ?? after('--cid'), after('-n') ?? after('--name')];
  const isSession = words.some((each) => each === '-e' || each === '--exec');
  return id === undefined || name === undefined || isSession ? undefined : { id, name };
}

export function nameByConmon(first: number, id: string): string | undefined {
  return conmonAbove(first, id)?.name;
}

export function conmonAbove(
  first: number,
  id: string,
): { readonly pid: number; readonly name: string } | undefined {
  const pid = readParent(first);
  const found = pid === undefined ? undefined : readConmon(readWords(pid));
  return pid !== undefined && found?.id === id ? { pid, name: found.name } : undefined;
}

function readParent(pid: number): number | undefined {
  try {
    return readStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.parent;
  } catch {
    return undefined;
  }
}

type IsIt = (words: readonly string[]) => boolean;

/**
 * conmon that was started with this stand-in as its runtime; needed because a lab's hosts see each other's
 * processes.
 */
export const isConmonBy =
  (id: string, standIn: string): IsIt =>
  (words) =>
    readConmon(words)?.id === id && words.includes(standIn);

export const isCallWith =
  (paths: readonly string[]): IsIt =>
  (words) =>
    readConmon(words) === undefined && words.some((each) => paths.includes(each));

function found(isIt: IsIt): number[] {
  return pids().filter((pid) => pid !== process.pid && isIt(readWords(pid)));
}

/** Resolves once no such process is left. They are killed after `byItselfMs`. Rejects if one does not end. */
export async function ended(
  isIt: IsIt,
  { byItselfMs, mostMs }: { readonly byItselfMs: number; readonly mostMs: number },
): Promise<void> {
  const start = systemClock.monotonicMs();
  const killed = new Set<string>();
  for (;;) {
    const living = found(isIt);
    if (living.length === 0) return;
    const waitedMs = systemClock.monotonicMs() - start;
    if (waitedMs > mostMs) throw new Error(`process ${living[0]} of podman does not end`);
    for (const pid of waitedMs >= byItselfMs ? living : []) {
      const key = `${pid}/${startTicksOf(pid)}`;
      if (killed.has(key)) continue;
      killed.add(key);
      kill(pid);
    }
    await systemClock.sleep(POLL_MS);
  }
}

/** Processes that do not descend from the first one; `podman exec` starts such. Pure. */
export function strangersTo(
  first: number,
  parents: ReadonlyMap<number, number>,
): readonly number[] {
  const descends = (pid: number, depth = 0): boolean => {
    if (pid === first) return true;
    const parent = parents.get(pid);
    return parent !== undefined && depth < parents.size && descends(parent, depth + 1);
  };
  return [...parents.keys()].filter((pid) => !descends(pid));
}

export function readParents(all: readonly number[]): Map<number, number> {
  return new Map(
    all.flatMap((pid): [number, number][] => {
      const parent = readParent(pid);
      return parent === undefined ? [] : [[pid, parent]];
    }),
  );
}
