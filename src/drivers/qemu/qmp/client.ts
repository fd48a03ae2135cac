import { randomInt } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import type { z } from 'zod';
import { withDeadline } from '../../../deadline.ts';
import { godwitError, type GodwitError } from '../../../errors.ts';
import { CommandWriter } from './command-writer.ts';
import { judgeEnd, unreachable, type MonitorOwner } from './monitor-end.ts';
import { LineSplitter } from './lines.ts';
import { isClosedByPeer } from './monitor-socket.ts';
import {
  parseMessage,
  versionText,
  type Greeting,
  type QmpEvent,
  type QmpMessage,
} from './messages.ts';
import { PendingCommands, type Answer } from './pending-commands.ts';

export interface Transport {
  readonly input: Readable;
  readonly output: Writable;
}

const MAX_PENDING = 2048;
const COMMAND_MS = 20_000;

/**
 * QMP monitor. Commands may be sent without waiting for earlier answers, because QEMU answers in order;
 * listeners get events in order. After the end of the stream, each pending and later command rejects with
 * judgeEnd's error: GODWIT_HYPERVISOR_LOST only if the process is gone, otherwise GODWIT_MONITOR_UNREACHABLE.
 */
export class QmpClient {
  readonly #transport: Transport;
  readonly #owner: MonitorOwner;
  readonly #lines = new LineSplitter();
  readonly #writer: CommandWriter;
  readonly #pending = new PendingCommands(COMMAND_MS);
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  readonly #closeListeners = new Set<(error: GodwitError) => void>();
  #greeted: ((greeting: Greeting) => void) | undefined;
  /** Set after the end of the stream; resolves to its meaning. */
  #ended: Promise<GodwitError> | undefined;
  #endedWithProcess = false;
  #readAll = false;
  #next = 1;
  version = '';
  /** Supports out-of-band commands, so `urgent` has an effect. */
  #outOfBand = false;
  /** The first line may lack its beginning. */
  #torn = false;

  private constructor(transport: Transport, owner: MonitorOwner) {
    this.#transport = transport;
    this.#owner = owner;
    const { input, output } = transport;
    this.#writer = new CommandWriter(output);
    const onError = (error: NodeJS.ErrnoException): void => {
      // A failed write may be reported before the remaining input is read.
      this.#readAll ||= error.syscall === 'read';
      this.#end(error.message, error);
    };
    input.on('data', (chunk: Buffer) => this.#read(chunk));
    input.on('end', () => {
      this.#readAll = true;
    });
    input.on('error', onError);
    input.on('close', () => this.#end('its monitor closed the connection'));
    if ((output as unknown) === input) return;
    output.on('error', (error) => {
      // The last events are unread; the end of the input will report the closed connection.
      if (!isClosedByPeer(error)) onError(error);
    });
  }

  /**
   * Takes over a connected stream: waits for the greeting and leaves negotiation mode. Throws GODWIT_DEADLINE
   * without a greeting in time, because another client holds the monitor.
   */
  static async open(
    transport: Transport,
    owner: MonitorOwner,
    greetingMs: number,
    signal: AbortSignal,
  ): Promise<QmpClient> {
    const client = new QmpClient(transport, owner);
    try {
      const hello = Promise.withResolvers<Greeting>();
      client.#greeted = hello.resolve;
      client.onClose(hello.reject);
      hello.promise.catch(() => {});
      const greeting = await withDeadline(
        'the greeting of the monitor',
        greetingMs,
        signal,
        () => hello.promise,
      );
      client.version = versionText(greeting);
      const enable = greeting.QMP.capabilities.filter((name) => name === 'oob');
      await client.execute('qmp_capabilities', enable.length === 0 ? {} : { enable }, signal);
      client.#outOfBand = enable.length > 0;
      return client;
    } catch (error) {
      client.#end('it was given up', undefined, false);
      throw error;
    }
  }

  /**
   * Takes over a stream that an earlier client has negotiated, including out-of-band commands. The first bytes
   * may be the end of a message that it did not read.
   */
  static resume(transport: Transport, owner: MonitorOwner): QmpClient {
    const client = new QmpClient(transport, owner);
    client.#outOfBand = true;
    client.#torn = true;
    // Answers to an earlier client must not match.
    client.#next = randomInt(1, 2 ** 47);
    return client;
  }

  get closed(): boolean {
    return this.#ended !== undefined;
  }

  get endedWithProcess(): boolean {
    return this.#endedWithProcess;
  }

  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onClose(listener: (error: GodwitError) => void): void {
    if (this.#ended === undefined) this.#closeListeners.add(listener);
    else void this.#ended.then(listener);
  }

  request(command: string, args: object, signal?: AbortSignal): Promise<Answer> {
    return this.#send('execute', command, args, signal);
  }

  /**
   * Sends a command past all pending ones, even while QEMU's main loop hangs; QEMU allows only a few. Without
   * out-of-band support it waits its turn.
   */
  urgent(command: string, args: object, signal?: AbortSignal): Promise<Answer> {
    return this.#send(this.#outOfBand ? 'exec-oob' : 'execute', command, args, signal);
  }

  #send(
    verb: 'execute' | 'exec-oob',
    command: string,
    args: object,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    const ended = this.#ended;
    if (ended !== undefined) {
      return withDeadline(`\`${command}\``, COMMAND_MS, signal, async () => {
        throw await ended;
      });
    }
    if (this.#pending.size >= MAX_PENDING) {
      return Promise.reject(
        godwitError('GODWIT_OVERLOADED', { what: 'the monitor queue', limit: MAX_PENDING }),
      );
    }
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    const id = this.#next++;
    this.#writer.push(`${JSON.stringify({ [verb]: command, arguments: args, id })}\n`);
    return this.#pending.add(id, command, signal);
  }

  /** Sends a command. Throws GODWIT_HYPERVISOR with QEMU's text if it is refused. */
  async execute(command: string, args: object, signal?: AbortSignal): Promise<unknown> {
    const answer = await this.request(command, args, signal);
    if (answer.ok) return answer.value;
    throw this.refused(command, answer.reason);
  }

  /** Like execute, with a checked answer. Throws GODWIT_PROTOCOL_INVALID if it has an unexpected form. */
  async query<T>(
    command: string,
    args: object,
    schema: z.ZodType<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const parsed = schema.safeParse(await this.execute(command, args, signal));
    if (parsed.success) return parsed.data;
    throw godwitError(
      'GODWIT_PROTOCOL_INVALID',
      {
        peer: `the monitor of ${this.#owner.guest}`,
        expected: `an answer to \`${command}\``,
        what: parsed.error.issues
          .slice(0, 3)
          .map((issue) => `${issue.path.join('.')}: ${issue.message}`)
          .join('; '),
      },
      { cause: parsed.error },
    );
  }

  refused(command: string, reason: string): GodwitError {
    const { host } = this.#owner;
    return godwitError('GODWIT_HYPERVISOR', { hypervisor: 'QEMU', host, command, reason });
  }

  close(): void {
    this.#end('the connection was closed', undefined, false);
  }

  #read(chunk: Buffer): void {
    if (this.#ended !== undefined) return;
    try {
      for (const line of this.#lines.push(chunk)) {
        const message = parseMessage(line);
        const first = this.#torn;
        this.#torn = false;
        if (message === undefined && first) continue;
        if (message === undefined) {
          this.#end(`its monitor sent what is not QMP: ${line.slice(0, 80)}`);
          return;
        }
        this.#take(message);
      }
    } catch (error) {
      this.#end(error instanceof Error ? error.message : String(error), error);
    }
  }

  #take(message: QmpMessage): void {
    switch (message.kind) {
      case 'greeting':
        this.#greeted?.(message.greeting);
        this.#greeted = undefined;
        return;
      case 'event':
        for (const listener of this.#listeners) listener(message.event);
        return;
      case 'success':
        this.#settle(message.id, { ok: true, value: message.value });
        return;
      case 'failure': {
        const { reason, errorClass } = message;
        this.#settle(message.id, { ok: false, reason, errorClass });
        return;
      }
    }
  }

  /** An answer without a known id is ignored: QEMU sends such answers for unreadable lines. */
  #settle(id: number | string | undefined, answer: Answer): void {
    if (typeof id === 'number') this.#pending.answer(id, answer);
  }

  /** `isJudged` false: this side ends the connection, so the other side's state stays unknown. */
  #end(reason: string, cause?: unknown, isJudged = true): void {
    if (this.#ended !== undefined) return;
    this.#endedWithProcess = isJudged && this.#readAll && this.#owner.process?.isEnding() === true;
    if (isJudged) this.#writer.drop();
    else this.#writer.flush();
    this.#transport.input.destroy();
    this.#transport.output.destroy();
    this.#listeners.clear();
    if (isJudged) {
      this.#ended = judgeEnd(this.#owner, reason, cause);
      void this.#ended.then((error) => this.#report(error));
      return;
    }
    const error = unreachable(this.#owner, reason, cause);
    this.#ended = Promise.resolve(error);
    this.#report(error);
  }

  #report(error: GodwitError): void {
    this.#pending.fail(error);
    for (const listener of this.#closeListeners) listener(error);
    this.#closeListeners.clear();
  }
}
