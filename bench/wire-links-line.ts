import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

/**
 * A thread: a TCP proxy that is as thin and as long as a line is said to be, for all its connections together. What
 * waits before the thin part is bounded, as by a router; then its connections are not read.
 */
export interface LineData {
  readonly target: number;
  readonly bytesPerS: number;
  readonly roundTripMs: number;
}

const { target, bytesPerS, roundTripMs } = workerData as LineData;
const MAX_QUEUE_MS = 100;

/** One direction. */
class Direction {
  #freeAtMs = 0;
  readonly #due: { readonly atMs: number; readonly chunk: Buffer; readonly to: net.Socket }[] = [];
  readonly #paused = new Set<net.Socket>();

  take(from: net.Socket, to: net.Socket, chunk: Buffer): void {
    const now = performance.now();
    this.#freeAtMs = Math.max(this.#freeAtMs, now) + (chunk.length * 1000) / bytesPerS;
    this.#due.push({ atMs: this.#freeAtMs + roundTripMs / 2, chunk, to });
    if (this.#freeAtMs - now < MAX_QUEUE_MS) return;
    from.pause();
    this.#paused.add(from);
  }

  pass(now: number): void {
    let first = this.#due[0];
    for (; first !== undefined && first.atMs <= now; first = this.#due[0]) {
      this.#due.shift();
      if (!first.to.destroyed) first.to.write(first.chunk);
    }
    if (this.#freeAtMs - now > MAX_QUEUE_MS / 2) return;
    for (const socket of this.#paused) socket.resume();
    this.#paused.clear();
  }
}

const [there, back] = [new Direction(), new Direction()];
const timer = setInterval(() => {
  const now = performance.now();
  there.pass(now);
  back.pass(now);
}, 1);

const server = net.createServer((near) => {
  const far = net.connect({ host: '127.0.0.1', port: target, noDelay: true });
  near.setNoDelay(true);
  for (const [from, to, direction] of [
    [near, far, there],
    [far, near, back],
  ] as const) {
    from.on('data', (chunk: Buffer) => direction.take(from, to, chunk));
    from.on('error', () => undefined);
    from.on('close', () => setTimeout(() => to.destroy(), roundTripMs / 2));
  }
});
server.listen(0, '127.0.0.1', () => {
  parentPort?.postMessage((server.address() as AddressInfo).port);
});
parentPort?.on('message', () => {
  clearInterval(timer);
  process.exit();
});
