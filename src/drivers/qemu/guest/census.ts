import { readFileSync, readlinkSync } from 'node:fs';
import { pids, readStat } from '../../../system/processes/process.ts';
import { qemuProcessAt, type QemuProcess } from './process.ts';

/** Processes read before others get their turn: a host may have thousands. */
const IN_A_ROW = 256;

const MAY_BECOME = / \((qemu|kvm)/;

/**
 * After this many censuses as another program, a process is read only in every twelfth one: it changes its
 * program soon after its start or hardly ever. Twelve censuses are one minute of an idle agent, which then reads
 * all processes anyway.
 */
const SETTLED = 12;

export interface ProcessReader {
  readonly pids: () => number[];
  readonly stat: (pid: number) => string;
  readonly look: (pid: number) => Promise<QemuProcess | undefined>;
}

const thisHost: ProcessReader = {
  pids,
  stat: (pid) => readFileSync(`/proc/${pid}/stat`, 'utf8'),
  look: (pid) => qemuProcessAt(pid, readlinkSync('/proc/self/ns/net')),
};

interface CensusEntry {
  /** Start time and name: a program that replaces the process has another name. */
  readonly is: string;
  readonly guest: string | undefined;
  times: number;
}

/**
 * Running QEMUs, each identified by pid and start time. An idle agent asks every few seconds, so the result is
 * kept until the process's name changes or another process has its pid. Such a change is noticed within
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
    // Stored at once, so that a look that times out is not repeated. A script with QEMU's name may still become
    // the program without a new name or start time.
    if (now.guest !== undefined || !MAY_BECOME.test(is)) this.#known.set(pid, now);
    return now;
  }

  #isSettled(pid: number, { guest, times }: CensusEntry): boolean {
    return guest === undefined && times >= SETTLED && (this.#taken + pid) % SETTLED !== 0;
  }

  /** Identity of a process; empty if it has ended or cannot be seen, and no live process's is empty. */
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
