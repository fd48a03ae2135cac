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

/** CRIU's word that all is in place. */
const RESTORED = 0x5253_5446;
/** Messages that are read at once. */
const MESSAGES = 64;
/** Processes that are there before it is looked which of them have ended. */
const MIN_PROCESSES = 64;
/** Between two looks at whether the host has room again: for descriptors, for what is written down, for keepers. */
const ROOM_MS = 100;

export interface PagerFiles {
  /** What is written down before it is acted on. */
  readonly journal: string;
  /** The pagers of the container, each before it does anything else. */
  readonly pagers: string;
  /** CRIU looks for it in its working directory, which is this process's. */
  readonly socket: string;
}

/** Who is told what. */
export interface Listener {
  /** A process waits for this page. */
  wants(file: number, page: number): void;
  restored(): void;
  /** Why it does not hear what the processes do, which wait meanwhile; undefined: it does again. */
  waits(reason: string | undefined): void;
  /** Every page is there: nothing is left to do. */
  all(): void;
}

/** Why a container cannot be gone on with: its memory may be wrong, or will be. */
export class LostContainer extends Error {}

/**
 * Brings the processes of a container the pages of their memory, as these come. It answers each fault, and gives what comes
 * unasked too. What the processes do to their memory meanwhile is written down before anything else is done.
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
  /** The restored processes were seen to wait for each page that is yet to come. */
  #isLooked = false;
  #listens: number | undefined;
  #criu: number | undefined;
  /** Once so many processes are there, it is looked which of them have ended. */
  #mostProcesses = MIN_PROCESSES;
  /** What the processes do is not read, for this reason. */
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

  /** Once there is no other: opens what is written down. */
  static async open(pages: Pages, files: PagerFiles, listener: Listener): Promise<Pager> {
    await becomeTheOne(files.pagers);
    return new Pager(pages, files, listener);
  }

  /** Before CRIU begins. */
  begin(): void {
    this.#reading.begin();
    this.#listens = criu.listenOn(this.#files.socket);
    this.#keepers.begin();
  }

  /**
   * In the place of a pager that has ended. LostContainer where nobody held the userfaultfds meanwhile, or where it is not
   * known what the processes did to their memory.
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
    // What the one before had read and not answered is asked anew.
    for (const fd of this.#spaces.keys()) kernel.wakeAll(fd);
    this.#giving.spread();
    this.#after();
  }

  get wanted(): Iterable<readonly [file: number, page: number]> {
    return this.#giving.wanted;
  }

  /** Runs until every page is there. */
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

  /** CRIU gives the number of a process and its userfaultfd, or says that all are in place. */
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
    // One that had ended when it was dumped has no memory.
    if (task < 0) return;
    const given = kernel.raise(criu.receiveFd(fd), MIN_FD);
    this.#journal.write({ task, fd: given });
    this.#spaces.set(given, new AddressSpace(this.#pages.spansOf(task)));
  }

  /** Whether what the processes do can be read, and is; they wait meanwhile. */
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

  /** Pages that have come; they are in their file. */
  came(file: number, first: number, count: number): void {
    this.#giving.came(file, first, count);
    this.#after();
  }

  /** All is in place, and would wait for what is yet to come: from now on pages are given unasked. */
  looked(): void {
    if (this.#isLooked || this.#isOver) return;
    this.#isLooked = true;
    this.#giving.spread();
    this.#after();
  }

  /** What the kernel did not take is given again, also where no message comes. One timer: the shortest time counts. */
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

  /** Pages may have come that nobody told of. */
  look(): void {
    this.#pages.look();
    this.#giving.spread();
    this.#after();
  }

  /** Those whose processes have ended are let go of: where no page comes nobody else notices. */
  #passOver(): void {
    for (const fd of this.#spaces.keys()) if (kernel.hasEnded(fd)) this.#over(fd);
    this.#mostProcesses = Math.max(MIN_PROCESSES, 2 * this.#spaces.size);
  }

  /** A process that has ended. */
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
