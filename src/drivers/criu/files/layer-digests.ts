import { createHash } from 'node:crypto';
import { lstat, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { systemClock } from '../../../clock.ts';
import { Mutex } from '../../../mutex.ts';
import { scanTree, stampOfFile, type Scan } from '../changes.ts';

/**
 * Digests of layers and single files, kept between processes. A digest is valid while inode, size, mode, owner
 * and change time of each file are the same; no program can set the change time.
 */

const MAX_KEPT = 1024;
/** A file changed this shortly before the read may change again with the same time. */
const SETTLED_NS = 2_000_000_000n;

const kept = z.record(
  z.string(),
  z.object({ stamp: z.string(), digest: z.string().regex(/^[0-9a-f]{64}$/) }),
);
type KeptDigests = z.infer<typeof kept>;

/** Layers of one image are read in parallel: their results must not overwrite each other. */
const writing = new Mutex();

/** `file`: storage of the digests, writable only by its owner. */
export async function keptDigest(
  directory: string,
  file: string,
  read: () => Promise<string>,
  signal: AbortSignal,
): Promise<string> {
  const before = await stampOf(directory, signal);
  const known = (await readKept(file))[directory];
  if (before !== undefined && known?.stamp === before.stamp) return known.digest;
  const digest = await read();
  const after = await stampOf(directory, signal);
  const nowNs = BigInt(systemClock.wallMs()) * 1_000_000n;
  const isSettled = before !== undefined && before.newestNs < nowNs - SETTLED_NS;
  if (isSettled && after?.stamp === before.stamp) {
    const { stamp } = before;
    await writing.run(async () => {
      const rest = Object.entries(await readKept(file)).filter(([place]) => place !== directory);
      const all = [...rest, [directory, { stamp, digest }] as const];
      // If it cannot be stored, it is read again.
      await keep(file, Object.fromEntries(all.slice(-MAX_KEPT))).catch(() => undefined);
    });
  }
  return digest;
}

async function keep(file: string, all: KeptDigests): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const own = `${file}.${process.pid}`;
  await writeFile(own, JSON.stringify(all), { mode: 0o600 });
  await rename(own, file);
}

async function stampOf(
  directory: string,
  signal: AbortSignal,
): Promise<{ readonly stamp: string; readonly newestNs: bigint } | undefined> {
  try {
    const own = await lstat(directory, { bigint: true });
    const one = own.isFile() ? new Map([['.', stampOfFile(own)]]) : undefined;
    return stampOfScan(one ?? (await scanTree(directory, signal)));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error) return undefined;
    throw error;
  }
}

function stampOfScan(scan: Scan): { readonly stamp: string; readonly newestNs: bigint } {
  const hash = createHash('sha256');
  let newestNs = 0n;
  for (const [key, { mode, uid, gid, size, ino, ctimeNs }] of scan) {
    hash.update(`${JSON.stringify(key)} ${mode} ${uid} ${gid} ${size} ${ino} ${ctimeNs}\n`);
    if (ctimeNs > newestNs) newestNs = ctimeNs;
  }
  return { stamp: hash.digest('hex'), newestNs };
}

async function readKept(file: string): Promise<KeptDigests> {
  const text = await readFile(file, 'utf8').catch(() => '{}');
  try {
    return kept.parse(JSON.parse(text));
  } catch {
    return {};
  }
}
