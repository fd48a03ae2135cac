import { constants, open } from 'node:fs/promises';
import { z } from 'zod';
import { systemClock } from '../../../clock.ts';
import { inRealDirectory } from '../../../system/files/real-directory.ts';
import type { NewImage } from '../../../port/disks.ts';
import { askProgram, handedFile, type Question } from '../programs/one-shot-qemu.ts';
import type { QmpClient } from '../qmp/client.ts';
import type { BlockNode } from '../spec/disks/disk-schema.ts';

/** Empty images, created by QEMU itself: hosts need no qemu-img. */

const MAKE_MS = 20_000;
const POLL_MS = 5;
const jobs = z
  .array(
    z.object({
      id: z.string().max(1024),
      status: z.string().max(64),
      error: z.string().max(65_536).optional(),
    }),
  )
  .max(4096);

export interface Blank extends NewImage {
  readonly like: BlockNode;
  readonly backingFormat: BlockNode['format'] | undefined;
  readonly bytes: number;
}

/** Arguments of `blockdev-create`; `file` is a node. Undefined if the image would not be equal. Pure. */
export function creationOf(blank: Blank, file: string): object | undefined {
  const { like, bytes, backingFile, backingFormat } = blank;
  const { make } = like;
  if (like.format !== 'qcow2' || make === undefined) return undefined;
  if ((like.backing === undefined) !== (backingFile === undefined)) return undefined;
  return {
    driver: 'qcow2',
    file,
    size: bytes,
    version: make.version,
    'cluster-size': make.clusterBytes,
    'refcount-bits': make.refcountBits,
    'lazy-refcounts': make.lazyRefcounts,
    'extended-l2': make.extendedL2,
    'compression-type': make.compression,
    ...(backingFile === undefined
      ? {}
      : { 'backing-file': backingFile, 'backing-fmt': backingFormat }),
  };
}

/** Creates an unallocated file of `bytes`. Rejects if the file exists with contents. */
export async function makeEmptyFile(file: string, bytes: number): Promise<void> {
  const { O_CREAT, O_NOFOLLOW, O_RDWR } = constants;
  const handle = await inRealDirectory(file, (at) =>
    open(at, O_CREAT | O_NOFOLLOW | O_RDWR, 0o600),
  );
  try {
    const info = await handle.stat();
    if (!info.isFile() || info.size > 0) throw new Error(`${file} is there already`);
    await handle.truncate(bytes);
  } finally {
    await handle.close();
  }
}

/** Writes qcow2 headers into existing empty files, which QEMU gets only as open files. */
export async function formatImages(
  program: Pick<Question, 'file' | 'host' | 'as' | 'sandbox'>,
  blanks: readonly { readonly file: string; readonly creation: (node: string) => object }[],
  signal: AbortSignal,
): Promise<void> {
  const opened: Awaited<ReturnType<typeof open>>[] = [];
  try {
    for (const { file } of blanks) {
      const flags = constants.O_NOFOLLOW | constants.O_RDWR;
      opened.push(await inRealDirectory(file, (at) => open(at, flags)));
    }
    const files = opened.map(({ fd }) => fd);
    const question = { ...program, files, deadlineMs: MAKE_MS, incoming: false } as const;
    await askProgram({ ...question, accelerator: 'tcg' }, signal, async (client, inner) => {
      for (const [index, { creation }] of blanks.entries()) {
        const node = `blank${index}`;
        // A lock would last until QEMU ends, but the guest's QEMU opens the image next.
        const file = { driver: 'file', filename: handedFile(index), locking: 'off' };
        await client.execute('blockdev-add', { ...file, 'node-name': node }, inner);
        await client.execute('blockdev-create', { 'job-id': node, options: creation(node) }, inner);
        await concluded(client, node, inner);
        await client.execute('job-dismiss', { id: node }, inner);
        await client.execute('blockdev-del', { 'node-name': node }, inner);
      }
    });
  } finally {
    await Promise.all(opened.map((handle) => handle.close()));
  }
}

export async function concluded(client: QmpClient, id: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const job = (await client.query('query-jobs', {}, jobs, signal)).find((each) => each.id === id);
    if (job?.status === 'concluded') {
      if (job.error === undefined) return;
      throw client.refused('blockdev-create', job.error);
    }
    await systemClock.sleep(POLL_MS, signal);
  }
}
