import type { StartPermission } from '../../migration/permission/permission.ts';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { godwitError } from '../../errors.ts';
import { lifeOf, type BootProcess } from '../../system/processes/life.ts';
import { bootId, ownIdentity } from '../../system/processes/process.ts';
import type { MemorySample } from '../../protocol/public/migration.ts';
import type { SteeringMeasure } from '../../protocol/public/steering.ts';
import type { StreamSettings } from '../../protocol/peer/migration.ts';
import type {
  HypervisorEvent,
  HypervisorStatus,
  SourceSession,
  StreamSetup,
} from '../../port/direct.ts';
import type { Inspection } from '../../port/inspection.ts';
import type { CriuHandle } from './handle.ts';
import { Dispatch } from './dispatch.ts';
import { examine, inspectionOf, whyNoPostcopy, type ContainerInspection } from './inspect.ts';
import { keptSetup } from './pages/kept-setup.ts';
import { LateSource } from './late-source.ts';
import { measureContainer } from './pages/measure-container.ts';
import { POSTCOPY_OFF } from './options.ts';
import { examinePodman } from './podman/examine.ts';
import { PodmanRuntime } from './podman/runtime.ts';
import { endFrozen, keepMoved, removeMoved } from './tear-down.ts';
import type { HostContext } from './host/host-context.ts';
import { defined } from '../../protocol/defined.ts';
import { cgroupOf, setFrozen, isFrozen } from './host/processes.ts';
import { dumpEnded, removeOut, runHere } from './runtimes/run-here.ts';
import type { RuncState } from './runtimes/runc.ts';
import { sendFiles, shutDown, startAgain, type Going, isUpAgain } from './shutdown.ts';
import { withShared } from './files/shared-volumes.ts';
import { EventReplay } from './watch.ts';

/** State of this host's containers between sessions of one process. */
export interface Dispatches {
  readonly whole: Map<string, Dispatch>;
  /** Containers whose memory follows, started by another process. */
  readonly late: Map<string, LateSource>;
}

export class CriuSource implements SourceSession {
  readonly handle: CriuHandle;
  readonly #context: HostContext;
  readonly #dispatches: Dispatches;
  readonly #listed: RuncState;
  readonly #reported = new EventReplay();
  #facts: ContainerInspection | undefined;
  #setup: StreamSetup | undefined;

  constructor(context: HostContext, dispatches: Dispatches, handle: CriuHandle, listed: RuncState) {
    this.#context = context;
    this.#dispatches = dispatches;
    this.handle = handle;
    this.#listed = listed;
  }

  get #dispatch(): Dispatch | undefined {
    return this.#dispatches.whole.get(this.handle.name);
  }

  get #late(): LateSource | undefined {
    return this.#dispatch?.late ?? this.#dispatches.late.get(this.handle.name);
  }

  onEvent(listener: (event: HypervisorEvent) => void): () => void {
    const reported = this.#dispatch?.reported ?? this.#late?.reported;
    const stops = [this.#reported.on(listener), reported?.on(listener)];
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      for (const stop of stops) stop?.();
    };
  }
  readonly #listeners = new Set<(event: HypervisorEvent) => void>();

  async begin(signal: AbortSignal): Promise<void> {
    const status = await this.status(signal);
    if (this.#dispatch !== undefined || this.#late !== undefined) return;
    if (status.stream === 'postcopy-paused') {
      const { reported } = await this.#takeUp();
      reported.ran('stopped');
      return reported.to(status.stream, status.reason);
    }
    if (status.run === 'running') this.#reported.ran('resumed');
    else if (status.run !== 'gone') this.#reported.ran('stopped');
    if (status.stream !== 'none') this.#reported.to(status.stream, status.reason);
  }

  status(signal: AbortSignal): Promise<HypervisorStatus> {
    const leaving = {
      name: this.handle.name,
      init: this.#init,
      dispatch: this.#dispatch,
      late: this.#late,
      cgroup: () => this.#cgroup(),
    };
    return sourceStatus(this.#context, leaving, signal);
  }

  /** First process; differs from the handle's if the container was restarted. */
  get #init(): BootProcess {
    const { down, init } = this.#context.records.readSync(this.handle.name) ?? {};
    return down?.init ?? init ?? this.handle.init ?? { pid: this.#listed.pid, startTicks: 0 };
  }

  get #going(): Going {
    return { handle: this.handle, listed: this.#listed, init: this.#init };
  }

  async #cgroup(): Promise<string> {
    return (await cgroupOf(this.#init.pid, this.#context.prefix)) ?? '';
  }

  async whyNot(
    { mode, streams, compress }: Omit<StreamSettings, 'tls'>,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (mode !== 'precopy' && !this.#context.postcopy) return POSTCOPY_OFF;
    const why = await whyNoPostcopy(mode, this.#facts ?? (await this.#examine(signal)));
    if (why !== undefined) return why;
    if (streams > 1) return 'a container goes over one stream';
    return compress === 'xbzrle' ? 'its pages are compared by content already' : undefined;
  }

  /** This driver moves the links with the container. */
  readonly ports = async (): Promise<string[]> => [];

  async inspect({ mode }: Omit<StreamSettings, 'tls'>, signal: AbortSignal): Promise<Inspection> {
    return inspectionOf(this.#context.host, this.handle, mode, () => this.#examine(signal));
  }

  async #examine(signal: AbortSignal): Promise<ContainerInspection> {
    const { memoryBytes } = this.handle;
    const { runc } = this.#context;
    this.#facts = await (runc instanceof PodmanRuntime
      ? examinePodman({ ...this.#context, runc }, this.#listed, memoryBytes, signal)
      : examine(this.#context, this.#listed, memoryBytes, signal));
    return this.#facts;
  }

  readonly measure: NonNullable<SourceSession['measure']> = async (signal, brief) =>
    measureContainer(this.handle.name, await this.#cgroup(), { signal, brief });

  async configure(setup: StreamSetup, signal: AbortSignal): Promise<void> {
    this.#setup = setup;
    const { volumes, description, gpuBytes } = await this.#examine(signal);
    const [{ records }, { name }, { memoryBytes }] = [this.#context, this.handle, description];
    const before = records.readSync(name);
    const mover = { ...ownIdentity(), bootId: bootId() };
    const token = before?.token ?? randomBytes(8).toString('hex');
    const shown = withShared(volumes, setup.shared);
    const podman = before?.podman ?? this.handle.podman;
    const own = { token, mover, memoryBytes, gpuBytes, volumes: shown, ...defined({ podman }) };
    await records.write(name, { ...before, ...own });
  }

  async startMemory(address: string, tlsHostname: string | undefined): Promise<void> {
    const [setup, facts] = [this.#setup, this.#facts];
    if (setup === undefined || facts === undefined)
      throw this.#refused('startMemory', 'it is not set up');
    const volumes = withShared(facts.volumes, setup.shared);
    const dispatch = new Dispatch(this.#context, this.handle.name, { ...facts, volumes }, setup);
    this.#dispatches.whole.set(this.handle.name, dispatch);
    for (const listener of this.#listeners) dispatch.reported.on(listener);
    dispatch.start(address, tlsHostname);
  }

  async sample(): Promise<MemorySample> {
    const found = (this.#dispatch ?? this.#late)?.sample();
    if (found === undefined) throw this.#refused('sample', 'nothing of it is sent from here');
    return found;
  }

  /** The allowed downtime ends its rounds. */
  async levers(): Promise<readonly SteeringMeasure[]> {
    return this.#setup?.mode === 'precopy' ? ['downtime'] : ['downtime', 'postcopy'];
  }

  async adjust(change: Parameters<SourceSession['adjust']>[0]): Promise<void> {
    const cap = change.maxBandwidth === 0 ? { maxBandwidth: undefined } : {};
    (this.#dispatch ?? this.#late)?.adjust({ ...change, ...cap });
  }

  async startPostcopy(): Promise<void> {
    if (this.#dispatch === undefined) throw this.#refused('startPostcopy', 'nothing of it is sent');
    this.#dispatch.startPostcopy();
  }

  async continueSwitchover(): Promise<void> {
    const dispatch = this.#dispatch;
    if (dispatch?.isUnderWay !== true && dispatch?.reported.stream !== 'completed') {
      throw this.#refused('continueSwitchover', `it is ${dispatch?.reported.stream ?? 'none'}`);
    }
    dispatch.continue();
  }

  async cancel(signal: AbortSignal): Promise<HypervisorStatus> {
    const { leaving, gpu } = this.#context.records.readSync(this.handle.name) ?? {};
    const isKept = gpu !== undefined && this.#dispatch?.isUnderWay === false;
    if (this.#dispatch !== undefined && !(isKept && leaving === 'sending'))
      await this.#dispatch.cancel(signal);
    else if (leaving === 'sending') await this.#runHere(signal);
    return this.status(signal);
  }

  async recover(...to: Parameters<SourceSession['recover']>): Promise<void> {
    if (this.#late === undefined) throw this.#refused('recover', 'no memory of it is to follow');
    await this.#late.recover(...to);
  }

  /** Takes over a container whose memory follows from an ended process. */
  async #takeUp(): Promise<LateSource> {
    const { name } = this.handle;
    const setup = await keptSetup(path.join(this.#context.records.dirOf(name), 'out'));
    const late = new LateSource(this.#context, name, setup, new EventReplay());
    this.#dispatches.late.set(name, late);
    return late;
  }

  async resumeGuest(permission: StartPermission, signal: AbortSignal): Promise<void> {
    permission.mustCover(this.handle.name);
    this.#late?.stop();
    if (this.#dispatch !== undefined) return this.#dispatch.runHere(signal);
    return this.#runHere(signal);
  }

  /** Resumes a container that an earlier process stopped. */
  async #runHere(signal: AbortSignal): Promise<void> {
    const { name } = this.handle;
    const ports = this.#context.records.readSync(name)?.unplugged ?? [];
    await runHere(
      this.#context,
      name,
      { ports, cgroup: await this.#cgroup() },
      this.#reported,
      signal,
    );
  }

  async stopGuest(signal: AbortSignal): Promise<void> {
    await setFrozen(await this.#cgroup(), true, signal);
    this.#reported.ran('stopped');
  }

  /** It holds nothing that another host needs; runc lists it as stopped. */
  readonly waitsForRetire = true;

  async shutDown(signal: AbortSignal): Promise<void> {
    await shutDown(this.#context, this.#going, signal);
    this.#reported.ran('stopped');
  }

  async sendFiles(
    setup: StreamSetup,
    address: string,
    tlsHostname: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    await sendFiles(this.#context, this.#going, { setup, address, tlsHostname }, signal);
  }

  async startAgain(
    withinMs: number,
    permission: StartPermission,
    signal: AbortSignal,
  ): Promise<void> {
    permission.mustCover(this.handle.name);
    await startAgain(this.#context, this.#going, withinMs, signal);
    this.#reported.ran('resumed');
  }

  /** Nothing was configured in the container; a running one's earlier record is kept. */
  async unconfigure(): Promise<void> {
    const { records } = this.#context;
    const record = records.readSync(this.handle.name);
    this.#forget();
    const isOurs = record?.made !== undefined || record?.was !== undefined;
    const isWhole = record?.leaving === undefined && record?.gpu === undefined;
    if (isWhole) await removeOut(this.#context, this.handle.name);
    if (record !== undefined && !isOurs && isWhole) await records.forget(this.handle.name);
  }

  /** Kills the frozen container without running it again, and removes Godwit's files for it, unless they are kept. */
  async quit(
    signal: AbortSignal,
    { keepsData = false }: { readonly keepsData?: boolean } = {},
  ): Promise<void> {
    const { runc } = this.#context;
    const { name } = this.handle;
    await dumpEnded(this.#context, name, signal);
    await runc.unwatch(name);
    if (lifeOf(this.#init).state !== 'gone') await endFrozen(await this.#cgroup(), signal);
    if (keepsData) {
      await runc.end(name);
      await keepMoved(this.#context, name);
    } else {
      await runc.remove(name);
      await removeMoved(this.#context, name);
    }
    this.#forget();
  }

  #forget(): void {
    this.#dispatches.whole.delete(this.handle.name);
    this.#dispatches.late.delete(this.handle.name);
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }

  #refused(command: string, reason: string): Error {
    const { host } = this.#context;
    return godwitError('GODWIT_HYPERVISOR', { hypervisor: 'criu', host, command, reason });
  }
}

interface Leaving {
  readonly name: string;
  readonly init: BootProcess;
  readonly dispatch: Dispatch | undefined;
  readonly late: LateSource | undefined;
  readonly cgroup: () => Promise<string>;
}

const ENDED = 'the mover that sent it has ended';

async function sourceStatus(
  context: Pick<HostContext, 'records' | 'runc'>,
  { name, init, dispatch, late, cgroup }: Leaving,
  signal: AbortSignal,
): Promise<HypervisorStatus> {
  const life = lifeOf(init);
  const isGone = life.state === 'gone';
  const record = context.records.readSync(name);
  if (record?.down !== undefined) {
    const isDown = isGone && !(await isUpAgain(context, name, signal));
    return { run: isDown ? 'shut-down' : 'running', stream: 'none' };
  }
  if (isGone) return { run: 'gone', stream: 'none', reason: life.reason };
  const { stream = 'none', reason } = dispatch?.reported ?? {};
  const frozen = await isFrozen(await cgroup());
  const left = record?.leaving;
  if (left === 'sending' && record?.gpu !== undefined && dispatch?.isUnderWay === false) {
    return { run: 'paused', stream: 'failed', reason: 'the state of its GPUs is not given back' };
  }
  const run = frozen ? 'handed-over' : 'running';
  if (left === 'late') {
    const { stream: follows = 'postcopy-paused', reason: why = ENDED } = late?.reported ?? {};
    return { run, stream: follows, reason: why };
  }
  if (left === 'sent') return { run, stream: 'completed' };
  const stands = frozen || record?.gpu !== undefined;
  if (dispatch === undefined && left === 'sending' && stands) {
    return { run: 'paused', stream: 'failed', reason: ENDED };
  }
  const said = reason === undefined ? {} : { reason };
  return {
    run: frozen ? 'paused' : 'running',
    stream: frozen || dispatch ? stream : 'none',
    ...said,
  };
}
