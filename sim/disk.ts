import type { JournalFile, OpenJournalFile } from '../src/system/journal-file.ts';
import { never, type SimProcess } from './process.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

export type DiskState = 'well' | 'full' | 'read-only' | 'slow' | 'broken';

export interface SimFile {
  content: Buffer;
  /** So many bytes lie on the disk; what follows is in the kernel alone. */
  synced: number;
  /** Grows whenever something is cut off. */
  cuts: number;
}

/** The files of a host: what was written outlives every process, what was synced a loss of power too. */
export class SimDisk {
  readonly files = new Map<string, SimFile>();
  state: DiskState = 'well';
  readonly #scheduler: Scheduler;
  readonly #random: Random;

  constructor(scheduler: Scheduler, random: Random) {
    this.#scheduler = scheduler;
    this.#random = random;
  }

  text(name: string): string {
    return this.files.get(name)?.content.toString('utf8') ?? '';
  }

  /** Unsynced bytes are lost, all or some of them; a record may be torn. */
  losePower(): void {
    for (const file of this.files.values()) {
      const left = this.#random.whole(file.synced, file.content.length);
      const kept = this.#random.chance(0.5) ? file.synced : left;
      file.content = file.content.subarray(0, kept);
      file.synced = kept;
      file.cuts += 1;
    }
  }

  /** As that process opens a journal. */
  opener(process: SimProcess): OpenJournalFile {
    return (name) => {
      if (this.state === 'read-only') throw failure('EROFS', 'open');
      const file = this.files.get(name) ?? { content: Buffer.alloc(0), synced: 0, cuts: 0 };
      this.files.set(name, file);
      return this.#open(process, file);
    };
  }

  #open(process: SimProcess, file: SimFile): JournalFile {
    return {
      read: () => file.content,
      write: (line, at) => this.#write(process, file, line.subarray(at)),
      truncate: (bytes) => {
        if (process.dead || bytes >= file.content.length) return;
        if (this.state === 'read-only') throw failure('EROFS', 'ftruncate');
        file.content = file.content.subarray(0, bytes);
        file.synced = Math.min(file.synced, bytes);
        file.cuts += 1;
      },
      sync: () => this.#sync(process, file),
      close: () => {},
    };
  }

  #write(process: SimProcess, file: SimFile, line: Buffer): number {
    process.pass('before', `write ${eventOf(line)}`);
    if (process.dead) return line.length;
    if (this.state === 'read-only') throw failure('EROFS', 'write');
    if (this.state === 'full') {
      // What still fits is taken, and the next write finds no room.
      const fits = this.#random.chance(0.3) ? this.#random.whole(1, line.length - 1) : 0;
      if (fits === 0) throw failure('ENOSPC', 'write');
      file.content = Buffer.concat([file.content, line.subarray(0, fits)]);
      return fits;
    }
    file.content = Buffer.concat([file.content, line]);
    process.pass('after', `write ${eventOf(line)}`);
    return line.length;
  }

  async #sync(process: SimProcess, file: SimFile): Promise<void> {
    if (process.dead) return never();
    const bytes = file.content.length;
    const cuts = file.cuts;
    const ms =
      this.state === 'slow' ? this.#random.between(50, 4000) : this.#random.between(0.1, 8);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#scheduler.after(ms, undefined, () => {
      const broken = this.state === 'broken' || this.state === 'read-only';
      if (!broken && cuts === file.cuts) file.synced = Math.max(file.synced, bytes);
      this.#scheduler.after(0, process, () => {
        process.pass('after', 'sync');
        if (process.dead) return;
        if (broken) reject(failure('EIO', 'fdatasync'));
        else resolve();
      });
    });
    return promise;
  }
}

/** The event that a record holds, for the story. */
function eventOf(line: Buffer): string {
  const text = line.toString('utf8');
  const found = /"event":\{"type":"([a-z-]+)"(?:,"(?:step|event)":(?:\{"type":)?"([a-z-]+)")?/.exec(
    text,
  );
  return found === null ? 'the rest of a record' : [found[1], found[2]].filter(Boolean).join(' ');
}

function failure(code: string, call: string): Error {
  return Object.assign(new Error(`${code}: a fault put in, ${call}`), { code });
}
