import { appendFileSync, closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { startTicksOf } from '../../../host/process.ts';
import { AddressSpace } from './address-space.ts';
import * as criu from './criu-socket.ts';
import { Giving } from './giving.ts';
import { replay } from './journal.ts';
import type { Entry, Known } from './journal.ts';
import * as kernel from './kernel.ts';
import type { Message } from './kernel.ts';
import type { Pages } from './pages.ts';
import { beginSharer, reap } from './sharer.ts';

/** Userfaultfds have numbers from here on, the same in each pager of a container. */
const LEAST_FD = 1000;
/** CRIU's word that all is in place. */
const RESTORED = 0x5253_5446;
const KEEPERS = 2;
/** Messages that are read at once. */
const MESSAGES = 64;
/** Until what the kernel did not take is given again. */
const BEHIND_MS = 5;

export interface PagerFiles {
  /** What is written down before it is acted on. */
  readonly journal: string;
  /** `1` while a message is read that is not written down yet. */
  readonly reading: string;
  /** CRIU looks for it in its working directory, which is this process's. */
  readonly socket: string;
}

/** Who is told what. */
export interface Listener {
  /** A process waits for this page. */
  wants(file: number, page: number): void;
  restored(): void;
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
  /** By descriptor. */
  readonly #keepers = new Map<number, number>();
  readonly #giving: Giving;
  /** The restored processes were seen to wait for each page that is yet to come. */
  #isLooked = false;
  #listens: number | undefined;
  #criu: number | undefined;
  readonly #reading: number;
  #isOver = false;
  #again: NodeJS.Timeout | undefined;

  constructor(pages: Pages, files: PagerFiles, listener: Listener) {
    this.#pages = pages;
    this.#files = files;
    this.#listener = listener;
    closeSync(openSync(files.reading, 'a'));
    this.#reading = openSync(files.reading, 'r+');
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

  /** Before CRIU begins. */
  begin(): void {
    this.#listens = criu.listenOn(this.#files.socket);
    this.#keep([]);
  }

  /**
   * In the place of a pager that has ended. LostContainer where nobody held the userfaultfds meanwhile, or where it is not
   * known what the processes did to their memory.
   */
  takeOver(): void {
    const text = readFileSync(this.#files.journal, 'utf8');
    const known = replay(text, (task) => this.#pages.spansOf(task));
    if (known.all) return this.#end();
    if (!known.restored) throw new LostContainer('its pager ended before it was restored');
    if (readFileSync(this.#files.reading, 'latin1') === '1')
      throw new LostContainer('its pager ended while it read what the processes did');
    this.#take(known);
    this.#isLooked = true;
    this.#spaces = known.spaces;
    this.#keep(known.keepers.map(({ pid }) => pid).filter((pid) => isOf(known.keepers, pid)));
    this.#listener.restored();
    // What the one before had read and not answered is asked anew.
    for (const fd of this.#spaces.keys()) kernel.wakeAll(fd);
    this.#giving.spread();
  }

  #take({ spaces, keepers }: Known): void {
    const keeper = keepers.find(({ pid }) => isOf(keepers, pid));
    if (keeper === undefined) throw new LostContainer('nobody held its memory');
    try {
      for (const fd of spaces.keys()) kernel.takeFrom(keeper.pid, fd);
    } catch (cause) {
      throw new LostContainer('nobody held all of its memory', { cause });
    }
  }

  /**
   * Has keepers begun. They keep the container from reading zeros once its pager has ended: a userfaultfd that nobody holds any
   * more gives each page that has not come as one of zeros. Each holds all of the pager's, also those of processes that were
   * forked an instant ago. Those of `before` are ended then.
   */
  #keep(before: readonly number[]): void {
    while (this.#keepers.size < KEEPERS) {
      const pid = beginSharer();
      this.#keepers.set(kernel.pidfd(pid), pid);
    }
    const keepers = [...this.#keepers.values()].map((pid) => ({
      pid,
      startTicks: startTicksOf(pid) ?? 0,
    }));
    this.#write({ keepers });
    for (const pid of before) kill(pid);
  }

  get wanted(): Iterable<readonly [file: number, page: number]> {
    return this.#giving.wanted;
  }

  /** Runs until every page is there. */
  async serve(): Promise<void> {
    while (!this.#isOver) {
      const own = [this.#listens, this.#criu].filter((fd) => fd !== undefined);
      const all = [...own, ...this.#keepers.keys(), ...this.#spaces.keys()];
      // The kernel does not say when it has done what a message was about.
      const ready = await kernel.readable(all, this.#giving.isBehind ? BEHIND_MS : -1);
      if (this.#isOver) return;
      for (const fd of ready) {
        if (fd === this.#listens) this.#accept(fd);
        else if (fd === this.#criu) this.#hear(fd);
        else if (this.#keepers.has(fd)) this.#anew(fd);
        else if (this.#spaces.has(fd)) this.#read(fd);
      }
      if (this.#giving.isBehind) this.#giving.spread();
      this.#endIfAll();
    }
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
      this.#write({ restored: true });
      this.#listener.restored();
      return;
    }
    // One that had ended when it was dumped has no memory.
    if (task < 0) return;
    const given = kernel.raise(criu.receiveFd(fd), LEAST_FD);
    this.#write({ task, fd: given });
    this.#spaces.set(given, new AddressSpace(this.#pages.spansOf(task)));
  }

  #anew(fd: number): void {
    const pid = this.#keepers.get(fd);
    this.#keepers.delete(fd);
    kernel.close(fd);
    if (pid !== undefined) reap(pid);
    this.#keep([]);
  }

  #read(fd: number): void {
    const messages: Message[] = [];
    for (let next = this.#next(fd); next !== undefined; next = this.#next(fd)) {
      messages.push(next);
      if (messages.length >= MESSAGES) break;
    }
    for (const message of messages) {
      if (message.type === 'fault') this.#giving.fault(fd, message.address);
    }
  }

  /** Reads one, and writes down what it changes. */
  #next(fd: number): Message | undefined {
    writeSync(this.#reading, '1', 0);
    const message = kernel.readMessage(fd);
    if (message !== undefined && message.type !== 'fault') this.#note(fd, message);
    writeSync(this.#reading, '0', 0);
    return message;
  }

  #note(fd: number, message: Exclude<Message, { readonly type: 'fault' }>): void {
    const space = this.#spaces.get(fd);
    if (space === undefined) return;
    if (message.type === 'fork') {
      const child = kernel.raise(message.fd, LEAST_FD);
      this.#write({ forkOf: fd, fd: child });
      this.#spaces.set(child, space.copy());
    } else if (message.type === 'move') {
      this.#write({ fd, move: [message.from, message.to, message.bytes] });
      space.move(message.from, message.to, message.bytes);
    } else {
      this.#write({ fd, drop: [message.from, message.to] });
      space.drop(message.from, message.to);
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

  /** What the kernel did not take is given again, also where no message comes. */
  #after(): void {
    this.#endIfAll();
    if (!this.#giving.isBehind || this.#isOver || this.#again !== undefined) return;
    this.#again = setTimeout(() => {
      this.#again = undefined;
      this.#giving.spread();
      this.#after();
    }, BEHIND_MS);
  }

  /** Pages may have come that nobody told of. */
  look(): void {
    this.#pages.look();
    this.#giving.spread();
    this.#after();
  }

  /** A process that has ended. */
  #over(fd: number): void {
    this.#write({ over: fd });
    this.#spaces.delete(fd);
    kernel.close(fd);
  }

  #endIfAll(): void {
    if (!this.#isLooked || this.#isOver) return;
    for (const { isEmpty } of this.#spaces.values()) if (!isEmpty) return;
    this.#write({ all: true });
    this.#end();
  }

  #end(): void {
    this.#isOver = true;
    for (const fd of this.#spaces.keys()) kernel.close(fd);
    for (const pid of this.#keepers.values()) kill(pid);
    this.#listener.all();
  }

  #write(entry: Entry): void {
    appendFileSync(this.#files.journal, `${JSON.stringify(entry)}\n`);
  }
}

function isOf(keepers: Known['keepers'], pid: number): boolean {
  const ticks = keepers.find((each) => each.pid === pid)?.startTicks;
  return ticks !== undefined && startTicksOf(pid) === ticks;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
