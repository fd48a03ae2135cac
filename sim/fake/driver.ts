import type { StartPermission } from '../../src/migration/permission/permission.ts';
import { godwitError } from '../../src/errors.ts';
import { defined } from '../../src/protocol/defined.ts';
import type { GuestInfo, HypervisorInfo } from '../../src/protocol/public/hosts/host.ts';
import type {
  DestinationOptions,
  DestinationSession,
  DirectDriver,
  Launch,
  SourceSession,
} from '../../src/port/direct.ts';
import type {
  DiscoverOptions,
  DiscoveredGuest,
  GuestHandle,
  HandleFacts,
  Life,
} from '../../src/port/inventory.ts';
import { FakeDestination } from './destination.ts';
import { instanceIn } from './handle.ts';
import type { FakeInstance } from './instance.ts';
import { FakeSource } from './source.ts';
import { FakeWorld, type WorldOptions } from './world.ts';

function stateOf(run: FakeInstance['run'], isBusy: boolean): GuestInfo['state'] {
  if (run === 'incoming') return 'incoming';
  if (isBusy) return 'migrating';
  return run === 'running' ? 'running' : 'paused';
}

/** One host of a pretended world, through the port. */
export class FakeDriver implements DirectDriver {
  readonly name = 'fake';
  readonly capabilities = {
    shape: 'direct',
    modes: ['precopy', 'postcopy', 'hybrid', 'cold'],
    compression: ['none', 'zstd', 'xbzrle'],
    compressLevels: true,
    maxStreams: 16,
    transports: ['tcp', 'zero-copy', 'rdma'],
    postcopyRecovery: true,
    rehearsals: true,
    levers: ['downtime', 'postcopy'],
    measures: true,
  } as const;
  readonly #world: FakeWorld;
  readonly #host: string;

  constructor(world: FakeWorld, host: string) {
    this.#world = world;
    this.#host = host;
  }

  async hypervisors(signal: AbortSignal): Promise<HypervisorInfo[]> {
    this.#world.enter('driver.hypervisors', signal);
    const machineTypes = [...(this.#world.options.hosts[this.#host]?.machines ?? ['fake-1'])];
    const facts = { driver: 'fake', binary: 'fake', version: '1.0.0' };
    return [{ ...facts, machineTypes, accelerators: ['fake'] }];
  }

  async discover(options: DiscoverOptions, signal: AbortSignal): Promise<DiscoveredGuest[]> {
    this.#world.enter('driver.discover', signal);
    return this.#world.instances
      .filter(({ alive, host }) => alive && host === this.#host)
      .map(({ handle, name, run, guest, pid }) => ({
        handle,
        info: {
          name,
          host: options.host,
          driver: 'fake',
          state: stateOf(run, options.busy.has(name)),
          ...defined({ uuid: guest.uuid }),
          pid,
          memoryBytes: guest.memoryBytes,
          vcpus: 1,
          nics: [...(guest.nics ?? [])],
          devices: [],
          unmovable: [...(guest.unmovable ?? [])],
        },
      }));
  }

  async life(handle: GuestHandle): Promise<Life> {
    this.#world.enter('driver.life');
    if (this.#world.find(handle) !== undefined) return { state: 'alive' };
    return { state: 'gone', reason: 'its process has ended' };
  }

  describe(handle: GuestHandle): HandleFacts {
    const pid = instanceIn(handle) ?? 0;
    return { what: `process ${pid}`, directory: `fake-${pid}`, pid };
  }

  isSame(left: GuestHandle, right: GuestHandle): boolean {
    return instanceIn(left) === instanceIn(right);
  }

  mayReachUs(): boolean {
    return true;
  }

  async openSource(guest: GuestHandle, signal: AbortSignal): Promise<SourceSession> {
    this.#world.enter('driver.openSource', signal);
    const instance = this.#world.find(guest);
    const { name } = guest;
    if (instance === undefined) {
      const reason = 'its process has ended';
      throw godwitError('GODWIT_HYPERVISOR_LOST', { side: 'source', guest: name, reason });
    }
    if (instance.held) {
      throw godwitError('GODWIT_GUEST_MANAGED', { guest: name, manager: 'another program' });
    }
    return new FakeSource(this.#world, instance);
  }

  async relaunch(
    handle: GuestHandle,
    _launch: Launch,
    permission: StartPermission,
    signal: AbortSignal,
  ): Promise<GuestHandle> {
    permission.mustCover(handle.name);
    this.#world.enter('driver.relaunch', signal);
    const { instances } = this.#world;
    const again = instances.find(({ alive, name, host, pid }) => {
      return alive && name === handle.name && host === this.#host && pid !== instanceIn(handle);
    });
    if (again !== undefined) return again.handle;
    const old = instances.find(({ pid }) => pid === instanceIn(handle));
    if (old === undefined || old.alive) {
      const reason = 'it has not ended';
      throw godwitError('GODWIT_RESTART', { guest: handle.name, host: this.#host, reason });
    }
    return this.#world.boot(old.guest).handle;
  }

  async openDestination(options: DestinationOptions): Promise<DestinationSession> {
    this.#world.enter('driver.openDestination');
    return new FakeDestination(this.#world, options);
  }
}

/** A pretended world of hosts, with a driver for each of them. */
export type FakeHosts = FakeWorld & { readonly driver: (host: string) => DirectDriver };

export function fakeWorld(options: WorldOptions): FakeHosts {
  const world = new FakeWorld(options);
  return Object.assign(world, { driver: (host: string) => new FakeDriver(world, host) });
}
