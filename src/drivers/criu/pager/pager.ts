import { kill } from '../../../system/processes/process.ts';
import { AddressSpace } from './address-space.ts';
import * as criu from './criu-socket.ts';
import { Giving } from './giving.ts';
import { JournalFile } from './journal-file.ts';
import { replay, type PagerState } from './journal.ts';
import { Keepers, livingOf, takeFromOne } from './keepers.ts';
import * as kernel from './kernel.ts';
import { becomeTheOne } from './one-pager.ts';
import type { Pages } from './pages.ts';
import { MIN_FD, Reading, type Change } from './reading.ts';

const RESTORED = 0x5253_5446;
const MESSAGES = 64;
/** Number of processes from which ended ones are searched. */
const MIN_PROCESSES = 64;
/** Interval of checks for free descriptors, disk space and processes. */
const ROOM_MS = 100;

export interface PagerFiles {
  readonly journal: string;
  /** All pagers of the container, each recorded before any action. */
  readonly pagers: string;
  /** CRIU looks for it in its working directory, which is this process's. */
  readonly socket: string;
}

export interface Listener {
  wants(file: number, page: number): void;
  restored(): void;
  /** Reason why the processes' events are not read, so that they wait; undefined once they are. */
  waits(reason: string | undefined): void;
  all(): void;
}

/** The container's memory is, or will be, wrong. */
export class LostContainer extends Error {}

/**
 * Gives a container's processes their pages as they arrive: answers faults, and gives unrequested pages too.
 * Each event of the processes is recorded before any other action.
 */
export class Pager {
  readonly #pages: Pages;
  readonly #files: PagerFiles;
  readonly #listener: Listener;
  #spaces = new Map<number, AddressSpace>();
  readonly #journal: JournalFile;
  readonly #reading: Reading;
  readonly #keepers = new Keepers((all) => this.#journal.write({ keepers: [...all] }));
  readonly #giving: Giving;
  #isRestored = false;
  /** A check has shown that the restored processes wait for all missing pages. */
  #isLooked = false;
  #listens: number | undefined;
  #criu: number | undefined;
  /** At this number of processes, ended ones are searched. */
  #mostProcesses = MIN_PROCESSES;
  #why: string | undefined;
  #isOver = false;
  #again: { readonly timer: NodeJS.Timeout; readonly ms: number } | undefined;

  private constructor(pages: Pages, files: PagerFiles, listener: Listener) {
    this.#pages = pages;
    this.#files = files;
    this.#listener = listener;
    this.#journal = new JournalFile(files.journal);
    this.#reading = new Reading(this.#journal);
    const mayGive = (): boolean => this.#isLooked;
    const spaces = (): Map<number, AddressSpace> => this.#spaces;
    this.#giving = new Giving(pages, {
      get spaces() {
        return spaces();
      },
      get mayGive() {
        return mayGive();
      },
      wants: (file, page) => listener.wants(file, page),
      over: (fd) => this.#over(fd),
    });
  }

  /** Opens the journal, after every other pager has ended. */
  static async open(pages: Pages, files: PagerFiles, listener: Listener): Promise<Pager> {
    await becomeTheOne(files.pagers);
    return new Pager(pages, files, listener);
  }

  begin(): void {
    this.#reading.begin();
    this.#listens = criu.listenOn(this.#files.socket);
    this.#keepers.begin();
  }

  /**
   * Replaces an ended pager. Throws LostContainer if nobody held the userfaultfds meanwhile, or the processes'
   * changes to their memory are unknown.
   */
  takeOver(): void {
    const known = replay(this.#journal.text, (task) => this.#pages.spansOf(task));
    const before = livingOf(known.keepers);
    if (known.all) {
      for (const { pid } of before) kill(pid);
      return this.#end();
    }
    if (!known.restored) throw new LostContainer('its pager ended before it was restored');
    const cause = takeFromOne(before, (pid) => this.#reading.takeFrom(pid, known.spaces.keys()));
    if (cause !== undefined) throw new LostContainer('nobody held all of its memory', { cause });
    [this.#isRestored, this.#isLooked] = [true, true];
    this.#spaces = known.spaces;
    this.#reading.finish((fd, change) => this.#note(fd, change));
    this.#keepers.begin(before);
    this.#reading.finished();
    this.#listener.restored();
    // Requests that the last pager read but did not answer are raised again.
    for (const fd of this.#spaces.keys()) kernel.wakeAll(fd);
    this.#giving.spread();
    this.#after();
  }

  get wanted(): Iterable<readonly [file: number, page: number]> {
    return this.#giving.wanted;
  }

  async serve(): Promise<void> {
    while (!this.#isOver) {
      if (this.#keepers.isShort) this.#keepers.again();
      const isHeard = this.#isHeard();
      const own = [this.#listens, this.#criu].filter((fd) => fd !== undefined);
      const all = [...own, ...this.#keepers.fds, ...(isHeard ? this.#spaces.keys() : [])];
      const isWell = isHeard && !this.#keepers.isShort;
      const ready = await kernel.readable(all, isWell ? -1 : ROOM_MS);
      if (this.#isOver) return;
      for (const fd of ready) {
        if (fd === this.#listens) this.#accept(fd);
        else if (fd === this.#criu) this.#hear(fd);
        else if (this.#keepers.has(fd)) this.#keepers.lost(fd);
        else if (this.#spaces.has(fd)) this.#read(fd);
      }
      if (this.#spaces.size >= this.#mostProcesses) this.#passOver();
      if (this.#journal.isLong) this.#journal.shorten(this.#known);
      this.#after();
    }
  }

  get #known(): PagerState {
    const { identities: keepers } = this.#keepers;
    return { spaces: this.#spaces, keepers, restored: this.#isRestored, all: false };
  }

  #accept(fd: number): void {
    this.#criu = criu.accept(fd);
    kernel.close(fd);
    this.#listens = undefined;
  }

  /** CRIU sends a process's number and userfaultfd, or reports that all are restored. */
  #hear(fd: number): void {
    const task = criu.receiveInt(fd);
    if (task === undefined || task === RESTORED) {
      kernel.close(fd);
      this.#criu = undefined;
      if (task === undefined) throw new LostContainer('CRIU ended before all was in place');
      this.#journal.write({ restored: true });
      this.#isRestored = true;
      this.#listener.restored();
      return;
    }
    // A process that had ended before the dump has no memory.
    if (task < 0) return;
    const given = kernel.raise(criu.receiveFd(fd), MIN_FD);
    this.#journal.write({ task, fd: given });
    this.#spaces.set(given, new AddressSpace(this.#pages.spansOf(task)));
  }

  /** True if events can be read; otherwise the processes wait. */
  #isHeard(): boolean {
    const why = this.#reading.whyNot();
    if (why !== this.#why) this.#listener.waits(why);
    this.#why = why;
    if (why !== undefined) this.#passOver();
    return why === undefined;
  }

  #read(fd: number): void {
    const faults: number[] = [];
    for (let count = 0; count < MESSAGES; count += 1) {
      const message = this.#reading.next(fd, (of, change) => this.#note(of, change));
      if (message === undefined) break;
      if (message.type === 'fault') faults.push(message.address);
    }
    for (const address of faults) this.#giving.fault(fd, address);
  }

  #note(fd: number, change: Change): void {
    const space = this.#spaces.get(fd);
    if (space === undefined) return;
    if (change.type === 'fork') {
      this.#journal.write({ forkOf: fd, fd: change.fd });
      this.#spaces.set(change.fd, space.copy());
    } else if (change.type === 'move') {
      this.#journal.write({ fd, move: [change.from, change.to, change.bytes] });
      space.move(change.from, change.to, change.bytes);
    } else {
      this.#journal.write({ fd, drop: [change.from, change.to] });
      space.drop(change.from, change.to);
    }
  }

  came(file: number, first: number, count: number): void {
    this.#giving.came(file, first, count);
    this.#after();
  }

  /** The check succeeded: from now on pages are given without a request. */
  looked(): void {
    if (this.#isLooked || this.#isOver) return;
    this.#isLooked = true;
    this.#giving.spread();
    this.#after();
  }

  /** Retries pages that the kernel refused, even without a message. One timer with the shortest pause. */
  #after(): void {
    this.#endIfAll();
    const ms = this.#giving.behindMs;
    if (ms === undefined || this.#isOver) return;
    if (this.#again !== undefined && this.#again.ms <= ms) return;
    clearTimeout(this.#again?.timer);
    const timer = setTimeout(() => {
      this.#again = undefined;
      this.#giving.spread();
      this.#after();
    }, ms);
    this.#again = { timer, ms };
  }

  /** Pages may have arrived without a message. */
  look(): void {
    this.#pages.look();
    this.#giving.spread();
    this.#after();
  }

  #passOver(): void {
    for (const fd of this.#spaces.keys()) if (kernel.hasEnded(fd)) this.#over(fd);
    this.#mostProcesses = Math.max(MIN_PROCESSES, 2 * this.#spaces.size);
  }

  #over(fd: number): void {
    this.#journal.write({ over: fd });
    this.#spaces.delete(fd);
    this.#giving.forget(fd);
    kernel.close(fd);
  }

  #endIfAll(): void {
    if (!this.#isLooked || this.#isOver) return;
    for (const { isEmpty } of this.#spaces.values()) if (!isEmpty) return;
    this.#journal.write({ all: true });
    this.#end();
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#again?.timer);
    for (const fd of this.#spaces.keys()) kernel.close(fd);
    this.#keepers.end();
    this.#listener.all();
  }
}
