import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { GodwitError, godwitError } from '../../errors.ts';
import { openIdentified } from '../../system/files/identified-file.ts';
import { inRealDirectory } from '../../system/files/real-directory.ts';
import { fromSerial } from '../../protocol/errors.ts';
import type { Tunnel } from '../copy/tunnel/open.ts';
import {
  ANSWER_CHANNEL,
  BadBackingMessage,
  DATA_CHANNEL,
  readBackingAnswer,
  writeBackingMessage,
  type BackingAnswer,
  type BackingMessage,
} from './messages.ts';
import type { FileIdentity } from '../../migration/image-identity.ts';
import { runsOf } from './runs.ts';

/** Reads the file that was found, not a link that replaced it. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export interface BackingSource {
  readonly node: string;
  readonly file: string;
  /** Another file at that path is not sent. Absent in migrations begun by an earlier build. */
  readonly identity?: FileIdentity | undefined;
  readonly bytes: number;
}

export interface BackingFileProgress {
  readonly node: string;
  /** Bytes read, including holes, and bytes sent. */
  readonly doneBytes: number;
  readonly sentBytes: number;
  readonly totalBytes: number;
}

export interface SenderDependencies {
  readonly tunnel: Pick<Tunnel, 'beside' | 'ended'>;
  readonly guest: string;
  readonly peer: string;
  readonly progress?: (progress: BackingFileProgress) => void;
}

/** Bounds the mover's memory. */
const READ_BYTES = 256 * 1024;

interface Attempt {
  readonly backing: BackingSource;
  readonly number: number;
  answer: BackingAnswer | undefined;
  over: Error | undefined;
  wake: () => void;
}

/** Source end: sends backing files one after the other. One per tunnel. */
export class BackingFileSender {
  readonly #deps: SenderDependencies;
  #attempts = 0;
  #attempt: Attempt | undefined;
  #sessionOver: Error | undefined;

  constructor(deps: SenderDependencies) {
    this.#deps = deps;
    const { tunnel, peer } = deps;
    tunnel.beside.on(ANSWER_CHANNEL, async (bytes) => this.#take(bytes));
    const over = (error: Error): void => {
      this.#sessionOver = error;
      this.#stop(error);
    };
    const closed = { peer, reason: 'it was closed' };
    tunnel.ended.then(() => over(godwitError('GODWIT_SESSION_ENDED', closed)), over);
  }

  /**
   * Resolves once the destination has the whole file with a verified hash. Rejects with an error of either side or
   * the signal's reason; nothing of the file then stays there. The session survives link cuts by itself.
   */
  async send(backing: BackingSource, signal: AbortSignal): Promise<void> {
    if (this.#attempt !== undefined) throw new Error('an image is being sent already');
    signal.throwIfAborted();
    const number = (this.#attempts += 1);
    const over = this.#sessionOver;
    const attempt: Attempt = { backing, number, answer: undefined, over, wake: () => undefined };
    this.#attempt = attempt;
    const stop = (): void => this.#stop(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
    let handle: FileHandle | undefined;
    try {
      const { file, identity } = backing;
      handle = await inRealDirectory(file, (at) =>
        identity === undefined ? open(at, READ) : openIdentified(file, identity, at),
      );
      await this.#run(attempt, handle);
    } catch (thrown) {
      void this.#put({ kind: 'stop' });
      if (thrown instanceof GodwitError || thrown === attempt.over) throw thrown;
      throw this.#failed(backing, thrown instanceof Error ? thrown.message : String(thrown));
    } finally {
      signal.removeEventListener('abort', stop);
      this.#attempt = undefined;
      await handle?.close();
    }
  }

  async #run(attempt: Attempt, handle: FileHandle): Promise<void> {
    const { backing, number } = attempt;
    const before = await this.#changedAt(backing, handle);
    await this.#say(attempt, { kind: 'begin', attempt: number, node: backing.node });
    if ((await this.#reply(attempt, 'ready', 'whole')) === 'whole') return;
    await this.#sendAll(attempt, handle);
    if ((await this.#changedAt(backing, handle)) !== before) {
      throw this.#failed(backing, 'it was written to meanwhile');
    }
    await this.#say(attempt, { kind: 'end' });
    await this.#reply(attempt, 'whole');
  }

  async #sendAll(attempt: Attempt, handle: FileHandle): Promise<void> {
    const { backing } = attempt;
    const { node, bytes: totalBytes } = backing;
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    let sentBytes = 0;
    for (let doneBytes = 0; doneBytes < totalBytes;) {
      const most = Math.min(READ_BYTES, totalBytes - doneBytes);
      const { bytesRead } = await handle.read(buffer, 0, most, doneBytes);
      if (bytesRead === 0) throw this.#failed(backing, 'it became shorter meanwhile');
      for (const run of runsOf(buffer.subarray(0, bytesRead), doneBytes)) {
        await this.#say(attempt, { kind: 'data', ...run });
        sentBytes += run.bytes.length;
      }
      check(attempt);
      doneBytes += bytesRead;
      this.#deps.progress?.({ node, doneBytes, sentBytes, totalBytes });
    }
  }

  async #changedAt(backing: BackingSource, handle: FileHandle): Promise<bigint> {
    const { size, mtimeNs } = await handle.stat({ bigint: true });
    if (Number(size) !== backing.bytes) {
      throw this.#failed(backing, 'it has changed since it was looked at');
    }
    return mtimeNs;
  }

  /** Resolves once the session has it; an abort does not wait for a lost link. */
  async #say(attempt: Attempt, message: BackingMessage): Promise<void> {
    check(attempt);
    let isSent = false;
    void this.#put(message).then(() => {
      isSent = true;
      attempt.wake();
    });
    while (!isSent) {
      await new Promise<void>((resolve) => (attempt.wake = resolve));
      check(attempt);
    }
  }

  /** Never rejects, because the session's end is reported. */
  async #put(message: BackingMessage): Promise<void> {
    const { beside } = this.#deps.tunnel;
    await beside.send(DATA_CHANNEL, writeBackingMessage(message)).catch(() => undefined);
  }

  async #reply(attempt: Attempt, ...wanted: readonly BackingAnswer['type'][]): Promise<string> {
    for (;;) {
      check(attempt);
      const { answer } = attempt;
      if (answer !== undefined && wanted.includes(answer.type)) return answer.type;
      await new Promise<void>((resolve) => (attempt.wake = resolve));
    }
  }

  #stop(error: Error): void {
    if (this.#attempt === undefined) return;
    this.#attempt.over ??= error;
    this.#attempt.wake();
  }

  #take(bytes: Uint8Array): void {
    try {
      const answer = readBackingAnswer(bytes);
      const attempt = this.#attempt;
      if (answer.attempt !== attempt?.number || answer.node !== attempt.backing.node) return;
      attempt.answer = answer;
      attempt.wake();
    } catch (error) {
      if (!(error instanceof BadBackingMessage)) throw error;
      const { peer } = this.#deps;
      const facts = { peer, expected: 'a backing file’s answer', what: error.message };
      throw godwitError('GODWIT_PROTOCOL_INVALID', facts, { cause: error });
    }
  }

  #failed({ node: device }: BackingSource, reason: string): GodwitError {
    return godwitError('GODWIT_DISK_FAILED', { guest: this.#deps.guest, device, reason });
  }
}

function check({ answer, over }: Attempt): void {
  if (over !== undefined) throw over;
  if (answer?.type === 'failed') throw fromSerial(answer.error);
}
