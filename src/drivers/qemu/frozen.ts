import type { FrozenImage } from '../port/disks.ts';
import { askProgram } from './ask.ts';

/** Offers images for reading by a QEMU of their own, without a guest, that takes no lock and never outlives `work`. */
export async function offerFrozen<T>(
  program: { readonly file: string; readonly host: string },
  offered: {
    readonly images: readonly FrozenImage[];
    readonly socket: string;
    readonly forMs: number;
  },
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { images, socket, forMs } = offered;
  const question = { ...program, accelerator: 'tcg', deadlineMs: forMs, incoming: false } as const;
  return askProgram(question, signal, async (client, inner) => {
    const shared = { 'read-only': true, 'force-share': true };
    const addr = { type: 'unix', data: { path: socket } };
    await client.execute('nbd-server-start', { addr }, inner);
    for (const { node, file, format } of images) {
      const below = { driver: 'file', filename: file, ...shared };
      const image = { driver: format, 'node-name': node, file: below, ...shared };
      await client.execute('blockdev-add', image, inner);
      const offer = { type: 'nbd', id: node, 'node-name': node, name: node, writable: false };
      await client.execute('block-export-add', offer, inner);
    }
    return work(inner);
  });
}
