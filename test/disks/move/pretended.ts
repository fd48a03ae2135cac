import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DiskMove } from '../../../src/disks/move/move.ts';
import { identityOfName as identityOf } from '../../../src/system/files/open-files.ts';
import { systemClock } from '../../../src/clock.ts';
import type { DiskRelocator, RelocationSight } from '../../../src/port/disks.ts';
import { silentLog } from '../../../src/log.ts';
import {
  beginMove,
  diskMoveRecord,
  replayMove,
  type DiskMoveEvent,
  type DiskMovePlan,
} from '../../../src/migration/disk-move.ts';
import type { JournalFile } from '../../../src/system/journal-file.ts';
import { open } from '../../../src/host/journal/journal.ts';
import type { DiskMoveProgress } from '../../../src/protocol/public/disk-move.ts';

/** Thrown in place of going on: what comes after is done by another agent. */
export class KilledError extends Error {}

/** A guest whose one disk is a text file, and a hypervisor that copies it; dies when told to. */
export class PretendedHost {
  readonly directory: string;
  alive = true;
  /** Times that copying was begun. */
  begun = 0;
  /** Steps of agents so far, and before which of them the agent is killed. */
  steps = 0;
  killAt = Number.POSITIVE_INFINITY;
  /** With the agent the hypervisor dies too. */
  both = false;
  bootId = 'boot-1';
  /** Times that other hosts were told of the switch, and how many of these failed at first. */
  announced = 0;
  unannounced = 0;
  /** Switches that were ordered by an agent that had told no other host of it. */
  untold = 0;
  #isTold = false;
  /** The journal's disk is broken when this is to be written, so often. */
  unwritable = { what: '', times: 0 };
  /** The record is written, and its sync fails, so often. */
  unsynced = { what: '', times: 0 };
  /** What the sync of a record waits for. */
  beforeSync: ((line: string) => Promise<void>) | undefined;
  /** The job does not come to the point where both are the same. */
  neverPending = false;
  readonly #completed = Promise.withResolvers<void>();
  /** Resolves once the job was told to come there. */
  readonly completed = this.#completed.promise;
  readonly #waiting = Promise.withResolvers<void>();
  /** Resolves once the guest's writes wait for the switch. */
  readonly waiting = this.#waiting.promise;
  /** The job fails with this. */
  failure: RelocationSight['failure'];
  readonly #text: JournalText = { text: '' };
  #on: 'old' | 'new' = 'old';
  #job: RelocationSight['job'] = 'none';
  #open = false;
  #writes = 0;
  #move: DiskMove | undefined;

  constructor(directory: string) {
    this.directory = directory;
    writeFileSync(this.from, 'disk ');
  }

  static async open(): Promise<PretendedHost> {
    return new PretendedHost(await mkdtemp(path.join(tmpdir(), 'godwit-disk-move-')));
  }

  get from(): string {
    return path.join(this.directory, 'old.raw');
  }
  get to(): string {
    return path.join(this.directory, 'new', 'disk.raw');
  }

  close(): Promise<void> {
    return rm(this.directory, { recursive: true, force: true });
  }

  isRecorded(type: DiskMoveEvent['type']): boolean {
    return this.#text.text.includes(`"type":"${type}"`);
  }

  /** The storage of the new image is away, as after a restart of the host; its directory is there, and empty. */
  unmount(): void {
    renameSync(path.dirname(this.to), this.#away);
    mkdirSync(path.dirname(this.to));
  }

  mount(): void {
    rmSync(path.dirname(this.to), { recursive: true, force: true });
    renameSync(this.#away, path.dirname(this.to));
  }

  get #away(): string {
    return path.join(this.directory, 'away');
  }

  /** What the guest has written so far is in this file. */
  get truth(): string {
    return this.#on === 'old' ? this.from : this.to;
  }

  async plan(keepSource = false): Promise<DiskMovePlan> {
    return {
      id: 'd-0123456789ab',
      request: { guest: 'db1', disk: 'disk0', to: this.to, keepSource },
      handle: { driver: 'pretended', name: 'db1' },
      bootId: 'boot-1',
      createdAt: '2026-11-20T20:00:00.000Z',
      from: this.from,
      identity: (await identityOf(this.from)) ?? '',
      to: this.to,
      directories: [path.dirname(this.to)],
      work: {},
    };
  }

  /** The guest writes: into the image that it is on, and into both once the copy follows. */
  write(): void {
    if (!this.alive || this.#job === 'pending') return;
    this.#writes += 1;
    append(this.truth, `${this.#writes} `);
    if (this.#on === 'old' && this.#job === 'ready') append(this.to, `${this.#writes} `);
  }

  /** What the guest's disk must hold. */
  get written(): string {
    return `disk ${Array.from({ length: this.#writes }, (_, at) => `${at + 1} `).join('')}`;
  }

  /** An agent begins, or goes on from the journal, until the move has ended or the agent is killed. */
  async agent(plan: DiskMovePlan): Promise<DiskMoveProgress | 'killed'> {
    const write = (line: string): void => {
      this.#step();
      if (isDue(this.unwritable, line)) throw new Error('EIO');
    };
    const sync = async (line: string): Promise<void> => {
      await this.beforeSync?.(line);
      if (isDue(this.unsynced, line)) throw new Error('EIO');
    };
    const file = memoryFile(this.#text, write, sync);
    const opened = open<DiskMoveEvent>(
      'journal.jsonl',
      file,
      { schema: diskMoveRecord, first: 'begun' },
      systemClock,
    );
    const state = replayMove(opened.events) ?? beginMove(plan);
    if (opened.events.length === 0) await opened.journal.append({ type: 'begun', plan }, 'sync');
    const ending = new AbortController();
    this.#isTold = false;
    const move = new DiskMove(state, {
      host: 'a',
      clock: { ...systemClock, sleep: async () => this.write() },
      log: silentLog,
      journal: opened.journal,
      bootId: () => this.bootId,
      beforeSwitch: async () => {
        assert.equal(this.#on, 'old');
        this.announced += 1;
        if (this.announced <= this.unannounced) throw new Error('c does not answer');
        this.#isTold = true;
      },
      life: async () => (this.alive ? { state: 'alive' } : { state: 'gone', reason: 'it ended' }),
      hold: async () => ({ relocator: this.relocator(), close: async () => {} }),
    });
    this.#move = move;
    this.#kill = () => ending.abort(new KilledError());
    await move.run(ending.signal).catch((thrown: unknown) => {
      // One that is killed tidies nothing up.
      if (!(thrown instanceof KilledError)) throw thrown;
    });
    if (this.killAt <= this.steps) {
      this.killAt = Number.POSITIVE_INFINITY;
      if (this.both) this.alive = false;
      return 'killed';
    }
    return move.progress();
  }

  cancel(): Promise<boolean> {
    return this.#move?.cancel() ?? Promise.resolve(false);
  }

  #kill = (): void => {};

  /** Each thing that an agent does; from the one on at which it is killed it does nothing more. */
  #step(): void {
    this.steps += 1;
    if (this.steps < this.killAt) return;
    this.#kill();
    throw new KilledError();
  }

  relocator(): DiskRelocator {
    const step = async <T>(work: () => T): Promise<T> => {
      this.#step();
      return work();
    };
    return {
      disks: async () => [
        {
          name: 'disk0',
          file: this.from,
          bytes: 512,
          allocatedBytes: 512,
          fixed: undefined,
          work: {},
        },
        {
          name: 'cd0',
          file: '/x',
          bytes: 0,
          allocatedBytes: 0,
          fixed: 'it is only read',
          work: {},
        },
      ],
      begin: (_work, file) => step(() => this.#begin(file)),
      look: () => step(() => this.#look()),
      countJobs: () => step(() => (['none', 'ended', 'failed'].includes(this.#job) ? 0 : 1)),
      setWriteBlocking: () => step(() => {}),
      complete: () =>
        step(() => {
          this.#job = 'ending';
          this.#completed.resolve();
        }),
      finalize: () =>
        step(() => {
          if (this.#job !== 'pending') throw new Error('nothing is pending');
          if (!this.#isTold) this.untold += 1;
          this.#on = 'new';
          this.#job = 'ended';
        }),
      settle: () =>
        step(() => {
          this.#job = 'none';
          return [];
        }),
      drop: () =>
        step(() => {
          this.#job = 'none';
          this.#open = false;
        }),
    };
  }

  #begin(file: string): void {
    this.begun += 1;
    if (readFileSync(file, 'utf8') !== '') throw new Error('it is not empty');
    this.#open = true;
    this.#job = 'copying';
  }

  #look(): RelocationSight {
    const seen = {
      on: this.#on,
      job: this.#job,
      open: this.#open,
      copiedBytes: 1,
      totalBytes: 2,
      ...(this.#job === 'failed' && this.failure !== undefined ? { failure: this.failure } : {}),
    };
    // It goes on by itself between two looks.
    if (this.#job === 'copying') this.#copied();
    else if (this.#job === 'ending' && !this.neverPending) {
      this.#job = 'pending';
      this.#waiting.resolve();
    }
    return seen;
  }

  #copied(): void {
    if (this.failure !== undefined) {
      this.#job = 'failed';
      return;
    }
    writeFileSync(this.to, readFileSync(this.from));
    this.#job = 'ready';
  }

  async holds(file: string): Promise<string | undefined> {
    return existsSync(file) && (await stat(file)).isFile() ? readFileSync(file, 'utf8') : undefined;
  }
}

interface JournalText {
  text: string;
}

/** A fault that strikes a record, so often. */
function isDue(fault: { readonly what: string; times: number }, line: string): boolean {
  if (fault.times === 0 || !line.includes(fault.what)) return false;
  fault.times -= 1;
  return true;
}

function memoryFile(
  kept: JournalText,
  write: (line: string) => void,
  sync: (line: string) => Promise<void>,
): JournalFile {
  return {
    read: () => Buffer.from(kept.text),
    write: (line, at) => {
      write(line.toString());
      kept.text += line.subarray(at).toString();
      return line.length - at;
    },
    truncate: (bytes) => void (kept.text = Buffer.from(kept.text).subarray(0, bytes).toString()),
    sync: () => sync(kept.text.trimEnd().split('\n').at(-1) ?? ''),
    close: () => {},
  };
}

function append(file: string, text: string): void {
  const fd = openSync(file, 'a');
  writeFileSync(fd, text);
  closeSync(fd);
}
