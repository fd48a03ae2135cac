import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import net from 'node:net';

/** Joins two unix sockets as the movers do: who connects to `near` speaks with who listens at `far`. */
export class Joint {
  readonly near: string;
  readonly #far: string;
  readonly #sockets = new Set<net.Socket>();
  #server: net.Server | undefined;
  #silent = false;
  /** What went from near to far, in all. */
  bytes = 0;
  /** Falls silent once so many bytes have gone. */
  silentAfter = Number.POSITIVE_INFINITY;

  constructor(near: string, far: string) {
    this.near = near;
    this.#far = far;
  }

  async open(): Promise<void> {
    await rm(this.near, { force: true });
    const server = net.createServer((near) => this.#join(near));
    this.#server = server;
    server.listen(this.near);
    await once(server, 'listening');
  }

  /** What is sent is lost, and nobody hears of it. */
  silence(): void {
    this.#silent = true;
    for (const socket of this.#sockets) socket.unpipe().resume();
  }

  /** What is joined is lost, and nobody listens until `open`. */
  async cut(): Promise<void> {
    this.#silent = false;
    this.silentAfter = Number.POSITIVE_INFINITY;
    for (const socket of this.#sockets) socket.destroy();
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.close();
    await once(server, 'close');
  }

  #join(near: net.Socket): void {
    const far = net.connect({ path: this.#far });
    near.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (this.bytes > this.silentAfter) this.silence();
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      if (this.#silent) one.resume();
      else one.pipe(other);
    }
  }
}
