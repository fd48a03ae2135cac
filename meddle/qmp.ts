/** A monitor of the actor's and the witness's own. Nothing of Godwit is imported here, on purpose. */
import { connect, type Socket } from 'node:net';

export interface QmpEvent {
  readonly event: string;
  readonly atMs: number;
  readonly data: Readonly<Record<string, unknown>>;
}

const ANSWER_MS = 5000;
const MAX_EVENTS = 10_000;
const MAX_LINE_CHARS = 4 * 1024 * 1024;

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class Qmp {
  readonly events: QmpEvent[] = [];
  readonly #socket: Socket;
  readonly #onEvent: (event: QmpEvent) => void;
  readonly #waiters = new Map<number, Waiter>();
  #count = 0;
  #text = '';
  #isClosed = false;

  private constructor(socket: Socket, onEvent: (event: QmpEvent) => void) {
    this.#socket = socket;
    this.#onEvent = onEvent;
    socket.setEncoding('utf8').on('data', (chunk: string) => this.#take(chunk));
    socket.on('error', () => this.#end());
    socket.on('close', () => this.#end());
  }

  /** Undefined if nobody listens. */
  static async open(
    path: string,
    onEvent: (event: QmpEvent) => void = () => undefined,
  ): Promise<Qmp | undefined> {
    const socket = await new Promise<Socket | undefined>((resolve) => {
      const made = connect(path);
      made.once('connect', () => resolve(made));
      made.once('error', () => resolve(undefined));
    });
    if (socket === undefined) return undefined;
    const monitor = new Qmp(socket, onEvent);
    // Answered before whatever is asked next.
    void monitor.ask('qmp_capabilities').catch(() => undefined);
    return monitor;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** What was returned; rejects with the hypervisor's words if it refuses. */
  async ask(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    if (this.#isClosed) throw new Error(`${command}: the monitor is closed`);
    this.#count += 1;
    const id = this.#count;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timer = setTimeout(() => reject(new Error(`${command}: no answer`)), ANSWER_MS);
    this.#waiters.set(id, { resolve, reject });
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(id);
    }
  }

  close(): void {
    this.#socket.destroy();
    this.#end();
  }

  #take(chunk: string): void {
    const lines = (this.#text + chunk).split('\n');
    this.#text = lines.pop() ?? '';
    if (this.#text.length > MAX_LINE_CHARS) this.close();
    for (const line of lines) {
      if (line.trim() !== '') this.#message(JSON.parse(line) as Record<string, unknown>);
    }
  }

  #message(message: Record<string, unknown>): void {
    if (typeof message['event'] === 'string') {
      const stamp = (message['timestamp'] ?? {}) as { seconds?: number; microseconds?: number };
      const atMs = (stamp.seconds ?? 0) * 1000 + (stamp.microseconds ?? 0) / 1000;
      const data = (message['data'] ?? {}) as Record<string, unknown>;
      const event = { event: message['event'], atMs, data };
      if (this.events.length < MAX_EVENTS) this.events.push(event);
      this.#onEvent(event);
      return;
    }
    const waiter = this.#waiters.get(Number(message['id']));
    const error = message['error'] as { desc?: string } | undefined;
    if (error === undefined) waiter?.resolve(message['return']);
    else waiter?.reject(new Error(error.desc ?? 'refused'));
  }

  #end(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onEvent({ event: 'CLOSED', atMs: Date.now(), data: {} });
    for (const { reject } of this.#waiters.values()) reject(new Error('the monitor closed'));
  }
}
