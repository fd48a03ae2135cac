import { connect, type Socket } from 'node:net';
import { systemClock } from '../../src/clock.ts';
import { withDeadline } from '../../src/deadline.ts';
import { godwitError } from '../../src/errors.ts';

const CONNECT_MS = 10_000;
const ANSWER_MS = 30_000;
/** A QEMU whose main loop hangs answers no question of `ask`. */
const ASK_MS = 1500;
const MAX_EVENTS = 100_000;
const MAX_LINE_CHARS = 8 * 1024 * 1024;

export interface QmpEvent {
  readonly event: string;
  /** By QEMU's clock, which is this machine's: ms since 1970. */
  readonly atMs: number;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The witness's monitor of one QEMU. Deliberately not the driver's client: what tests and benchmarks hold Godwit against
 * must not share its code.
 */
export class Monitor {
  readonly events: QmpEvent[] = [];
  readonly #path: string;
  readonly #socket: Socket;
  readonly #onEvent: (event: QmpEvent) => void;
  readonly #onClose: () => void;
  readonly #waiters = new Map<number, Waiter>();
  readonly #watchers = new Set<() => void>();
  #nextId = 1;
  #text = '';
  #closed: Error | undefined;

  private constructor(path: string, socket: Socket, { onEvent, onClose }: Listener) {
    this.#path = path;
    this.#socket = socket;
    this.#onEvent = onEvent ?? (() => undefined);
    this.#onClose = onClose ?? (() => undefined);
    socket.setEncoding('utf8').on('data', (chunk: string) => this.#take(chunk));
    socket.on('error', (error) => this.#end(this.#error(error.message, error)));
    socket.on('close', () => this.#end(this.#error('closed')));
  }

  /** Connects and leaves the negotiation mode; undefined where nobody listens. */
  static async connect(path: string, listener: Listener = {}): Promise<Monitor | undefined> {
    const socket = await dial(path);
    if (socket === undefined) return undefined;
    const monitor = new Monitor(path, socket, listener);
    // Answered before whatever is asked next; a QEMU that is stalled must not hold the witness up.
    void monitor.execute('qmp_capabilities').catch(() => undefined);
    return monitor;
  }

  /** Connects, waiting for the socket to appear. */
  static async open(path: string, signal?: AbortSignal): Promise<Monitor> {
    return withDeadline(`the monitor ${path}`, CONNECT_MS, signal, async (inner) => {
      for (;;) {
        const monitor = await Monitor.connect(path);
        if (monitor !== undefined) return monitor;
        await systemClock.sleep(20, inner);
      }
    });
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /** Resolves to what QEMU returned; GODWIT_LAB with its words, or once it is closed. */
  async execute(
    command: string,
    args: Record<string, unknown> = {},
    deadlineMs = ANSWER_MS,
  ): Promise<unknown> {
    if (this.#closed !== undefined) throw this.#closed;
    const id = this.#nextId;
    this.#nextId += 1;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiters.set(id, { resolve, reject });
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    try {
      return await withDeadline(
        `QEMU's answer to ${command}`,
        deadlineMs,
        undefined,
        () => promise,
      );
    } catch (error) {
      throw this.#error(`${command}: ${error instanceof Error ? error.message : ''}`, error);
    } finally {
      this.#waiters.delete(id);
    }
  }

  /** What QEMU returned to a question; undefined where it refuses, does not answer in time, or has ended. */
  async ask(command: string): Promise<Record<string, unknown> | undefined> {
    const answer = await this.execute(command, {}, ASK_MS).catch(() => undefined);
    return answer as Record<string, unknown> | undefined;
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
    this.#end(this.#error('closed'));
  }

  #take(chunk: string): void {
    const lines = (this.#text + chunk).split('\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines) {
      if (line.trim() !== '') this.#takeMessage(JSON.parse(line) as Record<string, unknown>);
    }
    for (const look of this.#watchers) look();
    if (this.#text.length > MAX_LINE_CHARS) {
      this.#end(this.#error('answered too much'));
      this.#socket.destroy();
    }
  }

  #takeMessage(message: Record<string, unknown>): void {
    if (typeof message['event'] === 'string') {
      const event = eventOf(message['event'], message);
      if (this.events.length < MAX_EVENTS) this.events.push(event);
      this.#onEvent(event);
      return;
    }
    const waiter = this.#waiters.get(Number(message['id']));
    const error = message['error'] as { desc?: string } | undefined;
    if (error === undefined) waiter?.resolve(message['return']);
    else waiter?.reject(new Error(`QEMU refused: ${error.desc ?? 'no reason'}`));
  }

  #end(error: Error): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    this.#onClose();
    for (const { reject } of this.#waiters.values()) reject(error);
    for (const look of this.#watchers) look();
  }

  #error(reason: string, cause?: unknown): Error {
    return godwitError('GODWIT_LAB', { what: `${this.#path}: ${reason}` }, { cause });
  }
}

/** What is heard of a monitor while it is open. */
interface Listener {
  readonly onEvent?: (event: QmpEvent) => void;
  readonly onClose?: () => void;
}

/** Asks a QEMU one thing over a monitor of the witness's own; GODWIT_LAB where it is not answered. */
export async function askQemu(
  path: string,
  command: string,
  args: Record<string, unknown> = {},
  deadlineMs = 5000,
): Promise<unknown> {
  const monitor = await Monitor.connect(path);
  if (monitor === undefined) throw godwitError('GODWIT_LAB', { what: `${path}: nobody listens` });
  try {
    return await monitor.execute(command, args, deadlineMs);
  } finally {
    monitor.close();
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

async function dial(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}
