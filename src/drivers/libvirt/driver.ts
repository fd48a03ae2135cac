import { knownAs } from '../known-as.ts';
import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import type { HypervisorInfo } from '../../protocol/public/hosts/host.ts';
import type {
  DiscoveredGuest,
  DiscoverOptions,
  GuestHandle,
  HandleFacts,
  Life,
} from '../../port/inventory.ts';
import type {
  ArrivedGuest,
  ManagedDriver,
  ManagedSession,
  MemorySockets,
  SocketUser,
} from '../../port/managed.ts';
import { arrivedGuest } from './arrived.ts';
import { readCapabilities } from './capabilities.ts';
import { HAS_LEFT, LibvirtClient, unless, type Domain } from './client.ts';
import { readDomain, type DomainRead } from './domain-xml.ts';
import { isMigrating } from './job.ts';
import type { LibvirtOptions } from './options.ts';
import { capabilities } from './questions.ts';
import { LibvirtSession } from './session.ts';
import type { LibvirtHost } from './daemon-pair.ts';
import { runState } from './whereabouts.ts';
import { z } from 'zod';

const LIFE_MS = 5000;
const AT_ONCE = 8;
const MAX_GUESTS = 10_000;

/** Guests of this host's libvirt, which moves them between its daemons. */
export class LibvirtDriver implements ManagedDriver {
  readonly name = 'libvirt';
  readonly capabilities = {
    shape: 'managed',
    modes: ['precopy', 'postcopy', 'hybrid'],
    compression: ['none', 'xbzrle', 'zstd'],
    maxStreams: 16,
    postcopyRecovery: false,
    keepsSource: true,
    wire: true,
    keepsCap: true,
    measures: true,
    levers: ['downtime', 'postcopy'],
    throttlesItself: true,
    figures: ['sentBytes', 'rounds', 'downtimeMs', 'finished', 'pageRequests'],
  } as const;
  readonly memorySockets: MemorySockets;
  readonly #host: LibvirtHost;

  constructor(name: string, options: LibvirtOptions) {
    const uri = options.uri ?? 'qemu+unix:///system';
    const { directory: place, seenAt: directory = place } = options.sockets;
    this.memorySockets = { place, directory, user: (signal) => this.#qemuUser(signal) };
    this.#host = { name, options, uri, outcomes: new Map(), hear: new Set() };
  }

  /** The QEMU driver lists QEMU's programs; libvirt checks a domain's machine. */
  async hypervisors(): Promise<HypervisorInfo[]> {
    return [];
  }

  async discover({ host, only }: DiscoverOptions, signal: AbortSignal): Promise<DiscoveredGuest[]> {
    const client = await this.#open(signal);
    try {
      const all = (await client.activeDomains(signal)).slice(0, MAX_GUESTS);
      const wanted = only === undefined ? all : all.filter(({ name }) => knownAs(name) === only);
      const found: DiscoveredGuest[] = [];
      for (let from = 0; from < wanted.length; from += AT_ONCE) {
        const some = wanted.slice(from, from + AT_ONCE);
        const looked = await Promise.all(some.map((each) => look(client, host, each, signal)));
        found.push(...looked.flatMap((each) => (each === undefined ? [] : [each])));
      }
      return found;
    } finally {
      client.close();
    }
  }

  /** A domain gets another id at each start. */
  async census(signal: AbortSignal): Promise<string> {
    const client = await this.#open(signal);
    try {
      const all = await client.activeDomains(signal);
      return JSON.stringify(all.map(({ uuid, id }) => [uuid, id]));
    } finally {
      client.close();
    }
  }

  /** Only libvirt knows the domain's state. A domain that does not run here may still run elsewhere. */
  async life(handle: GuestHandle): Promise<Life> {
    const uuid = domainIn(handle);
    if (uuid === undefined) return { state: 'unknown', reason: 'it is no domain of libvirt' };
    const signal = AbortSignal.timeout(LIFE_MS);
    try {
      const client = await this.#open(signal);
      const domain = await client.domain({ uuid }, signal).finally(() => client.close());
      if (domain !== undefined && domain.id !== -1) return { state: 'alive' };
      return { state: 'unknown', reason: 'libvirt does not run it here' };
    } catch (thrown) {
      return { state: 'unknown', reason: thrown instanceof Error ? thrown.message : 'no answer' };
    }
  }

  describe({ name }: GuestHandle): HandleFacts {
    return { what: `domain ${name} of libvirt`, directory: '/' };
  }

  isSame(left: GuestHandle, right: GuestHandle): boolean {
    const one = domainIn(left);
    return one !== undefined && one === domainIn(right);
  }

  openManaged(handle: GuestHandle, signal: AbortSignal): Promise<ManagedSession> {
    return LibvirtSession.open(this.#host, domainIn(handle) ?? '', signal);
  }

  async arrived(
    of: Pick<ManagedOrder, 'id' | 'guest'>,
    signal: AbortSignal,
  ): Promise<ArrivedGuest | undefined> {
    const client = await this.#open(signal);
    return arrivedGuest(client, of, signal).finally(() => client.close());
  }

  async #qemuUser(signal: AbortSignal): Promise<SocketUser | undefined> {
    const client = await this.#open(signal);
    const xml = await capabilities(client, signal).finally(() => client.close());
    return readCapabilities(xml)?.user;
  }

  #open(signal: AbortSignal): Promise<LibvirtClient> {
    return LibvirtClient.open(this.#host.uri, this.#host.options.credentials, signal);
  }
}

/** A domain that ends during the look is left out. */
function look(
  client: LibvirtClient,
  host: string,
  domain: Domain,
  signal: AbortSignal,
): Promise<DiscoveredGuest | undefined> {
  return unless(HAS_LEFT, shown(client, host, domain, signal));
}

async function shown(
  client: LibvirtClient,
  host: string,
  domain: Domain,
  signal: AbortSignal,
): Promise<DiscoveredGuest> {
  const { uuid } = domain;
  // libvirt allows blanks and letters that host names do not have.
  const name = knownAs(domain.name);
  const read = readDomain(await client.xml(domain, signal));
  const migrating = isMigrating(await client.job(domain, signal));
  const state = runState(await client.state(domain, signal), migrating);
  const known = { name, host, driver: 'libvirt', uuid, state } as const;
  return { handle: libvirtHandle(name, uuid), info: { ...known, ...listed(read) } };
}

function listed(
  read: DomainRead,
): Omit<DiscoveredGuest['info'], 'name' | 'host' | 'driver' | 'state'> {
  if (read.facts === undefined) {
    const why = `its XML cannot be read: ${read.why}`;
    return { nics: [], devices: [], unmovable: [why] };
  }
  const { memoryBytes, vcpus, machine, accelerator, nics, devices, labels, unmovable } = read.facts;
  return {
    memoryBytes,
    ...(vcpus === 0 ? {} : { vcpus }),
    machineType: machine.type.slice(0, 128),
    accelerator,
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    nics: [...nics],
    devices: [...devices],
    unmovable: [...unmovable],
  };
}

const handle = z.object({ driver: z.literal('libvirt'), name: z.string(), domain: z.uuid() });

/** Identifies a domain by UUID, because its name may change. */
export function libvirtHandle(name: string, uuid: string): GuestHandle {
  const made: GuestHandle & z.infer<typeof handle> = { driver: 'libvirt', name, domain: uuid };
  return made;
}

function domainIn(given: GuestHandle): string | undefined {
  return handle.safeParse(given).data?.domain;
}
