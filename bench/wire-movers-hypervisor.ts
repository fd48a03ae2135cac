import { once } from 'node:events';
import { rmSync } from 'node:fs';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Both hypervisors of `wire-movers`: what one sends, and whether that is what the other gets. */

/** What the hypervisor sends, piece by piece: once to go in, and again to be compared with what comes out. */
export type Stream = () => Iterable<Buffer>;

/** What QEMU hands to the kernel at once. */
const WRITE_BYTES = 128 * 1024;
/** How fast a hypervisor without much processor time goes through its guest's memory. */
const STREAM_BYTES_PER_S = 250e6;

/** As QEMU writes it: as fast as it goes through memory, or as it is taken. */
export async function give(socket: string, stream: Stream): Promise<void> {
  const near = net.connect({ path: socket, allowHalfOpen: true });
  near.on('error', () => undefined);
  near.resume();
  await once(near, 'connect');
  const fromMs = performance.now();
  let given = 0;
  for (const piece of stream()) {
    for (let at = 0; at < piece.length; at += WRITE_BYTES) {
      const aheadMs = (given / STREAM_BYTES_PER_S) * 1000 - (performance.now() - fromMs);
      if (aheadMs > 1) await sleep(aheadMs);
      const bytes = piece.subarray(at, at + WRITE_BYTES);
      given += bytes.length;
      if (!near.write(bytes)) await once(near, 'drain');
    }
  }
  near.end();
}

/** The destination's hypervisor. */
export class Taker {
  readonly #server = net.createServer({ allowHalfOpen: true });
  readonly all: Promise<void>;

  constructor(stream: Stream) {
    this.all = this.#take(stream);
    this.all.catch(() => undefined);
  }

  async listen(socket: string): Promise<void> {
    rmSync(socket, { force: true });
    this.#server.listen(socket);
    await once(this.#server, 'listening');
  }

  close(): void {
    this.#server.close();
  }

  async #take(stream: Stream): Promise<void> {
    const [far] = (await once(this.#server, 'connection')) as [net.Socket];
    const pieces = stream()[Symbol.iterator]();
    let expected: Buffer = Buffer.alloc(0);
    const next = (): Buffer => {
      const piece = pieces.next();
      return piece.done === true ? Buffer.alloc(0) : piece.value;
    };
    for await (const chunk of far as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length;) {
        if (expected.length === 0) expected = next();
        const length = Math.min(expected.length, chunk.length - at);
        const same = length > 0 && expected.compare(chunk, at, at + length, 0, length) === 0;
        if (!same) throw new Error('what came out is not what went in');
        expected = expected.subarray(length);
        at += length;
      }
    }
    if (expected.length > 0 || next().length > 0) throw new Error('not all came out');
    far.end();
  }
}
