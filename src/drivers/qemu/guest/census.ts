import { readFileSync, readlinkSync } from 'node:fs';
import { pids, readStat } from '../../../system/processes/process.ts';
import { qemuProcessAt, type QemuProcess } from './process.ts';

/** Processes between which others have their turn: a host may have thousands. */
const IN_A_ROW = 256;

/** An identity whose name is one that a QEMU has. */
const MAY_BECOME = / \((qemu|kvm)/;

/**
 * What has been no QEMU for so many censuses is read in one of so many from then on: a process becomes another program
 * soon after its start, or hardly ever. A minute of an agent that rests, which then looks at all of them anyway.
 */
const SETTLED = 12;

/** How this host's processes are read; a test gives its own. */
export interface ProcessReader {
  readonly pids: () => number[];
  /** The line of /proc/PID/stat; throws as Node does. */
  readonly stat: (pid: number) => string;
  /** All of a process that is a QEMU of ours. */
  readonly look: (pid: number) => Promise<QemuProcess | undefined>;
}

const thisHost: ProcessReader = {
  pids,
  stat: (pid) => readFileSync(`/proc/${pid}/stat`, 'utf8'),
  look: (pid) => qemuProcessAt(pid, readlinkSync('/proc/self/ns/net')),
};

interface CensusEntry {
  /** When it started, and its name: a program that is started in its place has another. */
  readonly is: string;
  /** As the census says it; undefined for what is no QEMU of ours. */
  readonly guest: string | undefined;
  /** Censuses in which it was the same. */
  times: number;
}

/**
 * Which QEMUs run, each by what no other process ever was: its number and its start. An agent that rests asks for it every few
 * seconds, so what a process is stays known until its name changes or another one has its number; that is seen within
 * `SETTLED` censuses.
 */
export class Census {
  readonly #reader: ProcessReader;
  readonly #known = new Map<number, CensusEntry>();
  #taken = 0;

  constructor(reader: ProcessReader = thisHost) {
    this.#reader = reader;
  }

  async take(signal: AbortSignal): Promise<string> {
    const pids = this.#reader.pids();
    const guests: string[] = [];
    this.#taken += 1;
    for (const [at, pid] of pids.entries()) {
      if (at % IN_A_ROW === IN_A_ROW - 1) await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      const { guest } = await this.#of(pid);
      if (guest !== undefined) guests.push(guest);
    }
    const there = new Set(pids);
    for (const pid of this.#known.keys()) if (!there.has(pid)) this.#known.delete(pid);
    return guests.toSorted().join(' ');
  }

  async #of(pid: number): Promise<CensusEntry> {
    const before = this.#known.get(pid);
    if (before !== undefined && this.#isSettled(pid, before)) return before;
    const is = this.#identityOf(pid);
    if (before?.is === is) {
      before.times += 1;
      return before;
    }
    const now = { is, guest: nameOf(await this.#reader.look(pid)), times: 0 };
    // At once: a look that runs out of time is not begun anew by the next one. A script that has QEMU's name may yet become
    // the program, without another name or start.
    if (now.guest !== undefined || !MAY_BECOME.test(is)) this.#known.set(pid, now);
    return now;
  }

  /** Whether it is passed over this time; each has its turn by its number. */
  #isSettled(pid: number, { guest, times }: CensusEntry): boolean {
    return guest === undefined && times >= SETTLED && (this.#taken + pid) % SETTLED !== 0;
  }

  /** Of a process that has ended, or cannot be seen, what no living one has. */
  #identityOf(pid: number): string {
    try {
      const line = this.#reader.stat(pid);
      const stat = readStat(line);
      if (stat === undefined || stat.hasEnded) return '';
      return `${stat.startTicks} ${line.slice(line.indexOf('('), line.lastIndexOf(')'))}`;
    } catch {
      return '';
    }
  }
}

function nameOf(process: QemuProcess | undefined): string | undefined {
  return process === undefined ? undefined : `${process.pid}:${process.startTicks}`;
}
