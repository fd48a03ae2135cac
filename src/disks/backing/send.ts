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

/** The destination gets what is read: of the file that was found, and not of one to which somebody has put a link since. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A backing file of this host. */
export interface BackingSource {
  readonly node: string;
  readonly file: string;
  /** Which file it is: another file at that path is not sent. Absent if the migration was begun by an earlier build. */
  readonly identity?: FileIdentity | undefined;
  /** As it was when its hash was taken. */
  readonly bytes: number;
}

export interface BackingFileProgress {
  readonly node: string;
  /** Read of the file, holes included, and sent of it. */
  readonly doneBytes: number;
  readonly sentBytes: number;
  readonly totalBytes: number;
}

export interface SenderDependencies {
  readonly tunnel: Pick<Tunnel, 'beside' | 'ended'>;
  readonly guest: string;
  readonly peer: string;
  /** Called after each piece that was read. */
  readonly progress?: (progress: BackingFileProgress) => void;
}

/** A mover is to stay small, whatever the size of the file. */
const READ_BYTES = 256 * 1024;

interface Attempt {
  readonly backing: BackingSource;
  readonly number: number;
  /** What the far side has said last. */
  answer: BackingAnswer | undefined;
  /** Why it is over before its time. */
  over: Error | undefined;
  /** Something was reported; whoever waits looks again. */
  wake: () => void;
}

/** The source's end: sends one backing file after the other. One for each tunnel. */
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
   * Resolves when the destination has it whole, with its hash compared. Rejects with what went wrong there or here, and
   * with the signal’s reason; then nothing of it stays there. The session outlives cuts of the link by itself.
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

  /** Resolves when the session has it; an abort does not wait for a link that is away. */
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

  /** Never rejects: where the session is over, its end is reported. */
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

/** Throws where nothing more is to be sent. */
function check({ answer, over }: Attempt): void {
  if (over !== undefined) throw over;
  if (answer?.type === 'failed') throw fromSerial(answer.error);
}
