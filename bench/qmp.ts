import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { systemClock } from '../src/clock.ts';
import { withDeadline } from '../src/deadline.ts';
import type { QmpEvent } from './stream-times.ts';

const CONNECT_MS = 10_000;
const ANSWER_MS = 30_000;
const MAX_EVENTS = 100_000;

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One end of a QMP monitor. Deliberately not the driver's client: a benchmark must not measure Godwit with
 * Godwit's own parts, and the side that goes without Godwit must go without it.
 */
export class Monitor {
  readonly events: QmpEvent[] = [];
  readonly #socket: Socket;
  readonly #waiters = new Map<number, Waiter>();
  readonly #watchers = new Set<() => void>();
  #nextId = 1;
  #text = '';
  #closed: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8').on('data', (chunk: string) => this.#take(chunk));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('QEMU closed the monitor')));
  }

  /** Connects, waiting for the socket to appear, and leaves the negotiation mode. */
  static async open(socketPath: string, signal: AbortSignal): Promise<Monitor> {
    return withDeadline(`the monitor ${socketPath}`, CONNECT_MS, signal, async (inner) => {
      for (;;) {
        const socket = await dial(socketPath);
        if (socket !== undefined) {
          const monitor = new Monitor(socket);
          await monitor.execute('qmp_capabilities');
          return monitor;
        }
        await systemClock.sleep(20, inner);
      }
    });
  }

  /** Resolves to what QEMU returned; rejects with its words. */
  async execute(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    if (this.#closed !== undefined) throw this.#closed;
    const id = this.#nextId;
    this.#nextId += 1;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiters.set(id, { resolve, reject });
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    return withDeadline(command, ANSWER_MS, undefined, () => promise);
  }

  /** The first event that `wanted` accepts, also one that has been; rejects when the monitor closes before. */
  async until(
    what: string,
    wanted: (event: QmpEvent) => boolean,
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<QmpEvent> {
    const { promise, resolve, reject } = Promise.withResolvers<QmpEvent>();
    const look = (): void => {
      const found = this.events.find(wanted);
      if (found !== undefined) resolve(found);
      else if (this.#closed !== undefined) reject(this.#closed);
    };
    this.#watchers.add(look);
    look();
    try {
      return await withDeadline(what, deadlineMs, signal, () => promise);
    } finally {
      this.#watchers.delete(look);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: string): void {
    const lines = (this.#text + chunk).split('\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines) {
      if (line.trim() !== '') this.#takeMessage(JSON.parse(line) as Record<string, unknown>);
    }
    for (const look of this.#watchers) look();
  }

  #takeMessage(message: Record<string, unknown>): void {
    if (typeof message['event'] === 'string') {
      if (this.events.length < MAX_EVENTS) this.events.push(eventOf(message['event'], message));
      return;
    }
    const id = Number(message['id']);
    const waiter = this.#waiters.get(id);
    this.#waiters.delete(id);
    const error = message['error'] as { desc?: string } | undefined;
    if (error !== undefined)
      waiter?.reject(new Error(`QEMU refused: ${error.desc ?? 'no reason'}`));
    else waiter?.resolve(message['return']);
  }

  #end(error: Error): void {
    this.#closed ??= error;
    for (const { reject } of this.#waiters.values()) reject(this.#closed);
    this.#waiters.clear();
    for (const look of this.#watchers) look();
  }
}

function eventOf(event: string, message: Record<string, unknown>): QmpEvent {
  const { seconds = 0, microseconds = 0 } = (message['timestamp'] ?? {}) as {
    seconds?: number;
    microseconds?: number;
  };
  const data = (message['data'] ?? {}) as Record<string, unknown>;
  return { event, atMs: seconds * 1000 + microseconds / 1000, data };
}

async function dial(socketPath: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}
