import path from 'node:path';
import { readFile } from 'node:fs/promises';
import { systemClock } from '../../clock.ts';
import { godwitError, hasCode } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import type { HypervisorInfo } from '../../protocol/public/hosts/host.ts';
import { guestName } from '../../protocol/names.ts';
import type {
  DestinationOptions,
  DestinationSession,
  DirectDriver,
  SourceSession,
} from '../../port/direct.ts';
import type {
  DiscoverOptions,
  DiscoveredGuest,
  GuestHandle,
  HandleFacts,
  Life,
} from '../../port/inventory.ts';
import { Canary } from './canary.ts';
import { countedBy } from './host/counted-cgroup.ts';
import { CriuDestination, type Arrivals } from './destination.ts';
import { HostGpus } from './gpu/gpu.ts';
import { handleIn, handleOf, lifeOfHandle, type CriuHandle } from './handle.ts';
import { dropKept, keptDirectory } from './pages/kept-pages.ts';
import type { CriuOptions } from './options.ts';
import type { HostContext } from './host/host-context.ts';
import { managedContainers, type ManagedContainer } from './runtimes/managed-containers.ts';
import { podmanContainers } from './runtimes/podman.ts';
import { PodmanRuntime } from './podman/runtime.ts';
import { ProcessorUses } from './host/processor-use.ts';
import { cgroupOf, identify, processesIn, residentBytes, standsStill } from './host/processes.ts';
import { readConfig } from './read-config.ts';
import { Records, type ContainerRecord, type PodmanContainer } from './link/records.ts';
import { readLayers } from './files/rootfs.ts';
import { Runc, type RuncState } from './runtimes/runc.ts';
import { CriuSource, type Dispatches } from './source.ts';
import { takeUpLate } from './take-up.ts';

/** Assumed memory need of a container without a limit, as a multiple of its present use. */
const SPARE = 2;
const MIN_BYTES = 64 * 1024 ** 2;
const HOUR_MS = 3_600_000;

interface MovableContainer {
  readonly id: string;
  readonly name: string;
  readonly pid: number;
  readonly bundle: string;
  readonly runtime?: 'runc' | 'crun' | undefined;
}

/** runc containers, moved with CRIU: Godwit controls each step and the data path. */
export class CriuDriver implements DirectDriver {
  readonly name = 'criu';
  readonly capabilities = {
    shape: 'direct',
    modes: ['precopy', 'postcopy', 'hybrid', 'cold'],
    compression: ['none', 'zstd'],
    maxStreams: 1,
    postcopyRecovery: true,
    rehearsals: true,
    measures: true,
    rounds: 'content',
    needsMoreThere: true,
    levers: ['downtime', 'postcopy'],
  } as const;
  readonly #context: HostContext;
  readonly #options: CriuOptions;
  readonly #dispatches: Dispatches = { whole: new Map(), late: new Map() };
  readonly #arrivals: Arrivals = new Map();
  readonly #uses: ProcessorUses;
  #choresAtMs = -Infinity;

  constructor(host: string, options: CriuOptions, directory: string) {
    const runc = new Runc(host, options, directory);
    this.#options = options;
    const { mountsOf, layerDirs, volumeDirs, hostDirs, gpuLibrary, keptBytes, postcopy } = options;
    this.#context = {
      host,
      runc,
      records: new Records(directory),
      canary: new Canary(runc, directory),
      mountsOf,
      prefix: mountsOf === undefined ? '' : `/proc/${mountsOf}/root`,
      layerDirs,
      volumeDirs,
      hostDirs,
      gpus: new HostGpus(host, runc, gpuLibrary),
      keptBytes,
      postcopy,
      cgroup: 'godwit',
      forPodman: (container) => this.#forPodman(container),
    };
    this.#uses = new ProcessorUses(this.#context.prefix);
  }

  #forPodman(container: PodmanContainer): HostContext {
    const { host, records, prefix } = this.#context;
    const deps = { host, options: this.#options, records, prefix };
    return { ...this.#context, runc: new PodmanRuntime(deps, container) };
  }

  #contextOf({ name, podman }: CriuHandle): HostContext {
    const record = this.#recordOf(name);
    const known = podman ?? (record === 'damaged' ? undefined : record?.podman);
    return known === undefined ? this.#context : this.#forPodman(known);
  }

  async hypervisors(signal: AbortSignal): Promise<HypervisorInfo[]> {
    const found = await this.#context.runc.versions(signal).catch((error: unknown) => {
      if (hasCode(error, 'GODWIT_HOST_LACKS', 'GODWIT_HYPERVISOR')) return undefined;
      throw error;
    });
    if (found === undefined) return [];
    const binary = path.join(this.#context.runc.programs ?? '', 'runc');
    const version = `${found.runc}, criu ${found.criu}`;
    return [{ driver: this.name, binary, version, machineTypes: [], accelerators: [] }];
  }

  async discover(
    { host, busy, only }: DiscoverOptions,
    signal: AbortSignal,
  ): Promise<DiscoveredGuest[]> {
    if (only === undefined) this.#eachHour();
    const all = await this.#context.runc.list(signal).catch((error: unknown) => {
      if (hasCode(error, 'GODWIT_HOST_LACKS')) return [];
      throw error;
    });
    const ofOthers = await containersOfOthers(this.#context, this.#options, { all, only }, signal);
    const wanted = all.filter(
      ({ id, status }) =>
        guestName.safeParse(id).success &&
        status !== 'stopped' &&
        (only === undefined || id === only),
    );
    if (only === undefined) this.#uses.keep(new Set([...all, ...ofOthers].map(({ pid }) => pid)));
    const managed = ofOthers.filter(({ name }) => only === undefined || name === only);
    return Promise.all([
      ...wanted.map((each) => this.#found({ ...each, name: each.id }, host, busy)),
      ...managed.map((each) =>
        each.podman === undefined
          ? this.#managed(each, host)
          : this.#found({ ...each, ...each.podman }, host, busy),
      ),
    ]);
  }

  /** Listed without a handle: its manager would not know where it is after a move. */
  async #managed({ name, pid, manager }: ManagedContainer, host: string): Promise<DiscoveredGuest> {
    const cgroup = (await cgroupOf(pid, this.#context.prefix)) ?? '';
    return {
      countedBy: countedBy(pid, this.#context.prefix),
      hint: 'Move it through the manager. A container moves where it was started by runc alone.',
      info: {
        name,
        host,
        driver: this.name,
        manager,
        state: (await standsStill(pid, cgroup)) ? 'paused' : 'running',
        pid,
        memoryBytes: await residentBytes(await processesIn(cgroup)),
        ...(await this.#uses.of(pid)),
        nics: [],
        devices: [],
        unmovable: [],
      },
    };
  }

  /**
   * Hourly work: drops expired kept memory, and reads layers in advance, because a large image takes longer to
   * read than a check may last.
   */
  #eachHour(): void {
    const { records, keptBytes, layerDirs } = this.#context;
    const nowMs = systemClock.monotonicMs();
    if (nowMs - this.#choresAtMs < HOUR_MS) return;
    this.#choresAtMs = nowMs;
    void dropKept(keptDirectory(records.directory), keptBytes).catch(() => undefined);
    void readLayers(layerDirs, records.directory, AbortSignal.timeout(HOUR_MS)).catch(
      () => undefined,
    );
  }

  async #found(
    { id, name, pid, bundle, runtime }: MovableContainer,
    host: string,
    busy: ReadonlySet<string>,
  ): Promise<DiscoveredGuest> {
    const record = this.#recordOf(name);
    // A container with an unreadable record is listed without actions.
    const init = record === 'damaged' ? undefined : identify(pid);
    const cgroup = (await cgroupOf(pid, this.#context.prefix)) ?? '';
    const config = readConfig(
      await readFile(path.join(bundle, 'config.json'), 'utf8').catch(() => ''),
      this.#context.volumeDirs,
      this.#context.hostDirs,
    );
    const podman = runtime === undefined ? undefined : { id, runtime };
    const own = record !== 'damaged' && record?.init?.pid === pid ? record : undefined;
    const pids = await processesIn(cgroup);
    const memoryBytes =
      config.memoryLimit ??
      (own && own.memoryBytes - (own.gpuBytes ?? 0)) ??
      Math.max(MIN_BYTES, SPARE * (await residentBytes(pids)));
    const handle: CriuHandle | undefined =
      init === undefined
        ? undefined
        : {
            driver: 'criu',
            name,
            memoryBytes,
            ...(own === undefined ? { init } : { token: own.token }),
            ...defined({ podman }),
          };
    const stands = await standsStill(pid, cgroup);
    return {
      ...defined({ handle }),
      countedBy: countedBy(pid, this.#context.prefix),
      info: {
        name,
        host,
        driver: this.name,
        state: busy.has(name) ? 'migrating' : stands ? 'paused' : 'running',
        pid,
        memoryBytes,
        ...(await this.#uses.of(pid)),
        nics: [],
        devices: [],
        unmovable: (podman === undefined ? config.obstacles : []).map(({ device, reason }) =>
          `${device}: ${reason}`.slice(0, 512),
        ),
      },
    };
  }

  #recordOf(name: string): ContainerRecord | 'damaged' | undefined {
    try {
      return this.#context.records.readSync(name);
    } catch {
      return 'damaged';
    }
  }

  async life(handle: GuestHandle): Promise<Life> {
    return lifeOfHandle(handle, this.#context.records);
  }

  describe(handle: GuestHandle): HandleFacts {
    const { name, init } = handleOf(handle);
    const record = this.#recordOf(name);
    const pid = init?.pid ?? (record === 'damaged' ? undefined : record?.init?.pid);
    const directory = this.#context.records.dirOf(name);
    const facts = { what: `container ${name}`, directory };
    if (pid === undefined) return facts;
    return { ...facts, pid, cgroup: countedBy(pid, this.#context.prefix).cgroup };
  }

  isSame(left: GuestHandle, right: GuestHandle): boolean {
    const [one, other] = [handleIn(left), handleIn(right)];
    if (one === undefined || other === undefined || one.name !== other.name) return false;
    if (one.token !== undefined || other.token !== undefined) return one.token === other.token;
    return one.init?.pid === other.init?.pid && one.init?.startTicks === other.init?.startTicks;
  }

  /** This process reads its memory, without another socket. */
  mayReachUs(): boolean {
    return false;
  }

  async openSource(given: GuestHandle, signal: AbortSignal): Promise<SourceSession> {
    const handle = handleOf(given);
    const { name } = handle;
    if (this.#context.records.readSync(name)?.late === true) {
      // A dump would contain zeros for the missing memory.
      const facts = { what: `${name} to move`, reason: 'the rest of its memory has not come yet' };
      throw godwitError('GODWIT_CAPABILITY', facts);
    }
    const life = await this.life(handle);
    const context = this.#contextOf(handle);
    const known = await context.runc.state(name, signal);
    const listed = known ?? this.#stoppedHere(handle);
    const isOver = life.state === 'gone' && !this.#isLeft(handle, known);
    if (isOver || listed === undefined) {
      const reason = life.state === 'gone' ? life.reason : 'runc knows no such container';
      throw godwitError('GODWIT_HYPERVISOR_LOST', { side: 'source', guest: name, reason });
    }
    const session = new CriuSource(context, this.#dispatches, handle, listed);
    await session.begin(signal);
    return session;
  }

  /** It has moved away and was ended, but leftovers remain here, which a later mover removes. */
  #isLeft({ name, token }: CriuHandle, known: RuncState | undefined): boolean {
    const record = this.#context.records.readSync(name);
    const isIt = token === undefined || token === record?.token;
    // A new container of that name may have been started.
    return (
      record?.leaving === 'sent' && isIt && (known === undefined || known.status === 'stopped')
    );
  }

  /** Container that was shut down or has left, and that runc no longer lists during its restart or removal. */
  #stoppedHere({ name }: CriuHandle): RuncState | undefined {
    const record = this.#context.records.readSync(name);
    if (record?.down === undefined && record?.leaving !== 'sent') return undefined;
    const bundle = record.down?.bundle ?? '';
    return { id: name, pid: 0, status: 'stopped', bundle, rootfs: path.join(bundle, 'rootfs') };
  }

  async openDestination(options: DestinationOptions): Promise<DestinationSession> {
    await takeUpLate(this.#context, options, this.#arrivals);
    return new CriuDestination(this.#context, options, this.#arrivals);
  }
}

/**
 * Containers of other managers. podman is asked only about containers of other runtimes. If it does not answer,
 * only the full list fails: a lookup of one guest does not depend on it, because such containers do not move.
 */
async function containersOfOthers(
  { host, prefix }: Pick<HostContext, 'host' | 'prefix'>,
  options: Pick<CriuOptions, 'podman' | 'root' | 'otherRoots'>,
  {
    all,
    only,
  }: { readonly all: readonly { readonly id: string }[]; readonly only: string | undefined },
  signal: AbortSignal,
): Promise<ManagedContainer[]> {
  const { podman } = options;
  const isOwn = all.some(({ id }) => id === only);
  const asked =
    podman === undefined || isOwn ? Promise.resolve([]) : podmanContainers(host, podman, signal);
  const ofPodman = await (only === undefined ? asked : asked.catch(() => []));
  const taken = new Set(all.map(({ id }) => id));
  const others = await managedContainers({ ...options, prefix }, taken);
  // Containers of this host's runtimes may move. podman lists the others, such as those in another mount
  // namespace.
  const known = new Set(others.map(({ id }) => id));
  return [...others, ...ofPodman.filter(({ id }) => !known.has(id))];
}
