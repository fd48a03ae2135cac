import { createHash } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inRealDirectory } from '../../system/files/real-directory.ts';
import { discard, name, type StagedFile } from '../proof/made-files.ts';
import { BadBackingMessage } from './messages.ts';

export interface BackingTarget {
  readonly node: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly made: StagedFile;
}

class NotTheSame extends Error {
  override readonly name = 'NotTheSame';
}

const ZEROES = Buffer.alloc(256 * 1024);

/** A backing file during writing; it gets its name only with the right hash. */
export class BackingFileWriter {
  readonly target: BackingTarget;
  readonly #handle: FileHandle;
  readonly #hash = createHash('sha256');
  #at = 0;

  private constructor(target: BackingTarget, handle: FileHandle) {
    this.target = target;
    this.#handle = handle;
  }

  /** Starts over, because an earlier mover's file may be incomplete. */
  static async begin(target: BackingTarget): Promise<BackingFileWriter> {
    const { temporary } = target.made;
    const handle = await inRealDirectory(temporary, async (at) => {
      await rm(at, { force: true });
      return open(at, 'wx', 0o600);
    });
    const begun = new BackingFileWriter(target, handle);
    try {
      await handle.truncate(target.bytes);
    } catch (error) {
      await begun.drop();
      throw error;
    }
    return begun;
  }

  /** Gaps between writes stay holes. Throws BadBackingMessage for invalid writes. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    if (offset < this.#at || offset + bytes.length > this.target.bytes) {
      throw new BadBackingMessage(`${bytes.length} bytes at ${offset}, after ${this.#at}`);
    }
    await this.#skipTo(offset);
    this.#hash.update(bytes);
    for (let done = 0; done < bytes.length;) {
      const left = bytes.length - done;
      const { bytesWritten } = await this.#handle.write(bytes, done, left, offset + done);
      done += bytesWritten;
    }
    this.#at = offset + bytes.length;
  }

  /** Compares the hash, and names the file. Throws NotTheSame. */
  async finish(): Promise<void> {
    await this.#skipTo(this.target.bytes);
    const sha256 = this.#hash.digest('hex');
    if (sha256 !== this.target.sha256) {
      throw new NotTheSame(`what came has the sha256 ${sha256}, and not ${this.target.sha256}`);
    }
    // Read-only, so that later searches recognize it as fixed.
    await this.#handle.chmod(0o400);
    await this.#handle.sync();
    await this.#handle.close();
    await name(this.target.made);
  }

  async drop(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await discard(this.target.made);
  }

  async #skipTo(offset: number): Promise<void> {
    while (this.#at < offset) {
      const length = Math.min(ZEROES.length, offset - this.#at);
      this.#hash.update(ZEROES.subarray(0, length));
      this.#at += length;
      // A hole may be as large as the disk, so other work gets a turn.
      await nextTurn();
    }
  }
}
