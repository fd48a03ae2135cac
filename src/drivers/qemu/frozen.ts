import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { openIdentified } from '../../host/identified-file.ts';
import { removeTree } from '../../host/remove-tree.ts';
import type { FrozenImage } from '../port/disks.ts';
import { askProgram, handedFile, type Question } from './one-shot-qemu.ts';
import { openAbove } from './user/access.ts';
import { letIn } from './user/guest-user.ts';

/** `stateDir/migrations/ID`: what is above the directory and Godwit's own. */
const LEVELS_ABOVE = 3;
const SOCKET = 's';

interface Offered {
  readonly images: readonly FrozenImage[];
  /** Made for it, and removed. */
  readonly directory: string;
  readonly forMs: number;
}

/**
 * Offers images for reading by a QEMU of their own, without a guest, that takes no lock and never outlives `work`. It may
 * read these files, which are opened for it, and no other: what an image says of its backing file is not followed.
 */
export async function offerFrozen<T>(
  program: Pick<Question, 'file' | 'host' | 'as' | 'sandbox'>,
  { images, directory, forMs }: Offered,
  signal: AbortSignal,
  work: (socket: string, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const socket = path.join(directory, SOCKET);
  const chains = images.map((image) => [image, ...image.below]);
  const opened: Awaited<ReturnType<typeof open>>[] = [];
  try {
    await removeTree(directory);
    await mkdir(directory, { mode: 0o700 });
    if (program.as !== undefined) {
      await letIn(directory, program.as.gid);
      await openAbove(path.dirname(directory), LEVELS_ABOVE);
    }
    for (const { file, identity } of chains.flat())
      opened.push(
        await (identity === undefined ? open(file, 'r') : openIdentified(file, identity)),
      );
    const files = opened.map(({ fd }) => fd);
    const kinds = await Promise.all(opened.map((handle) => handle.stat()));
    const drivers = kinds.map((kind) => (kind.isBlockDevice() ? 'host_device' : 'file'));
    const question = { ...program, files, deadlineMs: forMs, incoming: false } as const;
    return await askProgram({ ...question, accelerator: 'tcg' }, signal, async (client, inner) => {
      const addr = { type: 'unix', data: { path: socket } };
      await client.execute('nbd-server-start', { addr }, inner);
      let first = 0;
      for (const [index, chain] of chains.entries()) {
        const node = images[index]?.node ?? '';
        await client.execute(
          'blockdev-add',
          { ...layered(chain, first, drivers), 'node-name': node },
          inner,
        );
        const offer = { type: 'nbd', id: node, 'node-name': node, name: node, writable: false };
        await client.execute('block-export-add', offer, inner);
        first += chain.length;
      }
      return work(socket, inner);
    });
  } finally {
    await Promise.all(opened.map((handle) => handle.close()));
    await removeTree(directory);
  }
}

/** An image on those below it, whose files were handed on from number `first`. */
function layered(
  chain: readonly Pick<FrozenImage, 'format'>[],
  first: number,
  drivers: readonly string[],
): object {
  const [top, ...below] = chain;
  if (top === undefined) return {};
  const shared = { 'read-only': true, 'force-share': true };
  const file = { driver: drivers[first], filename: handedFile(first), ...shared };
  const image = { driver: top.format, file, ...shared };
  if (top.format === 'raw') return image;
  return { ...image, backing: below.length === 0 ? null : layered(below, first + 1, drivers) };
}
