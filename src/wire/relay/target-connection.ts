import type { Item } from '../codec/item.ts';
import { MESSAGE_BYTES } from '../../links/channels.ts';
import { LocalSocket } from '../../links/local-socket.ts';
import { Rebuild } from './rebuild.ts';

export interface TargetConnectionDependencies {
  readonly socket: string;
  /** Awaited before this side connects, so that the hypervisor sees its connections in order. */
  readonly after: () => Promise<void> | undefined;
  /** The hypervisor has taken this many more bytes. */
  readonly taken: (bytes: number) => void;
  readonly back: (bytes: Uint8Array) => Promise<void>;
  readonly backEnded: () => Promise<void>;
  /** The source's side has ended, and the hypervisor has everything before that. */
  readonly ended: () => void;
  /** This side's hypervisor is gone. */
  readonly broken: () => Promise<void>;
  readonly fail: (error: unknown) => void;
}

const FIRST_BYTES = 320 * 1024;

export class TargetConnection {
  readonly #deps: TargetConnectionDependencies;
  readonly #rebuild = new Rebuild();
  readonly #socket = Promise.withResolvers<LocalSocket | undefined>();
  /** Resolves once the source's side has ended, or nothing more can be passed on. */
  readonly #over = Promise.withResolvers<void>();
  #run: Promise<void> | undefined;
  #out = Buffer.allocUnsafe(0);
  #outBytes = 0;
  #isReported = false;

  constructor(deps: TargetConnectionDependencies) {
    this.#deps = deps;
  }

  /** Resolves once both sides have ended it, or at once if it was never opened. */
  async done(): Promise<void> {
    if (this.#run === undefined) return;
    await this.#run;
    await this.#over.promise;
  }

  get connected(): Promise<void> {
    return this.#socket.promise.then(() => undefined);
  }

  /** Connects after the source's hypervisor has connected. */
  open(): void {
    this.#run ??= this.#connect().catch((error: unknown) => this.#deps.fail(error));
  }

  /** Restores the items and passes them to the hypervisor; resolves when it has taken them. */
  async give(items: Iterable<Item>): Promise<void> {
    for (const item of items) this.gather(item);
    await this.pass();
  }

  gather(item: Item): void {
    this.#rebuild.take(item, (bytes) => this.#put(bytes));
  }

  async pass(): Promise<void> {
    const bytes = this.#out.subarray(0, this.#outBytes);
    const socket = await this.#socket.promise;
    // Bytes without a reader count as taken, so that the source does not wait for them.
    if (bytes.length > 0) {
      if (socket !== undefined && !(await socket.write(bytes))) await this.#break(socket);
      this.#deps.taken(bytes.length);
    }
    this.#outBytes = 0;
    if (this.#rebuild.ended) {
      socket?.finish();
      this.#deps.ended();
      this.#over.resolve();
    }
  }

  break(): void {
    this.#over.resolve();
    this.#socket.resolve(undefined);
    void this.#socket.promise.then((socket) => socket?.break());
  }

  async #connect(): Promise<void> {
    await this.#deps.after();
    const socket = await LocalSocket.connect(this.#deps.socket);
    this.#socket.resolve(socket);
    if ((await this.#socket.promise) !== socket) return socket.break();
    while (socket.state === 'open' || socket.readable) {
      const chunk = socket.read();
      if (chunk === undefined) await socket.wait();
      else await this.#sendBack(chunk);
    }
    if (socket.state === 'ended') await this.#deps.backEnded();
    else await this.#break(socket);
  }

  async #sendBack(chunk: Buffer): Promise<void> {
    const most = MESSAGE_BYTES - 1;
    for (let at = 0; at < chunk.length; at += most) {
      await this.#deps.back(chunk.subarray(at, at + most));
    }
  }

  async #break(socket: LocalSocket): Promise<void> {
    socket.break();
    this.#over.resolve();
    if (this.#isReported) return;
    this.#isReported = true;
    await this.#deps.broken();
  }

  #put(bytes: Uint8Array): void {
    const total = this.#outBytes + bytes.length;
    if (total > this.#out.length) {
      const larger = Buffer.allocUnsafe(Math.max(total, this.#out.length * 2, FIRST_BYTES));
      this.#out.copy(larger, 0, 0, this.#outBytes);
      this.#out = larger;
    }
    this.#out.set(bytes, this.#outBytes);
    this.#outBytes = total;
  }
}
