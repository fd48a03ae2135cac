import { rm } from 'node:fs/promises';
import { withDeadline } from '../../deadline.ts';
import { godwitError, GodwitError } from '../../errors.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { GuestDescription, StreamSettings } from '../../protocol/peer/migration.ts';
import type {
  DestinationOptions,
  DestinationSession,
  GuestHandle,
  HypervisorEvent,
  HypervisorStatus,
  Listens,
  NicPlan,
  StreamSetup,
} from '../port/driver.ts';
import { hasVhostNet, matchHost, nicsOf, readSpec } from './assess.ts';
import type { Match } from './assess.ts';
import type { QemuProgram } from './binaries.ts';
import { QemuDiskTarget } from './disk-target.ts';
import { killProcess, waitForExit } from './guest/process.ts';
import type { ImageStore } from './images.ts';
import {
  addressOf,
  configureIncoming,
  isMarked,
  listen,
  markIncoming,
  proveSame,
  settleIncoming,
  unmark,
} from './incoming.ts';
import { attachStarted, findStarted, launch } from './launch.ts';
import type { QmpClient } from './qmp/client.ts';
import { makePipes, negotiatePipes } from './qmp/pipes.ts';
import { letGo, listenForRecovery, recoverUnheard } from './recovery.ts';
import { resume, untilLoaded } from './resume.ts';
import { MonitorWatch } from './session.ts';
import { buildArgv } from './spec/argv.ts';
import { removeCredentials } from './tls.ts';
import { sandboxWords } from './user/confine.ts';

const END_MS = 5000;
/** A monitor greets within milliseconds while QEMU's main loop turns. */
const HEARS_MS = 1500;
type Files = ReadonlyMap<string, string>;
type Wanted = { description: GuestDescription; stream: StreamSettings; disks: Files };

export interface DestinationParts {
  readonly programs: (signal: AbortSignal) => Promise<QemuProgram[]>;
  readonly images: ImageStore;
}

/** The paused counterpart of a guest, on its way in. */
export class QemuDestination implements DestinationSession {
  readonly disks: QemuDiskTarget;
  readonly #options: DestinationOptions;
  readonly #parts: DestinationParts;
  readonly #listeners = new Set<(event: HypervisorEvent) => void>();
  #handle: GuestHandle | undefined;
  #client: QmpClient | undefined;
  #watch: MonitorWatch | undefined;
  #credentials: StreamSetup['credentials'];
  /** The process is of this migration: its journal says so, or this session started it. */
  #ours: boolean;

  constructor(options: DestinationOptions, parts: DestinationParts) {
    this.#options = options;
    this.#parts = parts;
    this.#handle = options.handle;
    this.#ours = options.handle !== undefined;
    this.disks = new QemuDiskTarget(options, parts, (signal) => this.#incoming(signal));
  }

  onEvent(listener: (event: HypervisorEvent) => void): () => void {
    this.#listeners.add(listener);
    const stop = this.#watch?.on(listener);
    return () => {
      this.#listeners.delete(listener);
      stop?.();
    };
  }

  /** Takes hold of a process that a former mover started; false when there is none. */
  async reattach(signal: AbortSignal): Promise<boolean> {
    if (this.#client?.closed === false) return true;
    const started = await attachStarted(this.#options, this.#handle, signal);
    if (started === undefined) return false;
    await this.#hold(started.handle, started.client, signal);
    return true;
  }

  async status(signal: AbortSignal): Promise<HypervisorStatus> {
    const held = this.#watch !== undefined && this.#client?.closed !== true;
    // A process that lives and cannot be reached is an error, never `gone`.
    if (!held && (this.#handle === undefined || !(await this.reattach(signal))))
      return { run: 'gone', stream: 'none', reason: 'it has not been started' };
    return this.#held().watch.status(signal);
  }

  async assess(
    description: GuestDescription,
    stream: StreamSettings,
    signal: AbortSignal,
    disks: Files = new Map(),
  ): Promise<Check[]> {
    return [...(await this.#match({ description, stream, disks }, signal)).checks];
  }

  nics(description: GuestDescription): NicPlan[] {
    return nicsOf(readSpec(description), this.#options);
  }

  async start(
    description: GuestDescription,
    setup: StreamSetup,
    ports: ReadonlyMap<string, string>,
    signal: AbortSignal,
    disks: Files = new Map(),
  ): Promise<{ handle: GuestHandle; memoryAddress: string }> {
    this.#credentials = setup.credentials;
    const again = await this.#startedAlready(setup, signal);
    if (again !== undefined) return again;
    const match = await this.#match({ description, stream: setup, disks }, signal);
    const refusal = match.checks.find((check) => check.verdict === 'refuse')?.error;
    if (refusal !== undefined) throw new GodwitError(refusal);
    const { program } = match;
    if (program === undefined) throw godwitError('GODWIT_INTERNAL', { what: 'no program chosen' });
    try {
      return await this.#launch(match, program, setup, ports, signal);
    } catch (error) {
      await this.destroy(AbortSignal.timeout(END_MS)).catch(() => undefined);
      throw error;
    }
  }

  async #launch(
    match: Match,
    program: QemuProgram,
    setup: StreamSetup,
    ports: ReadonlyMap<string, string>,
    signal: AbortSignal,
  ): Promise<{ handle: GuestHandle; memoryAddress: string }> {
    const { guest, guestDir, host } = this.#options;
    const { spec } = match;
    const pipes = setup.mode !== 'precopy';
    const words = buildArgv(spec, {
      guest,
      guestDir,
      images: match.images,
      romfiles: match.romfiles,
      disks: match.disks,
      ports,
      features: program.features[spec.accelerator.name] ?? [],
      vhost: await hasVhostNet(),
      pipes,
    });
    const argv = program.sandbox ? [...words, ...sandboxWords(spec)] : words;
    await markIncoming(guestDir);
    if (pipes) await makePipes(guestDir, signal);
    const { handle, client } = await launch(this.#options, program.binary, argv, signal, (own) => {
      this.#handle = own;
      this.#ours = true;
    });
    await Promise.all([
      this.#hold(handle, client, signal, true),
      configureIncoming(client, setup, program.capabilities, signal),
      proveSame(client, guest, host, spec, signal),
      ...(pipes ? [negotiatePipes(guestDir, { guest, host, side: 'destination' }, signal)] : []),
    ]);
    return {
      handle,
      memoryAddress: await listen(client, { ...this.#options, socket: setup.socket }, signal),
    };
  }

  /** What start answered before, when its process still waits for memory. */
  async #startedAlready(
    { socket }: StreamSetup,
    signal: AbortSignal,
  ): Promise<{ handle: GuestHandle; memoryAddress: string } | undefined> {
    const { guest, guestDir, host } = this.#options;
    if (!(await this.reattach(signal)) || this.#handle === undefined) return undefined;
    if (!this.#ours && !(await isMarked(guestDir))) {
      this.#letGo();
      this.#handle = undefined;
      throw godwitError('GODWIT_NAME_IN_USE', { host, guest });
    }
    const where = { ...this.#options, socket };
    const memoryAddress = addressOf(await this.#held().watch.migration(signal), where);
    if (memoryAddress !== undefined) return { handle: this.#handle, memoryAddress };
    // It was started and never came to listen: begin afresh.
    await this.destroy(signal);
    return undefined;
  }

  async resumeGuest(signal: AbortSignal): Promise<void> {
    await this.#attached(signal);
    const { client, watch } = this.#held();
    await resume(client, watch, (reason) => this.#lost(reason), signal);
  }

  async ready(signal: AbortSignal): Promise<void> {
    await this.#attached(signal);
    await untilLoaded(this.#held().client, (reason) => this.#lost(reason), signal);
  }

  async neverRan(signal: AbortSignal): Promise<boolean> {
    if (this.#watch?.mayHaveRun !== false || this.#handle === undefined) return false;
    return waitForExit(this.#handle, END_MS, signal).then(() => true);
  }

  async announce(signal: AbortSignal): Promise<void> {
    const times = { initial: 50, max: 550, rounds: 5, step: 100 };
    await this.#attached(signal);
    await this.#held().client.execute('announce-self', times, signal);
  }

  async listenAgain(signal: AbortSignal, host?: string, socket?: string): Promise<Listens> {
    const { listenHost, ports, host: name } = this.#options;
    const at = { host: host ?? listenHost, name, ports, socket };
    try {
      await withDeadline('the monitor', HEARS_MS, signal, (inner) => this.#attached(inner));
    } catch (error) {
      return { memoryAddress: await recoverUnheard(this.#options, at, error, signal) };
    }
    const { client, watch } = this.#held();
    await letGo(client, watch, signal);
    return { memoryAddress: await listenForRecovery(client, at, signal) };
  }

  async settle(signal: AbortSignal): Promise<void> {
    if (await this.reattach(signal)) await settleIncoming(this.#held().client, signal);
    await removeCredentials(this.#credentials, 'server');
    await unmark(this.#options.guestDir);
  }

  async destroy(signal: AbortSignal): Promise<void> {
    const { guestDir } = this.#options;
    const marked = await isMarked(guestDir);
    // Without either, it is somebody else's.
    if (this.#handle === undefined && !marked) return;
    const handle = await findStarted(this.#options, this.#handle);
    // A mark alone may have outlived its migration: a guest that runs is never taken for a remainder.
    const status = this.#ours ? undefined : await this.status(signal).catch(() => undefined);
    if (status?.run === 'running') return;
    this.#letGo();
    if (handle !== undefined) await killProcess(handle, END_MS, signal);
    await removeCredentials(this.#credentials, 'server');
    await rm(guestDir, { recursive: true, force: true });
    this.#handle = undefined;
  }

  async close(): Promise<void> {
    this.#letGo();
    this.#listeners.clear();
  }

  async #match({ description, stream, disks }: Wanted, signal: AbortSignal): Promise<Match> {
    const programs = await this.#parts.programs(signal);
    const host = { programs, store: this.#parts.images, disks };
    return matchHost(description, stream, this.#options, host, signal);
  }

  async #hold(handle: GuestHandle, client: QmpClient, signal: AbortSignal, fresh = false) {
    this.#handle = handle;
    this.#client = client;
    const watch = new MonitorWatch(client, 'destination', fresh);
    this.#watch = watch;
    await watch.begin(signal);
    for (const listener of this.#listeners) watch.on(listener);
  }

  async #attached(signal: AbortSignal): Promise<void> {
    if (await this.reattach(signal)) return;
    throw this.#lost('its process has ended');
  }

  async #incoming(signal: AbortSignal) {
    if (!(await this.reattach(signal)) || this.#handle === undefined) return undefined;
    return { client: this.#held().client, pid: this.#handle.pid };
  }

  #held(): { client: QmpClient; watch: MonitorWatch } {
    const client = this.#client;
    const watch = this.#watch;
    if (client === undefined || watch === undefined) throw this.#lost('it has not been started');
    return { client, watch };
  }

  #letGo(): void {
    this.#watch?.close();
    this.#watch = undefined;
    this.#client = undefined;
  }

  #lost(reason: string): Error {
    const { guest } = this.#options;
    return godwitError('GODWIT_HYPERVISOR_LOST', { side: 'destination', guest, reason });
  }
}
