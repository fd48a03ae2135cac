import os from 'node:os';
import { formatBytes } from '../../../protocol/quantity.ts';
import { PAGE } from '../pages/memory.ts';
import { MAX_DEPTH, MAX_FILES } from '../changes.ts';
import type { HostContext } from '../host/host-context.ts';
import { whyNoRoom } from './made-volumes.ts';
import type { Obstacle } from '../obstacle.ts';
import { tellsWrites, type Tree } from './trees.ts';
import { bytesIn, LOOK_MS } from './volumes.ts';

/** Part of the ten seconds for the look at a container. */
const COUNT_MS = 5000;
/** Bytes per page right after the table has grown, while the old one still exists. */
const TABLE_BYTES = 80;
/** Share of the free memory; the rest is for pages in flight. */
const MAX_SHARE = 0.5;

type Dependencies = Pick<HostContext, 'host' | 'records'> & {
  readonly runc: Pick<HostContext['runc'], 'run'>;
};

/** `memoryBytes`: memory in use, which CRIU writes next to the archive. */
export async function fileLimits(
  deps: Dependencies,
  trees: readonly Tree[],
  memoryBytes: number,
  signal: AbortSignal,
): Promise<Obstacle[]> {
  const [many, sizes] = await Promise.all([
    Promise.all(trees.map((tree) => inTime(signal, (within) => countObstacle(deps, tree, within)))),
    Promise.all(
      trees.map(async ({ bytes, path }) => bytes || (await bytesInTime(deps, path, signal))),
    ),
  ]);
  const found = many.filter((each) => each !== undefined);
  const table = tableObstacle(deps.host, memoryBytes, os.freemem());
  const room = await roomObstacle(deps, Math.max(0, ...sizes), memoryBytes);
  return [...found, ...room, ...(table === undefined ? [] : [table])];
}

/** Returns 0 if it takes too long. */
export async function bytesInTime(
  deps: Pick<Dependencies, 'runc'>,
  file: string,
  signal: AbortSignal,
): Promise<number> {
  return (await inTime(signal, (within) => bytesIn(deps, file, within))) ?? 0;
}

/** The table of page numbers is kept in memory during the move (page-numbers.ts). Pure. */
export function tableObstacle(
  host: string,
  memoryBytes: number,
  freeBytes: number,
): Obstacle | undefined {
  const tableBytes = Math.ceil(memoryBytes / PAGE) * TABLE_BYTES;
  if (tableBytes <= freeBytes * MAX_SHARE) return undefined;
  return {
    device: 'the table of its pages',
    type: 'memory',
    reason: `${formatBytes(tableBytes)} of memory are needed to tell its pages apart, and ${host} has ${formatBytes(freeBytes)} free`,
    hint: `Free memory on ${host}, or move the container cold (--mode cold).`,
    ofMemory: true,
  };
}

/** Undefined if it takes too long: a problem is then found during the move, and the container keeps running here. */
async function inTime<T>(
  signal: AbortSignal,
  work: (within: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const bound = AbortSignal.timeout(COUNT_MS);
  try {
    return await work(AbortSignal.any([signal, bound]));
  } catch (error) {
    if (bound.aborted && !signal.aborted) return undefined;
    throw error;
  }
}

/** Such a tree is scanned file by file during the freeze. A cold move sends it as a whole. */
async function countObstacle(
  { runc }: Dependencies,
  tree: Tree,
  signal: AbortSignal,
): Promise<Obstacle | undefined> {
  if (!(await tellsWrites(tree))) return undefined;
  const script = `find "$0" -xdev -printf '%d\\n' | head -n ${MAX_FILES + 1} | sort -n | uniq -c`;
  const text = await runc.run(['sh', '-c', script, tree.path], {
    deadlineMs: LOOK_MS,
    signal,
    whole: true,
  });
  const { files, depth } = countsOf(text);
  const device = tree.name === 'root' ? 'its root file system' : `the volume ${tree.path}`;
  const hint =
    'Pack what is seldom used into fewer files, or move the container cold (--mode cold).';
  const facts = { device, type: 'files', hint, ofMemory: true } as const;
  const shown = (most: number): string => most.toLocaleString('en-US');
  if (files > MAX_FILES)
    return {
      ...facts,
      reason: `${tree.path} has more than ${shown(MAX_FILES)} files, which are too many to compare while it is frozen`,
    };
  if (depth >= MAX_DEPTH)
    return {
      ...facts,
      reason: `${tree.path} has more than ${shown(MAX_DEPTH)} directories in one another`,
    };
  return undefined;
}

/** Parses lines with the number of files at a depth, and the depth; the largest is last. Pure. */
export function countsOf(lines: string): { readonly files: number; readonly depth: number } {
  let [files, depth] = [0, 0];
  for (const line of lines.split('\n')) {
    const [, count, at] = /^\s*(\d+) (\d+)$/.exec(line) ?? [];
    if (count === undefined) continue;
    files += Number(count);
    depth = Math.max(depth, Number(at));
  }
  return { files, depth };
}

/** Archives are in the state directory one at a time, next to the dump. */
async function roomObstacle(
  { host, records }: Dependencies,
  archiveBytes: number,
  memoryBytes: number,
): Promise<Obstacle[]> {
  const hint = `Make room on ${host} where Godwit keeps its state (${records.directory}).`;
  const facts = { type: 'room', hint };
  const forArchive = await whyNoRoom(records.directory, archiveBytes);
  if (forArchive !== undefined)
    return [{ ...facts, device: 'the archive of its files', reason: forArchive }];
  const forBoth = await whyNoRoom(records.directory, archiveBytes + memoryBytes);
  if (forBoth === undefined) return [];
  return [
    { ...facts, device: 'the dump and the archive of its files', reason: forBoth, ofMemory: true },
  ];
}
