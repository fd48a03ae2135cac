import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../../clock.ts';
import type { DiscoveredGuest } from '../../port/inventory.ts';
import { wake } from '../../rpc/event-log.ts';
import { toGodwitError } from '../../errors.ts';
import type { CountedCgroup } from '../../host/machine/guest-counters.ts';
import { parseMemory } from '../../system/kernel-tables.ts';
import type { Log } from '../../log.ts';
import { MAX_GUESTS_OF_A_SAMPLE, type HostLoad } from '../../protocol/public/hosts/load.ts';
import type { HostHealth } from '../../protocol/public/hosts/health.ts';
import * as parse from './load-parse.ts';
import type { OwnProcessors } from './own-processors.ts';
import type { Counters, GuestUse } from './load-parse.ts';

const EVERY_MS = 10_000;
/** Delay of a follower's first sample; a second is enough for the counters. */
const FIRST_MS = 1000;

export interface GuestProcess {
  readonly name: string;
  readonly pid?: number | undefined;
  readonly cgroup?: CountedCgroup | undefined;
}

export function processOf({
  info: { name, pid },
  countedBy,
}: Pick<DiscoveredGuest, 'info' | 'countedBy'>): GuestProcess {
  return { name, pid, cgroup: countedBy?.cgroup };
}

export interface LoadReader {
  /** Text of a file, by absolute name or name under /proc; '' if it is missing. */
  readonly proc: (file: string) => Promise<string>;
  readonly own: (kind: 'net' | 'block') => Promise<ReadonlySet<string>>;
  /** Absent: the host has all processors of the machine. */
  readonly processors?: Pick<OwnProcessors, 'ticks' | 'pressure'> | undefined;
}

export const thisLoad: LoadReader = {
  proc: (file) => readFile(path.resolve('/proc', file), 'utf8').catch(() => ''),
  own: async (kind) => {
    const folder = `/sys/class/${kind}`;
    const names = await readdir(folder).catch(() => []);
    return new Set(names.filter((name) => existsSync(`${folder}/${name}/device`)));
  },
};

export interface LoadFeed {
  readonly count: () => number;
  readonly newest: () => HostLoad | undefined;
  readonly waiting: Set<() => void>;
  release(): void;
}

export class Load {
  readonly #guests: () => readonly GuestProcess[];
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #reader: LoadReader;
  readonly #health: () => HostHealth | undefined;
  #followers = 0;
  #count = 0;
  #newest: HostLoad | undefined;
  #before: Counters | undefined;
  readonly #waiting = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    guests: () => readonly GuestProcess[],
    { clock, log }: { readonly clock: Clock; readonly log: Log },
    reader: LoadReader = thisLoad,
    health: () => HostHealth | undefined = () => undefined,
  ) {
    this.#guests = guests;
    this.#clock = clock;
    this.#log = log;
    this.#reader = reader;
    this.#health = health;
  }

  follow(): LoadFeed {
    this.#followers += 1;
    if (this.#followers === 1) {
      this.#before = undefined;
      void this.#turn();
    }
    let released = false;
    return {
      count: () => this.#count,
      newest: () => this.#newest,
      waiting: this.#waiting,
      release: () => {
        if (released) return;
        released = true;
        this.#followers -= 1;
        if (this.#followers === 0) clearTimeout(this.#timer);
      },
    };
  }

  async #turn(): Promise<void> {
    let nextMs = FIRST_MS;
    try {
      const [now, memory] = await Promise.all([this.#look(), this.#reader.proc('meminfo')]);
      if (this.#before !== undefined) {
        this.#take(this.#before, now, memory);
        nextMs = EVERY_MS;
      }
      this.#before = now;
    } catch (thrown) {
      this.#log.warn({ error: toGodwitError(thrown) }, 'load of this host not read');
      nextMs = EVERY_MS;
    }
    clearTimeout(this.#timer);
    if (this.#followers > 0) {
      this.#timer = setTimeout(() => void this.#turn(), nextMs);
      this.#timer.unref();
    }
  }

  #take(before: Counters, now: Counters, meminfo: string): void {
    const memory = { ...parseMemory(meminfo), swapUsedBytes: parse.parseSwapUsed(meminfo) };
    const at = new Date(this.#clock.wallMs()).toISOString();
    const health = this.#health();
    const reported = health === undefined ? {} : { health };
    this.#newest = { at, ...parse.loadBetween(before, now, memory), ...reported };
    this.#count += 1;
    wake(this.#waiting);
  }

  async #look(): Promise<Counters> {
    const { proc, own, processors } = this.#reader;
    const [stat, cpu, memory, io, net, links, disks, blocks, guests] = await Promise.all([
      proc('stat'),
      processors?.pressure() ?? proc('pressure/cpu'),
      proc('pressure/memory'),
      proc('pressure/io'),
      proc('net/dev'),
      own('net'),
      proc('diskstats'),
      own('block'),
      this.#uses(),
    ]);
    const atMs = this.#clock.monotonicMs();
    const machine = parse.parseStat(stat);
    const processor = (await processors?.ticks(machine.cores, atMs)) ?? machine;
    return {
      atMs,
      processor,
      pressure: {
        cpu: parse.parsePressure(cpu),
        memory: parse.parsePressure(memory),
        io: parse.parsePressure(io),
      },
      network: parse.parseNetwork(net, links),
      disk: parse.parseDisks(disks, blocks),
      guests,
    };
  }

  async #uses(): Promise<Map<string, GuestUse>> {
    const uses = new Map<string, GuestUse>();
    for (const guest of this.#guests().slice(0, MAX_GUESTS_OF_A_SAMPLE)) {
      const use = await this.#use(guest);
      if (use !== undefined) uses.set(guest.name, use);
    }
    return uses;
  }

  async #use({ pid, cgroup }: GuestProcess): Promise<GuestUse | undefined> {
    if (pid === undefined) return undefined;
    const { proc } = this.#reader;
    const stat = await proc(`${pid}/stat`);
    if (cgroup !== undefined) {
      const [processor, memory] = await Promise.all([proc(cgroup.processor), proc(cgroup.memory)]);
      const whole = parse.parseCgroup(pid, stat, { processor, memory });
      if (whole !== undefined) return whole;
    }
    return parse.parseProcess(pid, stat, await proc(`${pid}/status`));
  }
}
