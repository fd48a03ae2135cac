import type { Clock } from '../../src/clock.ts';
import type { StreamSettings } from '../../src/protocol/peer/migration.ts';
import type { HypervisorStatus } from '../../src/port/direct.ts';
import type { GuestHandle } from '../../src/port/inventory.ts';
import { instanceIn } from './handle.ts';
import { FakeInstance, type FakeGuest } from './instance.ts';

export interface FakeHost {
  /** Machine types that its hypervisor knows. */
  readonly machines?: readonly string[];
  readonly bridges?: readonly string[];
}

export interface WorldOptions {
  readonly clock: Clock;
  /** Between any two hosts, bytes/s. */
  readonly linkRate: number;
  readonly hosts: Readonly<Record<string, FakeHost>>;
  /** How often the world moves on, ms. */
  readonly tickMs?: number;
}

/** A call of the port: `source.configure`, `destination.start`... */
export type FakeCall = `${'driver' | 'source' | 'destination'}.${string}`;

/**
 * Hosts, guests and the link between them, in memory: what happens depends on the clock and the calls alone.
 * Its instances outlive sessions, as hypervisors outlive movers.
 */
export class FakeWorld {
  readonly options: WorldOptions;
  readonly instances: FakeInstance[] = [];
  /** Every call made, in order. */
  readonly calls: FakeCall[] = [];
  linkUp = true;
  /** Hosts whose hypervisor has one stream only, and cannot compress it. */
  readonly plainHosts = new Set<string>();
  /** Addresses that lead on to another, as a relay's socket does. */
  readonly relays = new Map<string, string>();
  #nextPid = 1000;
  #nextPort = 40_000;

  constructor(options: WorldOptions) {
    this.options = options;
  }

  /** A running guest, as if somebody had started it. */
  boot(guest: FakeGuest): FakeInstance {
    return this.add(guest, guest.host, 'running');
  }

  add(guest: FakeGuest, host: string, run: HypervisorStatus['run']): FakeInstance {
    const instance = new FakeInstance(this.options.clock, guest, host, this.#nextPid++, run);
    this.instances.push(instance);
    return instance;
  }

  nextPort(): number {
    return this.#nextPort++;
  }

  /** The living instance that a handle names. */
  find(handle: GuestHandle): FakeInstance | undefined {
    const wanted = instanceIn(handle);
    return this.instances.find(({ pid, alive }) => alive && pid === wanted);
  }

  listeningAt(address: string): FakeInstance | undefined {
    const end = this.relays.get(address) ?? address;
    return this.instances.find(({ alive, address: at }) => alive && at === end);
  }

  /** Hosts on which the guest runs: never more than one, whatever fails. */
  runningAt(guest: string): string[] {
    return this.instances
      .filter(({ alive, name, run }) => alive && name === guest && run === 'running')
      .map(({ host }) => host);
  }

  /** Why a hypervisor there can neither send nor take such a stream; undefined where it can. */
  whyNot(host: string, { compress }: Pick<StreamSettings, 'compress'>): string | undefined {
    return compress !== 'none' && this.plainHosts.has(host)
      ? `the fake hypervisor at ${host} lacks zstd`
      : undefined;
  }

  /** Each call begins here: it is written down. */
  enter(call: FakeCall, signal?: AbortSignal): void {
    signal?.throwIfAborted();
    this.calls.push(call);
  }

  /** Nothing passes between hosts until `restoreLink`; streams under way break. */
  cutLink(): void {
    this.linkUp = false;
    for (const instance of this.instances) instance.breakStream('the link was cut');
  }

  restoreLink(): void {
    this.linkUp = true;
  }

  /** The hypervisor's process dies. */
  kill(instance: FakeInstance): void {
    instance.end('killed');
    for (const other of this.instances) {
      if (other.peer === instance) other.breakStream('the other side is gone');
    }
  }
}
