import type { StartPermission } from '../../migration/permission/permission.ts';
import { endAnnouncing } from './announce.ts';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { withDeadline } from '../../deadline.ts';
import { systemClock } from '../../clock.ts';
import { type GodwitError, toGodwitError } from '../../errors.ts';
import type { NamedCheck } from '../../migration/preflight/check.ts';
import type { MemorySample } from '../../protocol/public/migration.ts';
import type { SteeringMeasure } from '../../protocol/public/steering.ts';
import type { StreamSettings } from '../../protocol/peer/migration.ts';
import type {
  HypervisorEvent,
  HypervisorStatus,
  SourceSession,
  StreamSetup,
} from '../../port/direct.ts';
import type { StreamChange } from '../../port/stream-change.ts';
import type { Inspection } from '../../port/inspection.ts';
import { readAbilities } from './programs/abilities.ts';
import { balloonOf, balloonNow } from './balloon.ts';
import type { GuestMeasure } from '../../protocol/public/prediction.ts';
import { measureGuest } from './measure/measure.ts';
import { tapsOf, withTapNames, nicsWithPorts } from './guest/attachments.ts';
import { readNetwork, readFacts } from './guest/facts.ts';
import type { Brief, Knows } from '../../host/memory-sample/pages.ts';
import { lifeOf } from '../../system/processes/life.ts';
import { endingMsOf, killProcess, waitForExit, processOf } from './guest/process.ts';
import { QemuDiskSource } from './mirror/disk-source.ts';
import { liveNodes } from './mirror/live-nodes.ts';
import { QemuRelocator } from './mirror/relocate.ts';
import * as answers from './qmp/answers.ts';
import type { QmpClient } from './qmp/client.ts';
import { pauseStream } from './recovery.ts';
import { uriOf } from './incoming.ts';
import { startPostcopy } from './postcopy-switch.ts';
import { sameMachineCheck } from './same-machine/check.ts';
import { withoutParts } from './same-machine/machine-parts.ts';
import { readMachine } from './same-machine/read.ts';
import { sampleOf } from './sample.ts';
import { readHalt, readSnapshot } from './snapshot/read.ts';
import { launchOf } from './process/relaunch.ts';
import { shutDown, startAgain, startFromDisks } from './process/shutdown.ts';
import type { MonitorWatch } from './session.ts';
import { stop } from './resume.ts';
import { runAgain } from './process/stuck.ts';
import { takeBack } from './process/take-back.ts';
import {
  DEFAULT_PARAMETERS,
  capabilitiesOff,
  capabilityList,
  changedParameters,
  leversOf,
  ownParameters,
  sourceParameters,
  streamObstacles,
  type Parameters,
} from './stream.ts';
import {
  credentialObject,
  credentialsOf,
  dropObjects,
  layOutCredentials,
  removeCredentials,
} from './tls.ts';
import { leaveTpm, tpmBeside } from './tpm/leave.ts';
import { giveSocket, otherUserOf, returnFiles } from './user/access.ts';
import { removeCgroup } from './user/cgroup.ts';
import type { QemuHandle, QemuLaunch } from './handle.ts';
import { QemuUnplugger } from './unplug/unplugger.ts';
import type { Finding } from '../../migration/preflight/finding.ts';
import type { CheckName } from '../../migration/preflight/table.ts';
import { judgeProcessSettings, processSettings } from '../../system/processes/process-settings.ts';
import { judgeInflated } from '../../migration/preflight/balloon.ts';
import { judgeFreePages } from '../../migration/preflight/free-pages.ts';
import { guestFits, type SetBaseline } from './programs/baseline.ts';
import { freePageHints } from './free-pages.ts';
import { judgeInnerGuests, ranInner } from './inner-guests.ts';
import { inspectFacts } from './inspect.ts';
import { withAnswers } from './passthrough/read-passthrough.ts';
import { liveOf } from './spec/unplug.ts';
import { lookWithout } from './unplug/plug-facts.ts';
import { identifyOpen } from '../../system/files/open-files.ts';
import {
  judgeIdentified,
  type FileIdentity,
  type NamedImage,
} from '../../migration/image-identity.ts';
import { isOnNetwork } from '../../protocol/network-file.ts';
import type { ImageStore } from './images/images.ts';

const CANCEL_MS = 10_000;
const QUIT_MS = 5000;
const SETTLED_MS = 5000;

export class QemuSource implements SourceSession {
  readonly handle: QemuHandle;
  readonly disks: QemuDiskSource;
  readonly relocator: QemuRelocator;
  readonly unplugger: QemuUnplugger;
  readonly launch = (signal: AbortSignal): Promise<QemuLaunch> =>
    launchOf(this.handle, this.#client, signal);
  readonly measure = (signal: AbortSignal, brief?: Brief, knows?: Knows): Promise<GuestMeasure> =>
    measureGuest(this.handle, this.#client, this.balloon, { signal, brief, knows });
  readonly shutDown = (signal: AbortSignal): Promise<void> => shutDown(this.#client, signal);
  readonly snapshot = (signal: AbortSignal) => readSnapshot(this.#client, signal);
  readonly onChange = (listener: () => void) => this.#watch.onChange(listener);
  readonly onUnreachable = (listener: (error: GodwitError) => void) => this.#watch.onCut(listener);
  readonly stopGuest = (signal: AbortSignal): Promise<void> => stop(this.#client, signal);
  readonly balloon = balloonOf(async () => this.#client);
  readonly #client: QmpClient;
  readonly #watch: MonitorWatch;
  readonly #context: SessionContext;
  #setup: StreamSetup | undefined;
  #found: Parameters | undefined;
  #memoryBytes = 0;
  /** The guest was stopped for the switch to post-copy; only Godwit may run it again. */
  #stopped = false;

  constructor(handle: QemuHandle, client: QmpClient, context: SessionContext) {
    this.handle = handle;
    this.#client = client;
    this.#watch = context.watch;
    this.#context = context;
    const live = (signal: AbortSignal) => liveNodes(client, handle, context.host, signal);
    this.disks = new QemuDiskSource(handle.name, client, context.images, live);
    this.relocator = new QemuRelocator(handle, client, context.host);
    this.unplugger = new QemuUnplugger(handle.name, client);
  }

  onEvent(listener: (event: HypervisorEvent) => void): () => void {
    return this.#watch.on(listener);
  }

  readonly status = (signal: AbortSignal): Promise<HypervisorStatus> => this.#watch.status(signal);

  async ports(signal: AbortSignal): Promise<string[]> {
    const lines = await readNetwork(this.#client, signal);
    return tapsOf(await withTapNames(lines, this.handle.pid));
  }

  async inspect(
    stream: Omit<StreamSettings, 'tls'>,
    signal: AbortSignal,
    unplug: readonly string[] = [],
    isWayBack = false,
  ): Promise<Inspection> {
    const asked = { stream, unplug, isWayBack };
    const found = await lookAt(this.handle, this.#client, this.#context, asked, signal);
    this.#memoryBytes = found.description.memoryBytes;
    return found;
  }

  async sameMachine(signal: AbortSignal, without: readonly string[] = [], isCold = false) {
    const machine = withoutParts(await readMachine(this.#client, signal), without);
    const here = isCold ? { ...machine, virtio: [] } : machine;
    return (there: unknown, host: string): NamedCheck =>
      sameMachineCheck(this.handle.name, here, there, host);
  }

  async whyNot(stream: Omit<StreamSettings, 'tls'>, signal: AbortSignal) {
    const abilities = await readAbilities(this.#client, this.handle.pid, stream, signal);
    return streamObstacles(stream, abilities)[0]?.reason;
  }

  async configure(setup: StreamSetup, signal: AbortSignal): Promise<void> {
    this.#setup = setup;
    const run = (command: string, args: object): Promise<unknown> =>
      this.#client.execute(command, args, signal);
    const [capabilities, parameters] = await Promise.all([
      this.#client.query('query-migrate-capabilities', {}, answers.capabilityList, signal),
      this.#client.query('query-migrate-parameters', {}, answers.parameters, signal),
    ]);
    this.#found ??= ownParameters(parameters);
    const names = capabilities.map(({ capability }) => capability);
    const work: Promise<unknown>[] = [endAnnouncing(this.#client, signal)];
    if (setup.tls) {
      const reader = await otherUserOf(this.handle.pid);
      const directory = await layOutCredentials(credentialsOf(setup), 'client', reader);
      // Settings of a dead mover are replaced, since its files may be gone.
      work.push(run('migrate-set-parameters', { 'tls-creds': '', 'tls-authz': '' }));
      work.push(dropObjects(this.#client, signal));
      work.push(run('object-add', credentialObject(directory, 'client')));
    }
    work.push(run('migrate-set-capabilities', { capabilities: capabilityList(setup, names) }));
    work.push(run('migrate-set-parameters', sourceParameters(setup, undefined)));
    await Promise.all(work);
  }

  async letIn(socket: string): Promise<void> {
    const user = await otherUserOf(this.handle.pid);
    if (user !== undefined) await giveSocket(socket, user);
  }

  async startMemory(
    address: string,
    tlsHostname: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#connect(address, tlsHostname, false, signal);
  }

  async #connect(
    address: string,
    tlsHostname: string | undefined,
    resume: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const started = tlsHostname === undefined ? undefined : { 'tls-hostname': tlsHostname };
    const uri = uriOf(address);
    await Promise.all([
      started === undefined
        ? undefined
        : this.#client.execute('migrate-set-parameters', started, signal),
      this.#client.execute('migrate', resume ? { uri, resume } : { uri }, signal),
    ]);
  }

  async sample(signal: AbortSignal): Promise<MemorySample> {
    const until = performance.now() + SETTLED_MS;
    for (;;) {
      const state = await this.#watch.migration(signal);
      // The final figures follow `completed` after a moment.
      const settled = state.status !== 'completed' || (state['total-time'] ?? 0) > 0;
      if (settled || performance.now() > until) return sampleOf(state, this.#memoryBytes);
      await systemClock.sleep(5, signal);
    }
  }

  async levers(signal: AbortSignal): Promise<readonly SteeringMeasure[]> {
    const query = 'query-migrate-capabilities';
    return leversOf(await this.#client.query(query, {}, answers.capabilityList, signal));
  }

  async adjust(change: StreamChange, signal: AbortSignal): Promise<void> {
    await this.#client.execute('migrate-set-parameters', changedParameters(change), signal);
  }

  async startPostcopy(signal: AbortSignal): Promise<void> {
    const stopping = (): void => {
      this.#stopped = true;
      this.#watch.expectStop();
    };
    this.#stopped = await startPostcopy(this.#client, this.#watch, signal, stopping);
  }

  async continueSwitchover(signal: AbortSignal): Promise<void> {
    const answer = await this.#client.request(
      'migrate-continue',
      { state: 'pre-switchover' },
      signal,
    );
    if (answer.ok) return;
    const { stream } = await this.status(signal);
    if (/^(device|completed|postcopy-)/.test(stream)) return;
    throw this.#client.refused('migrate-continue', answer.reason);
  }

  /** Waits until a guest that QEMU stopped for the switchover runs again. */
  async cancel(signal: AbortSignal): Promise<HypervisorStatus> {
    return withDeadline('cancelling the migration', CANCEL_MS, signal, (inner) =>
      takeBack(this.#client, this.#watch, this.#stopped, inner),
    );
  }

  async recover(
    address: string,
    tlsHostname: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    await pauseStream(this.#client, this.#watch, signal);
    await this.#connect(address, tlsHostname, true, signal);
  }

  async resumeGuest(permission: StartPermission, signal: AbortSignal): Promise<void> {
    permission.mustCover(this.handle.name);
    await runAgain(this.#client, this.handle, signal);
  }

  async startFromDisks(permission: StartPermission, signal: AbortSignal): Promise<void> {
    permission.mustCover(this.handle.name);
    await startFromDisks(this.#client, this.handle, signal);
  }

  async startAgain(
    withinMs: number,
    permission: StartPermission,
    signal: AbortSignal,
  ): Promise<void> {
    permission.mustCover(this.handle.name);
    await startAgain(this.#client, this.handle, withinMs, signal);
  }

  async unconfigure(signal: AbortSignal): Promise<void> {
    const capabilities = await this.#client.query(
      'query-migrate-capabilities',
      {},
      answers.capabilityList,
      signal,
    );
    const off = capabilitiesOff(capabilities.map(({ capability }) => capability));
    await this.#client.execute('migrate-set-parameters', this.#found ?? DEFAULT_PARAMETERS, signal);
    await this.#client.execute('migrate-set-capabilities', { capabilities: off }, signal);
    await dropObjects(this.#client, signal);
    await removeCredentials(this.#setup?.credentials, 'client');
  }

  async quit(signal: AbortSignal): Promise<void> {
    this.#watch.expectEnd();
    const tpm = await tpmBeside(this.handle);
    if (lifeOf(this.handle).state !== 'gone') {
      const quitMs = QUIT_MS + endingMsOf(this.handle);
      // QEMU may exit before it answers.
      await this.#client.request('quit', {}, signal).catch(() => undefined);
      await waitForExit(this.handle, quitMs, signal).catch(() =>
        killProcess(this.handle, QUIT_MS, signal),
      );
    }
    await removeCredentials(this.#setup?.credentials, 'client');
    const directory = path.dirname(this.handle.monitor);
    await leaveTpm(tpm, directory, signal);
    await returnFiles(directory);
    await removeCgroup(directory);
    for (const socket of this.#context.sockets) await rm(socket, { force: true });
  }

  readonly close = async (): Promise<void> => this.#watch.close();
}

interface InspectionRequest {
  readonly stream: Omit<StreamSettings, 'tls'>;
  readonly unplug: readonly string[];
  /** Missing devices are ignored, because they may never have been plugged in. */
  readonly isWayBack: boolean;
}

/** Describes a running guest without the devices to unplug. Changes nothing. */
async function lookAt(
  handle: QemuHandle,
  client: QmpClient,
  { host, images: store, baseline }: SessionContext,
  { stream, unplug, isWayBack }: InspectionRequest,
  signal: AbortSignal,
): Promise<Inspection> {
  // Taken first, so that a change during the other reads shows in the next comparison.
  const [process, snapshot] = await Promise.all([
    processOf(handle, host),
    readSnapshot(client, signal),
  ]);
  const [all, abilities, hints, balloon, ran] = await Promise.all([
    readFacts(client, process, signal),
    readAbilities(client, handle.pid, stream, signal),
    freePageHints(client, signal),
    balloonNow(client, signal),
    ranInner(client, signal),
  ]);
  const answered = { ...all, devices: await withAnswers(all.devices, handle.pid) };
  const ids = isWayBack ? unplug.filter((id) => liveOf(answered, id) !== undefined) : unplug;
  const { facts, ...unplugging } = await lookWithout(client, answered, ids, signal);
  const halted = await readHalt(client, facts.status, signal);
  const parts = { store, signal, unplugging, halted, pid: handle.pid };
  const found = await inspectFacts(handle.name, facts, abilities, stream, parts);
  const images = await openImages(handle, found);
  const fits = await guestFits(baseline, facts, signal);
  const own = [
    ...named('image-identity', images.found),
    ...named('inner-guests', judgeInnerGuests(facts, ran)),
    ...named('memory', judgeInflated(balloon)),
    ...named('free-pages', judgeFreePages(hints, stream.mode)),
    ...named('process-settings', judgeProcessSettings(await processSettings(handle.pid))),
  ];
  const checks = [...found.checks, ...own, ...fits];
  const nics = nicsWithPorts(facts);
  return { ...found, checks, identities: images.identities, nics, snapshot };
}

function named(name: CheckName, findings: readonly Finding[]): NamedCheck[] {
  return findings.map((finding) => ({ name, side: 'source', ...finding }));
}

async function openImages(
  { name, pid }: Pick<QemuHandle, 'name' | 'pid'>,
  { description, files = {} }: Pick<Inspection, 'description' | 'files'>,
): Promise<{
  readonly identities: Readonly<Record<string, FileIdentity>>;
  readonly found: readonly Finding[];
}> {
  const images = imagesOf(description.disks ?? [], files);
  if (images.length === 0) return { identities: {}, found: [] };
  try {
    const seen = await identifyOpen(pid, images);
    return { identities: Object.fromEntries(seen.identities), found: judgeIdentified(name, seen) };
  } catch (thrown) {
    return { identities: {}, found: judgeIdentified(name, toGodwitError(thrown).message) };
  }
}

/** This host's files and devices, each once, because disks may share a backing file. */
function imagesOf(
  disks: NonNullable<Inspection['description']['disks']>,
  files: Readonly<Record<string, string>>,
): NamedImage[] {
  const found = new Map<string, NamedImage>();
  for (const { name: device, images } of disks) {
    for (const { node, allocatedBytes } of images) {
      const file = files[node];
      if (file === undefined || isOnNetwork(file) || found.has(node)) continue;
      found.set(node, { node, device, file, allocatedBytes });
    }
  }
  return [...found.values()];
}

export interface SessionContext {
  readonly host: string;
  readonly watch: MonitorWatch;
  readonly images: ImageStore;
  readonly sockets: readonly string[];
  readonly baseline?: SetBaseline | undefined;
}
