import { toGodwitError } from '../../errors.ts';
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
import type { Answers, GuestFacts } from './answers.ts';
import { diagnose } from './diagnose.ts';
import { HypervHost } from './host.ts';
import { HypervMaintenance } from './maintenance.ts';
import { clusterMode } from './node-sight.ts';
import type { HypervOptions } from './options.ts';
import { HypervSession } from './session.ts';
import { runState } from './whereabouts.ts';
import { z } from 'zod';

const LIFE_MS = 10_000;
const NOBODY = '00000000-0000-0000-0000-000000000000';

/** Guests of a Hyper-V host, which moves them itself or through its cluster. Never tested with a real one. */
export class HypervDriver implements ManagedDriver {
  readonly name = 'hyperv';
  readonly capabilities = {
    shape: 'managed',
    noMeasures: 'Hyper-V reports how much memory a guest has, not how much of it the guest writes',
    modes: ['precopy'],
    compression: ['none'],
    maxStreams: 1,
    postcopyRecovery: false,
    figures: [],
    datastores: true,
  } as const;
  readonly maintenance: HypervMaintenance;
  readonly #host: string;
  readonly #options: HypervOptions;
  #listing: Promise<Answers['list']> | undefined;

  constructor(host: string, options: HypervOptions) {
    this.#host = host;
    this.#options = options;
    this.maintenance = new HypervMaintenance(host, options);
  }

  /** No local program runs them. */
  async hypervisors(): Promise<HypervisorInfo[]> {
    return [];
  }

  /** Machines that are off are left to Hyper-V; a name that two machines share is ambiguous. */
  async discover({ host, only }: DiscoverOptions, signal: AbortSignal): Promise<DiscoveredGuest[]> {
    const { guests } = await this.#list(signal);
    const named = Map.groupBy(guests, ({ name }) => name);
    return guests.flatMap((facts) => {
      const { name, state } = facts;
      if (only !== undefined && name !== only) return [];
      if (!guestName.safeParse(name).success || runState(state) === 'stopped') return [];
      const isTwice = (named.get(name)?.length ?? 0) > 1;
      return [shown(host, facts, isTwice)];
    });
  }

  /** The single host of this agent. Other Hyper-V hosts have their own agents. */
  async hosts(signal: AbortSignal): Promise<ManagedHost[]> {
    const { host, guests } = await this.#list(signal);
    const { cores, memory, available, version, cluster } = host;
    const isPaused = cluster?.state === 'Paused';
    const isSized = cores > 0 && memory > 0;
    return [
      {
        name: this.#host,
        realm: this.name,
        state: 'up',
        version: version.slice(0, 128),
        ...(isPaused ? { closed: 'its cluster has paused it' } : {}),
        ...(cluster === null ? {} : { maintenanceMode: clusterMode(cluster, guests) }),
        ...(isSized ? { cores, memoryBytes: memory, memoryAvailableBytes: available } : {}),
      },
    ];
  }

  /** Simultaneous callers share one script. */
  #list(signal: AbortSignal): Promise<Answers['list']> {
    this.#listing ??= this.#listed(signal).finally(() => {
      this.#listing = undefined;
    });
    return this.#listing;
  }

  async #listed(signal: AbortSignal): Promise<Answers['list']> {
    const source = await this.#open();
    try {
      return await source.ask('list', {}, signal);
    } finally {
      source.close();
    }
  }

  /** Only Hyper-V knows the machine's state. A machine that a host does not have may run elsewhere. */
  async life(handle: GuestHandle): Promise<Life> {
    const id = machineIn(handle);
    if (id === undefined) return { state: 'unknown', reason: 'it is no machine of Hyper-V' };
    const source = await this.#open();
    try {
      const sight = await source.machine(id, AbortSignal.timeout(LIFE_MS));
      if (sight !== 'absent') return { state: 'alive' };
      return { state: 'unknown', reason: 'Hyper-V does not have it here' };
    } catch (thrown) {
      return { state: 'unknown', reason: toGodwitError(thrown).message };
    } finally {
      source.close();
    }
  }

  describe({ name }: GuestHandle): HandleFacts {
    return { what: `virtual machine ${name} of Hyper-V`, directory: '/' };
  }

  isSame(left: GuestHandle, right: GuestHandle): boolean {
    const one = machineIn(left);
    return one !== undefined && one === machineIn(right);
  }

  openManaged(handle: GuestHandle): Promise<ManagedSession> {
    return HypervSession.open(this.#host, this.#options, machineIn(handle) ?? NOBODY);
  }

  diagnose(signal: AbortSignal): Promise<ManagerFinding[]> {
    return diagnose(this.#host, this.#options, signal);
  }

  #open(): Promise<HypervHost> {
    return HypervHost.open(this.#host, this.#options, this.#options);
  }
}

function shown(host: string, facts: GuestFacts, isTwice: boolean): DiscoveredGuest {
  const { id, name, state, memory, vcpus, generation, version, nics } = facts;
  const info: DiscoveredGuest['info'] = {
    name,
    host,
    driver: 'hyperv',
    uuid: id,
    state: runState(state),
    ...(memory === 0 ? {} : { memoryBytes: memory }),
    ...(vcpus === 0 ? {} : { vcpus }),
    machineType: `generation ${generation}, version ${version}`.slice(0, 128),
    nics: nics.map((nic) => ({
      id: nic.id.slice(0, 128),
      mac: macOf(nic.mac),
      ...(nic.switch === '' ? {} : { bridge: nic.switch.slice(0, 128) }),
    })),
    devices: [],
    unmovable: isTwice ? ['another machine of this host has its name'] : [],
  };
  return isTwice ? { info } : { info, handle: hypervHandle(name, id) };
}

/** Hyper-V writes MACs without colons. */
function macOf(text: string): string {
  if (!/^[0-9A-Fa-f]{12}$/.test(text)) return text.slice(0, 128);
  return (text.match(/../g) ?? []).join(':').toLowerCase();
}

const handle = z.object({ driver: z.literal('hyperv'), name: z.string(), machine: z.guid() });

/** Identifies a virtual machine by id: names may repeat and change. */
function hypervHandle(name: string, id: string): GuestHandle {
  const made: GuestHandle & z.infer<typeof handle> = { driver: 'hyperv', name, machine: id };
  return made;
}

function machineIn(given: GuestHandle): string | undefined {
  return handle.safeParse(given).data?.machine;
}
