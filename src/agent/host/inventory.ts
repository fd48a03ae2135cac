import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Clock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import type { Driver } from '../../drivers/registry.ts';
import { freePortsIn, parseMemory } from '../../system/kernel-tables.ts';
import { defined } from '../../protocol/defined.ts';
import type { HostHealth } from '../../protocol/public/hosts/health.ts';
import type { HostInfo, HypervisorInfo } from '../../protocol/public/hosts/host.ts';
import { bridgesOf, parseLinks, parseProcessor } from './inventory-parse.ts';
import type { OwnProcessors } from './own-processors.ts';

const LINKS_FOR_MS = 2000;
const HYPERVISORS_FOR_MS = 60_000;
const HYPERVISORS_MS = 20_000;
/** A hypervisor takes some seconds for its first answer about its features. */
const CLOSED_FOR_MS = 60_000;
const CLOSED_MS = 45_000;
const MAX_WORDS = 1024;

type Machine = Pick<
  HostInfo,
  | 'bootId'
  | 'processor'
  | 'memoryBytes'
  | 'memoryAvailableBytes'
  | 'links'
  | 'bridges'
  | 'hypervisors'
  | 'health'
  | 'closed'
>;

export interface MachineReader {
  readonly proc: (
    file: 'cpuinfo' | 'meminfo' | 'net/tcp' | 'net/tcp6' | 'sys/kernel/random/boot_id',
  ) => Promise<string>;
  readonly links: () => Promise<string>;
}

const run = promisify(execFile);

const thisMachine: MachineReader = {
  proc: (file) => readFile(`/proc/${file}`, 'utf8'),
  links: async () => {
    const args = ['-details', '-json', 'address', 'show'];
    const { stdout } = await run('ip', args, { timeout: 5000, maxBuffer: 16 * 1024 * 1024 });
    return stdout;
  },
};

/** Facts about this host. Memory is read each time; the rest is cached briefly. */
export class HostInventory {
  readonly #drivers: readonly Driver[];
  readonly #reader: MachineReader;
  readonly #processor: () => Promise<HostInfo['processor']>;
  readonly #links: () => Promise<HostInfo['links']>;
  readonly #hypervisors: () => Promise<HypervisorInfo[]>;
  readonly #health: () => HostHealth | undefined;
  readonly #closed: () => string | undefined;

  constructor(
    drivers: readonly Driver[],
    clock: Clock,
    reader: MachineReader = thisMachine,
    health: () => HostHealth | undefined = () => undefined,
    own?: Pick<OwnProcessors, 'cores'>,
  ) {
    this.#health = health;
    this.#drivers = drivers;
    this.#reader = reader;
    this.#processor = kept(clock, Infinity, async () => {
      const machine = parseProcessor(await reader.proc('cpuinfo'));
      return own === undefined ? machine : { ...machine, cores: await own.cores(machine.cores) };
    });
    // Without iproute2 the host has no lab and no usable bridges, but it can be listed.
    this.#links = kept(clock, LINKS_FOR_MS, () => reader.links().then(parseLinks, () => []));
    this.#hypervisors = kept(clock, HYPERVISORS_FOR_MS, () => this.#askDrivers());
    this.#closed = newest(clock, CLOSED_FOR_MS, () => this.#whyClosed());
  }

  async machine(): Promise<Machine> {
    const [bootId, processor, memory, links, hypervisors] = await Promise.all([
      this.#reader.proc('sys/kernel/random/boot_id').catch(() => ''),
      this.#processor(),
      this.memory(),
      this.#links(),
      this.#hypervisors(),
    ]);
    const health = this.#health();
    const closed = this.#closed();
    return {
      ...(closed === undefined ? {} : { closed: closed.slice(0, MAX_WORDS) }),
      ...defined({ health }),
      ...(bootId.trim() === '' ? {} : { bootId: bootId.trim() }),
      processor,
      memoryBytes: memory.totalBytes,
      memoryAvailableBytes: memory.availableBytes,
      links,
      bridges: bridgesOf(links),
      hypervisors,
    };
  }

  async memory(): Promise<{ totalBytes: number; availableBytes: number }> {
    return parseMemory(await this.#reader.proc('meminfo'));
  }

  async freePorts(range: { readonly from: number; readonly to: number }): Promise<number> {
    const read = (file: 'net/tcp' | 'net/tcp6') => this.#reader.proc(file).catch(() => '');
    return freePortsIn(await Promise.all([read('net/tcp'), read('net/tcp6')]), range);
  }

  async #whyClosed(): Promise<string | undefined> {
    return withDeadline('to ask what guests get', CLOSED_MS, undefined, async (signal) => {
      const all = await Promise.all(this.#drivers.map(async (each) => each.whyClosed?.(signal)));
      return all.find((each) => each !== undefined);
    });
  }

  async #askDrivers(): Promise<HypervisorInfo[]> {
    return withDeadline('to look for hypervisors', HYPERVISORS_MS, undefined, async (signal) => {
      const all = await Promise.all(this.#drivers.map((driver) => driver.hypervisors(signal)));
      return all.flat();
    });
  }
}

/** Never waits: returns the last value and reads a new one after `forMs`. */
function newest<T>(clock: Clock, forMs: number, read: () => Promise<T>): () => T | undefined {
  let value: T | undefined;
  let since = Number.NEGATIVE_INFINITY;
  return () => {
    const now = clock.monotonicMs();
    if (now - since > forMs) {
      since = now;
      read().then(
        (found) => {
          value = found;
        },
        // The last value stays until the next regular read.
        () => undefined,
      );
    }
    return value;
  };
}

function kept<T>(clock: Clock, forMs: number, read: () => Promise<T>): () => Promise<T> {
  let value: Promise<T> | undefined;
  let since = 0;
  return () => {
    const now = clock.monotonicMs();
    if (value === undefined || now - since > forMs) {
      since = now;
      const reading = read();
      value = reading;
      reading.catch(() => {
        if (value === reading) value = undefined;
      });
    }
    return value;
  };
}
