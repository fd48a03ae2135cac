import { godwitError, toGodwitError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import { guestName } from '../../protocol/names.ts';
import type { HypervisorInfo } from '../../protocol/public/hosts/host.ts';
import type { ManagedHost } from '../../protocol/public/hosts/managed-host.ts';
import type {
  DiscoveredGuest,
  DiscoverOptions,
  GuestHandle,
  HandleFacts,
  Life,
} from '../../port/inventory.ts';
import type { ManagedDriver, ManagedSession, ManagerFinding } from '../../port/managed.ts';
import { diagnose } from './diagnose.ts';
import { Follower } from './follower.ts';
import { vmIn, vsphereHandle } from './handle.ts';
import type { InventoryGuest } from './inventory.ts';
import { VsphereMaintenance } from './maintenance.ts';
import type { VsphereOptions } from './options.ts';
import { VsphereSession } from './session.ts';

const LIFE_MS = 10_000;
/** Time for about 15 calls to a vCenter that may be busy, ms. */
const QUESTION_MS = 50_000;

/** Guests of a vCenter. This agent runs on none of their hosts. */
export class VsphereDriver implements ManagedDriver {
  readonly name = 'vsphere';
  readonly capabilities = {
    shape: 'managed',
    noMeasures: 'vCenter reports how much memory a guest uses, not how much of it the guest writes',
    modes: ['precopy'],
    compression: ['none'],
    maxStreams: 1,
    postcopyRecovery: false,
    figures: [],
    datastores: true,
    priorities: true,
    encryption: true,
  } as const;
  readonly questionMs = QUESTION_MS;
  readonly #options: VsphereOptions;
  readonly #follower: Follower;
  readonly maintenance: VsphereMaintenance;

  constructor(options: VsphereOptions) {
    this.#options = options;
    this.#follower = new Follower(options);
    this.maintenance = new VsphereMaintenance(options, (signal) => this.#follower.known(signal));
  }

  /** The vCenter manages ESXi itself. */
  async hypervisors(): Promise<HypervisorInfo[]> {
    return [];
  }

  async discover({ only }: DiscoverOptions, signal: AbortSignal): Promise<DiscoveredGuest[]> {
    const lists = await this.#follower.look(signal);
    const all = lists.guests();
    const wanted = only === undefined ? all : all.filter(({ name }) => name === only);
    return wanted.flatMap((guest) => listed(guest) ?? []);
  }

  /** Counts the vCenter's reported changes. */
  async census(signal: AbortSignal): Promise<string> {
    return String((await this.#follower.known(signal)).revision);
  }

  async hosts(signal: AbortSignal): Promise<ManagedHost[]> {
    return (await this.#follower.look(signal)).hosts(new URL(this.#options.url).host);
  }

  changed(signal: AbortSignal): Promise<void> {
    return this.#follower.changed(signal);
  }

  /** Only the vCenter knows the guest's state. A guest that it does not show may still run. */
  async life(handle: GuestHandle): Promise<Life> {
    const vm = vmIn(handle);
    if (vm === undefined) return { state: 'unknown', reason: 'it is no guest of vSphere' };
    try {
      const lists = await this.#follower.look(AbortSignal.timeout(LIFE_MS));
      const found = lists
        .guests()
        .find(({ id, instance }) => id === vm.vm && instance === vm.instance);
      if (found?.state === 'running') return { state: 'alive' };
      const reason = found === undefined ? 'its vCenter does not show it' : `it is ${found.state}`;
      return { state: 'unknown', reason };
    } catch (thrown) {
      return { state: 'unknown', reason: toGodwitError(thrown).message };
    }
  }

  describe({ name }: GuestHandle): HandleFacts {
    return { what: `guest ${name} of ${new URL(this.#options.url).host}`, directory: '/' };
  }

  isSame(left: GuestHandle, right: GuestHandle): boolean {
    const [one, other] = [vmIn(left), vmIn(right)];
    return one !== undefined && one.vm === other?.vm && one.instance === other.instance;
  }

  async openManaged(handle: GuestHandle, signal: AbortSignal): Promise<ManagedSession> {
    const vm = vmIn(handle);
    if (vm === undefined) {
      throw godwitError('GODWIT_INTERNAL', { what: 'a handle of another driver' });
    }
    return VsphereSession.open(this.#options, vm, signal);
  }

  diagnose(signal: AbortSignal): Promise<ManagerFinding[]> {
    return diagnose(this.#options, signal);
  }

  async close(): Promise<void> {
    await Promise.all([this.#follower.close(), this.maintenance.close()]);
  }
}

/** Guests or hosts without a valid Godwit name are left to vSphere. */
function listed(guest: InventoryGuest): DiscoveredGuest | undefined {
  const { id, name, host, instance, uuid, state, memoryBytes, vcpus, isNamesake } = guest;
  if (host === undefined || instance === '' || !guestName.safeParse(name).success) return undefined;
  const info = {
    name,
    host,
    driver: 'vsphere',
    ...(uuid === undefined ? {} : { uuid: uuid.slice(0, 64) }),
    state,
    ...defined({ memoryBytes, vcpus }),
    accelerator: 'vsphere',
    nics: [],
    devices: [],
    unmovable: isNamesake ? ['another guest of this vCenter has its name'] : [],
  };
  // A name that two guests share is ambiguous, so it gets no handle.
  return isNamesake ? { info } : { handle: vsphereHandle(name, id, instance), info };
}
