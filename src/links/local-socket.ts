import { once } from 'node:events';
import type net from 'node:net';
import { connectSocket } from '../system/files/checked-open.ts';

/** Hypervisor's socket, read on demand and written with a limit of one piece. */
export class LocalSocket {
  readonly #socket: net.Socket;
  #state: 'open' | 'ended' | 'broken' = 'open';
  #waiting: (() => void)[] = [];
  #finished = false;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('readable', () => this.#wake());
    socket.on('end', () => this.#turn('ended'));
    socket.on('error', () => this.#turn('broken'));
    socket.on('close', () => this.#turn('broken'));
  }

  static async connect(path: string): Promise<LocalSocket> {
    const socket = connectSocket(path, 'directory', { allowHalfOpen: true });
    await once(socket, 'connect');
    return new LocalSocket(socket);
  }

  /** `ended`: the hypervisor sends no more. `broken`: the socket is unusable. */
  get state(): 'open' | 'ended' | 'broken' {
    return this.#state;
  }

  get readable(): boolean {
    return this.#socket.readableLength > 0;
  }

  read(): Buffer | undefined {
    return (this.#socket.read() as Buffer | null) ?? undefined;
  }

  /** Resolves to true when data may have arrived or the state has changed; to false after `mostMs`, if given. */
  async wait(mostMs?: number): Promise<boolean> {
    if (this.#state !== 'open' || this.readable) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting.push(() => resolve(true));
    const late = mostMs === undefined ? undefined : setTimeout(() => resolve(false), mostMs);
    const came = await promise;
    clearTimeout(late);
    return came;
  }

  /** Resolves to true when the kernel has taken everything, and to false if nothing reads the socket any more. */
  async write(...pieces: readonly Uint8Array[]): Promise<boolean> {
    const last = pieces.at(-1);
    if (this.#state === 'broken' || this.#finished || last === undefined) return false;
    return new Promise((resolve) => {
      this.#socket.cork();
      for (const piece of pieces.slice(0, -1)) this.#socket.write(piece);
      this.#socket.write(last, (error) => resolve(error === null || error === undefined));
      this.#socket.uncork();
    });
  }

  /** Ends writing; reading continues. */
  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#socket.end();
  }

  /** A unix socket has no reset: the hypervisor sees an end without its end mark. */
  break(): void {
    this.#turn('broken');
    this.#socket.destroy();
  }

  #turn(state: 'ended' | 'broken'): void {
    if (this.#state === 'broken') return;
    // A socket that both sides have ended closes normally.
    if (state === 'broken' && this.#state === 'ended' && this.#finished) return this.#wake();
    this.#state = state;
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }
}
