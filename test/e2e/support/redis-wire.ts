import { once } from 'node:events';
import net from 'node:net';

/** What Redis answers: `undefined` for nothing, an Error for one that it says. */
export type Answer = string | number | undefined | Error | readonly Answer[];

/** A connection to Redis, as its protocol (RESP 2) has it. No command is sent a second time. */
export class RedisConnection {
  readonly #socket: net.Socket;
  readonly #waiting: { resolve(answer: Answer): void; reject(error: Error): void }[] = [];
  #bytes = Buffer.alloc(0);

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (more: Buffer) => this.#hear(more));
    socket.on('error', () => {});
    socket.on('close', () => {
      for (const each of this.#waiting.splice(0)) each.reject(new Error('the connection ended'));
    });
  }

  static async open(host: string, port: number): Promise<RedisConnection> {
    const socket = net.connect({ host, port });
    await once(socket, 'connect');
    return new RedisConnection(socket);
  }

  /** Sends these commands in one write; the answers in their order. Rejects once the connection has ended. */
  async ask(...commands: readonly (readonly string[])[]): Promise<Answer[]> {
    if (this.#socket.destroyed) throw new Error('the connection ended');
    const answers = commands.map(
      () => new Promise<Answer>((resolve, reject) => this.#waiting.push({ resolve, reject })),
    );
    const words = (command: readonly string[]): string =>
      command.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('');
    const text = commands.map((each) => `*${each.length}\r\n${words(each)}`);
    this.#socket.write(text.join(''));
    return Promise.all(answers);
  }

  close(): void {
    this.#socket.destroy();
  }

  #hear(more: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, more]);
    let at = 0;
    for (;;) {
      const found = parse(this.#bytes, at);
      if (found === undefined) break;
      at = found.end;
      this.#waiting.shift()?.resolve(found.answer);
    }
    this.#bytes = this.#bytes.subarray(at);
  }
}

/** The answer that begins there; undefined where it has not come as a whole. */
function parse(bytes: Buffer, from: number): { answer: Answer; end: number } | undefined {
  const line = bytes.indexOf('\r\n', from);
  if (line < 0) return undefined;
  const text = bytes.toString('utf8', from + 1, line);
  const after = line + 2;
  switch (String.fromCharCode(bytes[from] ?? 0)) {
    case '+':
      return { answer: text, end: after };
    case '-':
      return { answer: new Error(text), end: after };
    case ':':
      return { answer: Number(text), end: after };
    case '$': {
      const length = Number(text);
      if (length < 0) return { answer: undefined, end: after };
      const end = after + length + 2;
      if (bytes.length < end) return undefined;
      return { answer: bytes.toString('utf8', after, after + length), end };
    }
    case '*': {
      const answer: Answer[] = [];
      let end = after;
      for (let left = Number(text); left > 0; left -= 1) {
        const found = parse(bytes, end);
        if (found === undefined) return undefined;
        answer.push(found.answer);
        end = found.end;
      }
      return { answer, end };
    }
    default:
      throw new Error(`Redis said ${text}`);
  }
}
