import type { StartPermission } from '../../migration/permission/permission.ts';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { systemClock } from '../../clock.ts';
import { godwitError, GodwitError, toGodwitError } from '../../errors.ts';
import { lifeOf } from '../../system/processes/life.ts';
import { bootId, ownIdentity } from '../../system/processes/process.ts';
import type { NamedCheck } from '../../migration/preflight/check.ts';
import type { GuestDescription, StreamSettings } from '../../protocol/peer/migration.ts';
import type {
  DestinationOptions,
  DestinationSession,
  HypervisorEvent,
  HypervisorStatus,
  Listens,
  StreamSetup,
} from '../../port/direct.ts';
import { assessSpec, judgePager } from './assess.ts';
import { Arrival } from './arrival.ts';
import { isMadeFor, whyNameInUse } from './host/container-ownership.ts';
import { cgroupsIn } from './host/cgroup.ts';
import { release, startCold, coldRun } from './cold-start.ts';
import { giveGpus, gpuPairs } from './gpu/gpu-state.ts';
import type { CriuHandle } from './handle.ts';
import { keepSetup, keptSetup } from './pages/kept-setup.ts';
import { LateArrival } from './late-arrival.ts';
import { makeVolumes, placesOf } from './files/made-volumes.ts';
import { placesByNumber, sharedHere, sharedIn } from './files/shared-volumes.ts';
import { endLeft, removeLeft } from './tear-down.ts';
import { announceNics, makeNetwork, networkNames, setPorts } from './host/network.ts';
import type { HostContext } from './host/host-context.ts';
import { cgroupOf, continueNow, processesIn, standsStill } from './host/processes.ts';
import type { ContainerRecord } from './link/records.ts';
import { findLayers } from './files/rootfs.ts';
import { imageMs } from './runtimes/runc.ts';
import { findWorker, sessionEnded } from './session.ts';
import { configOf, containerSpec, type ContainerSpec, type PodmanSpec } from './spec.ts';
import { EventReplay } from './watch.ts';

export type Arrivals = Map<string, Arrival>;

export class CriuDestination implements DestinationSession {
  readonly #base: HostContext;
  /** Context of a podman container, after its description or record is read. */
  #ofPodman: HostContext | undefined;
  readonly #options: DestinationOptions;
  readonly #arrivals: Arrivals;
  readonly #reported = new EventReplay();
  readonly #listeners = new Set<(event: HypervisorEvent) => void>();

  constructor(context: HostContext, options: DestinationOptions, arrivals: Arrivals) {
    this.#base = context;
    this.#options = options;
    this.#arrivals = arrivals;
  }

  get #context(): HostContext {
    if (this.#ofPodman !== undefined) return this.#ofPodman;
    const podman = this.#base.records.readSync(this.#options.guest)?.podman;
    return podman === undefined ? this.#base : (this.#ofPodman = this.#base.forPodman(podman));
  }

  get #arrival(): Arrival | undefined {
    return this.#arrivals.get(this.#options.guest);
  }

  onEvent(listener: (event: HypervisorEvent) => void): () => void {
    this.#listeners.add(listener);
    const stops = [this.#reported.on(listener), this.#arrival?.reported.on(listener)];
    return () => {
      this.#listeners.delete(listener);
      for (const stop of stops) stop?.();
    };
  }

  status(signal: AbortSignal): Promise<HypervisorStatus> {
    return destinationStatus(this.#context, this.#options, this.#arrival, signal);
  }

  async assess(
    description: GuestDescription,
    stream: StreamSettings,
    signal: AbortSignal,
    files?: ReadonlyMap<string, string>,
  ): Promise<NamedCheck[]> {
    const spec = this.#read(description);
    const memoryBytes = this.#options.isCold === true ? 0 : description.memoryBytes;
    const cgroups = cgroupsIn(description.hypervisorVersion);
    const where = { ...this.#options, memoryBytes, cgroups, shared: sharedIn(files, spec.volumes) };
    const checks = await assessSpec(this.#context, spec, where, signal);
    if (this.#options.isCold === true || stream.mode === 'precopy') return checks;
    return [...checks, judgePager(this.#options.host)];
  }

  /** This driver creates the links; they are not taps. */
  nics(): [] {
    return [];
  }

  async start(
    description: GuestDescription,
    setup: StreamSetup,
    _ports: ReadonlyMap<string, string>,
    signal: AbortSignal,
    files?: ReadonlyMap<string, string>,
  ): Promise<{ handle: CriuHandle; memoryAddress: string }> {
    const { guest } = this.#options;
    const spec = this.#read(description);
    const before = this.#arrival;
    if (before !== undefined) return { handle: before.handle, memoryAddress: before.address };
    const refused = (await this.assess(description, setup, signal, files)).find(
      ({ error }) => error,
    )?.error;
    if (refused !== undefined) throw new GodwitError(refused);
    const token = randomBytes(8).toString('hex');
    const { memoryBytes } = description;
    const handle: CriuHandle = { driver: 'criu', name: guest, token, memoryBytes };
    const { records } = this.#context;
    const network = networkNames(token, spec.nics);
    const inUse = whyNameInUse(records, this.#options);
    if (inUse !== undefined) throw inUse;
    await removeLeft(this.#context, guest, records.readSync(guest));
    const mover = { ...ownIdentity(), bootId: bootId() };
    const hosts = createHash('sha256').update(records.directory).digest('hex').slice(0, 8);
    const cgroup = `${this.#context.cgroup}-${hosts}-${guest}`;
    const at = sharedIn(files, spec.volumes);
    const volumes = placesOf(spec.volumes ?? [], this.#context.volumeDirs, at) ?? [];
    const shared = await sharedHere(this.#context, spec.volumes ?? [], at);
    const made = { ...network, overlay: spec.layers.length > 0, cgroup, volumes, shared };
    const gpu = this.#options.isCold === true ? {} : await gpuPairs(this.#context, spec, signal);
    const known = { token, mover, memoryBytes, gpuBytes: spec.gpu?.bytes };
    const { migration } = this.#options;
    if (spec.podman === undefined)
      await records.write(guest, { ...known, migration, made, ...gpu });
    else
      await records.write(guest, {
        ...known,
        migration,
        ...podmanRecord(token, spec, spec.podman),
      });
    const bundle = await this.#makeBundle(spec, made, signal);
    await keepSetup(path.join(records.dirOf(guest), 'in'), setup);
    const arrival = new Arrival(this.#context, handle, bundle, this.#options);
    await arrival.open(setup);
    this.#arrivals.set(guest, arrival);
    for (const listener of this.#listeners) arrival.reported.on(listener);
    return { handle, memoryAddress: arrival.address };
  }

  /** Creates the bundle with root file system and network; the container's state follows later. */
  async #makeBundle(
    spec: ContainerSpec,
    made: NonNullable<ContainerRecord['made']> & { readonly cgroup: string },
    signal: AbortSignal,
  ): Promise<string> {
    const { runc, records, layerDirs } = this.#context;
    const { guest, networks } = this.#options;
    const directory = records.dirOf(guest);
    const bundle = path.join(directory, 'bundle');
    for (const each of ['bundle/rootfs', 'upper', 'overlay', 'in/images']) {
      await mkdir(path.join(directory, each), {
        recursive: true,
        mode: each === 'upper' || each === 'bundle/rootfs' ? 0o755 : 0o700,
      });
    }
    await makeVolumes(records, guest).catch((cause: unknown) => {
      const what = toGodwitError(cause).message;
      const facts = { device: 'a volume', guest, host: this.#options.host, what };
      throw godwitError('GODWIT_DEVICE_UNMAPPED', facts, { cause });
    });
    await writeFile(path.join(directory, 'nics.json'), JSON.stringify(spec.nics), { mode: 0o600 });
    // podman creates its bundle after the whole container is here.
    if (spec.oci === undefined) return bundle;
    const places = placesByNumber(made, spec.volumes);
    const hostParts = spec.hostParts?.map((each) => each.path);
    const netns = `/run/netns/${made.netns}`;
    const config = configOf(spec.oci, netns, `/${made.cgroup}`, places, hostParts);
    await writeFile(path.join(bundle, 'config.json'), JSON.stringify(config), { mode: 0o600 });
    if (spec.layers.length > 0) {
      const layers = await findLayers(spec.layers, layerDirs, records.directory, signal);
      const lower = spec.layers.map((digest) => layers.get(digest) ?? '').join(':');
      const upper = path.join(directory, 'upper');
      const options = `lowerdir=${lower},upperdir=${upper},workdir=${path.join(directory, 'overlay')}`;
      const at = path.join(bundle, 'rootfs');
      await runc.run(['mount', '-t', 'overlay', 'overlay', '-o', options, at], { signal });
    }
    const run = runc.run.bind(runc);
    const record = records.readSync(guest)?.made;
    if (record !== undefined) {
      await makeNetwork(run, record, spec.nics, (name) => networks[name] ?? name, signal);
    }
    return bundle;
  }

  async startCold(permission: StartPermission, signal: AbortSignal): Promise<CriuHandle> {
    permission.mustCover(this.#options.guest);
    return startCold(this.#context, this.#options.guest, signal);
  }

  async neverRan(): Promise<boolean> {
    const cold = this.#context.records.readSync(this.#options.guest)?.cold;
    return cold === 'arrived' || cold === 'created';
  }

  async resumeGuest(permission: StartPermission, signal: AbortSignal): Promise<void> {
    const { runc, records } = this.#context;
    const { guest } = this.#options;
    permission.mustCover(guest);
    const record = records.readSync(guest);
    const init = record?.init;
    if (init === undefined) throw this.#refused('resumeGuest', 'its state has not arrived');
    if (lifeOf(init).state === 'gone') throw this.#lost('its first process has ended');
    // Only now: if a port is up before the connections are restored, the kernel resets them.
    const ports = record?.podman?.ports ?? record?.made?.nics.map(({ port }) => port) ?? [];
    await setPorts(runc.run.bind(runc), ports, 'up');
    if (record?.cold !== undefined) {
      await release(this.#context, guest, signal);
      (this.#arrival?.reported ?? this.#reported).ran('resumed');
      return;
    }
    const cgroup = (await cgroupOf(init.pid, this.#context.prefix)) ?? '';
    // The first process is last, because status() uses it: an interrupted stop is then not taken for finished.
    const pids = await processesIn(cgroup);
    for (const pid of pids) if (pid !== init.pid) continueNow(pid);
    continueNow(init.pid);
    while (await standsStill(init.pid, cgroup)) await systemClock.sleep(1, signal);
    await giveGpus(this.#context, guest, cgroup, signal);
    this.#arrival?.tidy();
    (this.#arrival?.reported ?? this.#reported).ran('resumed');
  }

  async announce(signal: AbortSignal): Promise<void> {
    const { runc, records } = this.#context;
    const record = records.readSync(this.#options.guest);
    const nics = await this.#arrivedNics();
    if (record?.init === undefined) return;
    await announceNics(runc.run.bind(runc), record.init.pid, nics, signal);
  }

  async #arrivedNics(): Promise<ContainerSpec['nics']> {
    const file = path.join(this.#context.records.dirOf(this.#options.guest), 'nics.json');
    const text = await readFile(file, 'utf8').catch(() => '[]');
    return containerSpec.shape.nics.parse(JSON.parse(text));
  }

  async listenAgain(_signal: AbortSignal, host?: string): Promise<Listens> {
    const late = this.#arrival?.late;
    if (late === undefined) throw this.#refused('listenAgain', 'no memory of it is to come');
    const directory = path.join(this.#context.records.dirOf(this.#options.guest), 'in');
    return late.listenAgain(await keptSetup(directory), host);
  }

  /** The images belong to the migration; the container runs without them. */
  async settle(): Promise<void> {
    await Arrival.assertAll(this.#context, this.#options.guest);
    await this.#arrival?.close(false);
    this.#arrivals.delete(this.#options.guest);
    await Arrival.settle(this.#context, this.#options.guest);
  }

  async destroy(
    signal: AbortSignal,
    { keepsData = false }: { readonly keepsData?: boolean } = {},
  ): Promise<void> {
    const { runc, records } = this.#context;
    const { guest } = this.#options;
    await this.#recordRestore();
    await this.#arrival?.close(true);
    this.#arrivals.delete(guest);
    const record = records.readSync(guest);
    // Otherwise nothing was made here for this migration, and a container of that name is foreign.
    if (record === undefined || !isMadeFor(record, this.#options)) return;
    // A restore that waits for memory would then continue, but is useless.
    if (record.late === true)
      await new LateArrival(this.#context, guest, this.#options, this.#reported).close(true);
    await this.#afterRestore(record, signal);
    if (keepsData) {
      await runc.end(guest);
      await endLeft(this.#context, records.readSync(guest));
    } else {
      await runc.remove(guest);
      await removeLeft(this.#context, guest, records.readSync(guest));
    }
    this.#reported.lost('it was taken down');
  }

  /**
   * Records a restore that its mover began without recording: it could mount and create processes during the
   * removal.
   */
  async #recordRestore(): Promise<void> {
    const { records } = this.#context;
    const { guest } = this.#options;
    const record = records.readSync(guest);
    if (record === undefined || record.worker !== undefined) return;
    if (!isMadeFor(record, this.#options)) return;
    const worker = findWorker(path.join(records.dirOf(guest), 'in', 'images'));
    if (worker !== undefined) await records.change(guest, { worker });
  }

  /** A restore continues without the process that began it. */
  async #afterRestore(
    { worker, memoryBytes }: Pick<ContainerRecord, 'worker' | 'memoryBytes'>,
    signal: AbortSignal,
  ): Promise<void> {
    if (worker === undefined) return;
    const ended = await sessionEnded(worker, imageMs(memoryBytes), signal);
    if (!ended) throw this.#refused('destroy', 'its restore does not end');
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }

  #read(description: GuestDescription): ContainerSpec {
    const parsed = containerSpec.safeParse(description.spec);
    if (parsed.success) {
      const { podman } = parsed.data;
      this.#ofPodman = podman && this.#base.forPodman({ id: podman.id, runtime: podman.runtime });
      return parsed.data;
    }
    throw godwitError('GODWIT_PROTOCOL_INVALID', {
      peer: 'the source',
      expected: 'the description of a container',
      what: z.prettifyError(parsed.error).slice(0, 500),
    });
  }

  #lost(reason: string): Error {
    const { guest } = this.#options;
    return godwitError('GODWIT_HYPERVISOR_LOST', { side: 'destination', guest, reason });
  }

  #refused(command: string, reason: string): Error {
    const { host } = this.#context;
    return godwitError('GODWIT_HYPERVISOR', { hypervisor: 'criu', host, command, reason });
  }
}

function podmanRecord(
  token: string,
  { nics }: ContainerSpec,
  { id, runtime, name, graph, run }: PodmanSpec,
): Pick<ContainerRecord, 'made' | 'podman'> {
  const made = { ...networkNames(token, []), overlay: true };
  const macs = nics.map(({ mac }) => mac);
  return { made, podman: { id, runtime, macs, expected: { name, graph, run } } };
}

async function destinationStatus(
  context: HostContext,
  options: DestinationOptions,
  arrival: Arrival | undefined,
  signal: AbortSignal,
): Promise<HypervisorStatus> {
  const { guest } = options;
  const gone = { run: 'gone', stream: 'none' } as const;
  const record = context.records.readSync(guest);
  if (record === undefined || !isMadeFor(record, options))
    return { ...gone, reason: 'nothing was made for it here' };
  const stream = arrival?.reported.stream ?? 'none';
  if (record.init === undefined) {
    if (arrival !== undefined) return { run: 'incoming', stream };
    return { ...gone, reason: 'the mover that waited for it has ended' };
  }
  const life = lifeOf(record.init);
  if (life.state === 'gone') return { ...gone, reason: life.reason };
  const { pid } = record.init;
  if (record.cold !== undefined) return { run: await coldRun(context, guest, signal), stream };
  const cgroup = (await cgroupOf(pid, context.prefix)) ?? '';
  // Without its GPU state it is not running, although its processes are.
  const stands = record.gpu !== undefined || (await standsStill(pid, cgroup));
  const isLate = record.late === true;
  return { run: stands ? 'paused' : 'running', stream: isLate ? stream : 'completed' };
}
