import type net from 'node:net';
import { withDeadline } from '../../../deadline.ts';
import { connectSocket } from '../../../system/files/checked-open.ts';
import {
  ALLOCATION,
  BadNbd,
  COMMANDS,
  GREETING_BYTES,
  OPTIONS,
  OPTION_REPLY_BYTES,
  READS_ZERO,
  REPLIES,
  REPLY_BYTES,
  answerGreeting,
  goData,
  isRefusal,
  metaData,
  readOptionReply,
  readPart,
  readReply,
  writeOption,
  writeRequest,
  type Extent,
  type Part,
} from './wire.ts';

const ANSWER_MS = 30_000;
/** Bytes of one map question, and of all questions per look ahead. */
const MAX_MAPPED = 2 * 1024 ** 3;
const MAX_AHEAD = 64 * 1024 ** 3;
/** Maximum answer; a server sends at most the requested amount. */
const MAX_BYTES = 32 * 1024 ** 2 + 1024;

export class NbdClient {
  readonly #socket: net.Socket;
  #heard: Buffer[] = [];
  #heardBytes = 0;
  #over: Error | undefined;
  #wake: () => void = () => undefined;
  #cookie = 0n;
  #hasMap = false;
  size = 0;

  private constructor(path: string) {
    this.#socket = connectSocket(path, 'directory');
    this.#socket.on('data', (chunk: Buffer) => {
      this.#heard.push(chunk);
      this.#heardBytes += chunk.length;
      if (this.#heardBytes > MAX_BYTES) this.#socket.pause();
      this.#wake();
    });
    const end = (error: Error): void => {
      this.#over ??= error;
      this.#wake();
    };
    this.#socket.on('error', end);
    this.#socket.on('close', () => end(new BadNbd('it closed the connection')));
  }

  /** `bitmap`: name of a dirty bitmap for `status`. */
  static async open(
    path: string,
    name: string,
    signal: AbortSignal,
    bitmap?: string,
  ): Promise<NbdClient> {
    const client = new NbdClient(path);
    try {
      await withDeadline('the greeting of an export', ANSWER_MS, signal, (inner) =>
        client.#greet(name, bitmap, inner),
      );
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Holes are zeros; undefined if everything is a hole. */
  async read(from: number, length: number, signal: AbortSignal): Promise<Buffer | undefined> {
    let bytes: Buffer | undefined;
    for (const part of await this.#ask(COMMANDS.read, from, length, signal)) {
      if (part.kind === 'data') {
        bytes ??= Buffer.alloc(length);
        const at = part.from - from;
        if (at < 0 || at + part.bytes.length > length)
          throw new BadNbd('it sent what is elsewhere');
        part.bytes.copy(bytes, at);
      }
    }
    return bytes;
  }

  /** Bitmap of a range from its start; may end before the range. */
  async status(from: number, length: number, signal: AbortSignal): Promise<readonly Extent[]> {
    const parts = await this.#ask(COMMANDS.blockStatus, from, length, signal);
    return parts.flatMap((part) => (part.kind === 'status' ? part.extents : []));
  }

  /**
   * End of the zeros from there, by the server's allocation map; `from` if there are none or no map. Looks ahead a
   * limited way, so that an answer does not take long.
   */
  async zeroUntil(from: number, signal: AbortSignal): Promise<number> {
    const end = Math.min(this.size, from + MAX_AHEAD);
    let at = from;
    while (this.#hasMap && at < end) {
      const extents = await this.status(at, Math.min(MAX_MAPPED, end - at), signal);
      const before = at;
      for (const { length, flags } of extents) {
        if ((flags & READS_ZERO) === 0) return at;
        at = Math.min(this.size, at + length);
      }
      if (at === before) return at;
    }
    return at;
  }

  close(): void {
    if (this.#over === undefined) {
      this.#socket.end(writeRequest(COMMANDS.disconnect, this.#cookie, 0, 0));
    }
    this.#socket.destroySoon();
    this.#over ??= new BadNbd('it was closed');
    this.#wake();
  }

  async #greet(name: string, bitmap: string | undefined, signal: AbortSignal): Promise<void> {
    this.#socket.write(answerGreeting(await this.#take(GREETING_BYTES, signal)));
    await this.#option(OPTIONS.structured, Buffer.alloc(0), signal);
    if (bitmap !== undefined) {
      const query = metaData(name, `qemu:dirty-bitmap:${bitmap}`);
      const replies = await this.#option(OPTIONS.setMeta, query, signal);
      if (replies.length === 0) throw new BadNbd(`it has no bitmap ${bitmap}`);
    } else {
      const mapped = await this.#option(OPTIONS.setMeta, metaData(name, ALLOCATION), signal).catch(
        (thrown: unknown) => {
          if (this.#over === undefined && thrown instanceof BadNbd) return [];
          throw thrown;
        },
      );
      this.#hasMap = mapped.length > 0;
    }
    const [info] = await this.#option(OPTIONS.go, goData(name), signal);
    if (info === undefined || info.length < 10) throw new BadNbd('it does not report its size');
    this.size = Number(info.readBigUInt64BE(2));
  }

  /** Resolves to the replies before the acknowledgement. */
  async #option(option: number, data: Buffer, signal: AbortSignal): Promise<Buffer[]> {
    this.#socket.write(writeOption(option, data));
    const replies: Buffer[] = [];
    for (;;) {
      const reply = readOptionReply(await this.#take(OPTION_REPLY_BYTES, signal));
      const payload = await this.#take(reply.length, signal);
      if (reply.option !== option) throw new BadNbd('it answers what was not asked');
      if (reply.type === REPLIES.ack) return replies;
      if (isRefusal(reply)) {
        throw new BadNbd(`it refused option ${option}: ${payload.toString('utf8', 0, 256)}`);
      }
      const isWanted = option !== OPTIONS.go || payload.readUInt16BE(0) === 0;
      if (isWanted) replies.push(Buffer.from(payload));
    }
  }

  #ask(command: number, from: number, length: number, signal: AbortSignal): Promise<Part[]> {
    return withDeadline('the answer of an export', ANSWER_MS, signal, async (inner) => {
      this.#cookie += 1n;
      this.#socket.write(writeRequest(command, this.#cookie, from, length));
      const parts: Part[] = [];
      for (;;) {
        const head = readReply(await this.#take(REPLY_BYTES, inner));
        if (head.cookie !== this.#cookie) throw new BadNbd('it answers what was not asked');
        parts.push(readPart(head, await this.#take(head.length, inner)));
        if (head.isLast) return parts;
      }
    });
  }

  async #take(bytes: number, signal: AbortSignal): Promise<Buffer> {
    if (bytes > MAX_BYTES) throw new BadNbd(`it would send ${bytes} bytes at once`);
    while (this.#heardBytes < bytes) {
      signal.throwIfAborted();
      if (this.#over !== undefined) throw this.#over;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
      this.#socket.resume();
      await promise;
    }
    const all = this.#heard.length === 1 ? this.#heard[0] : Buffer.concat(this.#heard);
    const taken = (all ?? Buffer.alloc(0)).subarray(0, bytes);
    const rest = (all ?? Buffer.alloc(0)).subarray(bytes);
    this.#heard = rest.length === 0 ? [] : [rest];
    this.#heardBytes = rest.length;
    return taken;
  }
}
