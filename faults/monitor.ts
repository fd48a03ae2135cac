/** A lasting connection to one QEMU's witness monitor: its events as they come, and questions in between. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';

export interface QemuEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** By QEMU's clock, which is this machine's: ms since 1970. */
  readonly atMs: number;
}

interface Line {
  readonly id?: number;
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
  readonly event?: string;
  readonly data?: Record<string, unknown>;
  readonly timestamp?: { readonly seconds: number; readonly microseconds: number };
}

const ASK_MS = 1500;
/** Not QEMU's word: its monitor has ended, and most likely QEMU with it. */
export const CLOSED = 'CLOSED';

/** One QEMU, watched. Deliberately without any of Godwit's own code for monitors. */
export class Monitor {
  readonly #socket: Socket;
  readonly #onEvent: (event: QemuEvent) => void;
  readonly #waiting = new Map<number, (answer: Record<string, unknown> | undefined) => void>();
  #text = '';
  #next = 1;
  #closed = false;

  private constructor(socket: Socket, onEvent: (event: QemuEvent) => void) {
    this.#socket = socket;
    this.#onEvent = onEvent;
    socket.on('error', () => {}).on('close', () => this.#end());
    socket.setEncoding('utf8').on('data', (chunk: string) => this.#take(chunk));
  }

  /** Resolves once connected; undefined where nobody listens. */
  static async open(
    path: string,
    onEvent: (event: QemuEvent) => void,
  ): Promise<Monitor | undefined> {
    const socket = connect(path);
    const there = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    if (!there) return undefined;
    const monitor = new Monitor(socket, onEvent);
    void monitor.ask('qmp_capabilities');
    return monitor;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Undefined where it does not answer in time: its main loop stands still, or it has ended. */
  async ask(command: string): Promise<Record<string, unknown> | undefined> {
    if (this.#closed) return undefined;
    const id = this.#next++;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#waiting.get(id)?.(undefined), ASK_MS);
      this.#waiting.set(id, (answer) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        resolve(answer);
      });
      this.#socket.write(`${JSON.stringify({ execute: command, id })}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
    this.#end();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onEvent({ name: CLOSED, data: {}, atMs: Date.now() });
    for (const answer of this.#waiting.values()) answer(undefined);
  }

  #take(chunk: string): void {
    const lines = (this.#text + chunk).split('\n');
    this.#text = lines.pop() ?? '';
    for (const text of lines) {
      const line = JSON.parse(text) as Line;
      if (line.event !== undefined) {
        const { seconds = 0, microseconds = 0 } = line.timestamp ?? {};
        const atMs = seconds * 1000 + microseconds / 1000;
        this.#onEvent({ name: line.event, data: line.data ?? {}, atMs });
      } else if (line.id !== undefined) {
        this.#waiting.get(line.id)?.((line.return ?? {}) as Record<string, unknown>);
      }
    }
  }
}
