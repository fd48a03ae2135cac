import type { StartPermission } from '../../migration/permission/permission.ts';
import { announceForLong, announceNow } from './announce.ts';
import { removeTree } from '../../system/files/remove-tree.ts';
import { withDeadline } from '../../deadline.ts';
import { godwitError } from '../../errors.ts';
import type { ImageIdentities } from '../../migration/image-identity.ts';
import { endingMs } from '../../migration/direct/source/ending-times.ts';
import { throwRefusal, type NamedCheck } from '../../migration/preflight/check.ts';
import type { GuestDescription, StreamSettings } from '../../protocol/peer/migration.ts';
import type {
  DestinationOptions,
  DestinationSession,
  HypervisorEvent,
  HypervisorStatus,
  Listens,
  NicPlan,
  DestinationStart,
  StreamSetup,
  Launch,
} from '../../port/direct.ts';
import { devicesAmong, nicsOf, readSpec, type Match } from './assess.ts';
import { openedImages } from './images/disk-writers.ts';
import { storesOf, whyTaken } from './images/variable-store-users.ts';
import { balloonOf } from './balloon.ts';
import type { QemuProgram } from './programs/binaries.ts';
import { changeMedia, describeMedia } from './change-media.ts';
import { DestinationHold } from './destination-hold.ts';
import type { HostContext } from './host-context.ts';
import { matchWithHost, type IncomingGuest } from './match-with-host.ts';
import { QemuDiskTarget } from './images/disk-target.ts';
import { lockedBytes } from './passthrough/give-devices.ts';
import { killProcess, waitForExit } from './guest/process.ts';
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
import { ENDS_MS } from './qmp/monitor-end.ts';
import { findStarted, launch, launchCommand, type LaunchSite } from './process/launch.ts';
import { plugIn } from './plug/plugger.ts';
import { makePipes, negotiatePipes } from './qmp/pipes.ts';
import { pauseStream, listenForRecovery, recoverUnheard } from './recovery.ts';
import { resume, untilLoaded } from './resume.ts';
import { withoutParts, type MachineParts } from './same-machine/machine-parts.ts';
import { readMachine } from './same-machine/read.ts';
import { decideNodes } from './spec/disks/disks-decided.ts';
import { removeCredentials } from './tls.ts';
import { GuestTpm } from './tpm/guest-tpm.ts';
import { returnFiles } from './user/access.ts';
import { limitsFor, removeCgroup, roomOfHost, entering } from './user/cgroup.ts';
import { commandLine } from './user/command-line.ts';
import { GuestUser, makeLogDir } from './user/guest-user.ts';
import { type QemuHandle, launchIn, type QemuLaunch } from './handle.ts';
import { defined } from '../../protocol/defined.ts';
import { coldArguments } from './process/relaunch.ts';
import { confined, mayLock } from './user/confine.ts';

const END_MS = 5000;
/** A monitor greets within milliseconds while QEMU's main loop runs. */
const HEARS_MS = 1500;
type Files = IncomingGuest['disks'];

export class QemuDestination implements DestinationSession {
  readonly disks: QemuDiskTarget;
  readonly #options: DestinationOptions;
  readonly #context: HostContext;
  readonly #hold: DestinationHold;
  /** Extra time that the process may take to end because of its memory, ms. */
  readonly #moreMs: number;
  #credentials: StreamSetup['credentials'];
  readonly #user: GuestUser;
  readonly #tpm: GuestTpm;
  /** True if this migration started the process, by its journal or in this session. */
  #ours: boolean;
  async startCold(permission: StartPermission, signal: AbortSignal): Promise<QemuHandle> {
    permission.mustCover(this.#options.guest);
    return this.#cold.start(signal);
  }

  readonly #cold: ColdStart;
  readonly balloon = balloonOf(async (signal) => (await this.#hold.attached(signal)).client);

  /** `known`: the process that the journal names. */
  constructor(options: DestinationOptions, known: QemuHandle | undefined, context: HostContext) {
    this.#options = options;
    this.#context = context;
    const { host, guest, guestDir } = options;
    this.#moreMs = endingMs(options.memoryBytes ?? 0);
    const endsMs = (context.endsMs ?? ENDS_MS) + this.#moreMs;
    this.#hold = new DestinationHold({ host, guest, guestDir, endsMs }, known);
    this.#ours = known !== undefined;
    this.#cold = new ColdStart(options, this.#hold, END_MS + this.#moreMs);
    this.#user = new GuestUser(options, context.user);
    this.#tpm = new GuestTpm(options, context.tpm ?? {}, context.user);
    this.disks = new QemuDiskTarget(options, context, (signal) => this.#incoming(signal));
  }

  onEvent(listener: (event: HypervisorEvent) => void): () => void {
    return this.#hold.onEvent(listener);
  }

  readonly reattach = (signal: AbortSignal): Promise<boolean> => this.#hold.reattach(signal);

  async status(signal: AbortSignal): Promise<HypervisorStatus> {
    const hold = this.#hold;
    // A live process that cannot be reached is an error, never `gone`.
    if (hold.isOpen || (hold.handle !== undefined && (await hold.reattach(signal))))
      return hold.must().watch.status(signal);
    const reason = hold.handle ? 'its process has ended' : 'it has not been started';
    return { run: 'gone', stream: 'none', reason };
  }

  async assess(
    description: GuestDescription,
    stream: StreamSettings,
    signal: AbortSignal,
    disks: Files = new Map(),
  ): Promise<NamedCheck[]> {
    return [...(await this.#match({ description, stream, disks }, signal)).checks];
  }

  async user(): Promise<number | undefined> {
    return this.#user.number(await findStarted(this.#options, this.#hold.handle));
  }

  nics(description: GuestDescription): NicPlan[] {
    return nicsOf(readSpec(description, this.#options), this.#options);
  }

  async start(
    description: GuestDescription,
    setup: StreamSetup,
    ports: ReadonlyMap<string, string>,
    signal: AbortSignal,
    disks: Files = new Map(),
  ): Promise<DestinationStart> {
    this.#credentials = setup.credentials;
    const again = await this.#startedAlready(setup, signal);
    if (again !== undefined) return again;
    const match = await this.#match({ description, stream: setup, disks }, signal);
    const { program } = match;
    throwRefusal(match.checks);
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
  ): Promise<DestinationStart> {
    const { guest, guestDir, logDir = guestDir, host } = this.#options;
    await markIncoming(guestDir);
    const as = await this.#user.own();
    if (logDir !== guestDir) await makeLogDir(logDir, guestDir, as);
    const pipes = setup.mode !== 'precopy';
    const argv = await commandLine(match, program, { guest, guestDir, logDir, ports, pipes, as });
    if (pipes) await makePipes(guestDir, signal, as?.gid);
    const { cgroup } = this.#context;
    const limits = cgroup === 'none' ? undefined : limitsFor(match.spec, cgroup, roomOfHost());
    const place = { ...this.#options, as, limits, lockBytes: lockedBytes(match) };
    if (match.spec.tpm !== undefined) await this.#tpm.start(match.spec.tpm, place, signal);
    const { handle, client } = await launch(place, program.binary, argv, signal, (own) => {
      this.#hold.handle = own;
      this.#ours = true;
    });
    await Promise.all([
      this.#hold.take(handle, client, signal, true),
      configureIncoming(client, setup, program.capabilities, signal, as),
      proveSame(client, guest, host, match.spec, signal),
      ...(pipes ? [negotiatePipes(guestDir, { guest, host, side: 'destination' }, signal)] : []),
    ]);
    // Checked after the images are open here: of two guests that arrive at once, each may have missed the other
    // before.
    const taken = await whyTaken({ guest, host }, storesOf(match.spec, match.disks), signal);
    if (taken !== undefined) throw taken;
    await this.#tpm.assertServed(match.spec);
    return {
      handle,
      memoryAddress: await listen(client, { ...this.#options, ...setup }, signal),
      ...this.#cold.knows(program.binary, argv, place),
    };
  }

  async #startedAlready(
    { socket }: StreamSetup,
    signal: AbortSignal,
  ): Promise<DestinationStart | undefined> {
    const { guest, guestDir, host } = this.#options;
    const hold = this.#hold;
    if (!(await hold.reattach(signal)) || hold.handle === undefined) return undefined;
    if (!this.#ours && !(await isMarked(guestDir))) {
      hold.release();
      hold.handle = undefined;
      throw godwitError('GODWIT_NAME_IN_USE', { host, guest });
    }
    const { handle } = hold;
    const at = addressOf(await hold.must().watch.migration(signal), { ...this.#options, socket });
    if (at !== undefined) return { handle, memoryAddress: at, ...this.#cold.known };
    await this.destroy(signal);
    return undefined;
  }

  async resumeGuest(permission: StartPermission, signal: AbortSignal): Promise<void> {
    permission.mustCover(this.#options.guest);
    const { client, watch } = await this.#hold.attached(signal);
    await resume(client, watch, (reason) => this.#hold.judge(reason, signal), signal);
  }

  async machine(signal: AbortSignal): Promise<MachineParts> {
    const machine = await readMachine((await this.#hold.attached(signal)).client, signal);
    return withoutParts(machine, this.#options.plug ?? []);
  }

  async opened(files: Files, signal: AbortSignal): Promise<ImageIdentities | undefined> {
    const { client } = await this.#hold.attached(signal);
    const { handle } = this.#hold;
    if (handle === undefined) return undefined;
    return openedImages(client, handle.pid, files, signal);
  }

  async changeMedia(
    description: GuestDescription,
    drives: readonly string[],
    files: Files,
    signal: AbortSignal,
  ): Promise<void> {
    const { client } = await this.#hold.attached(signal);
    const { blockNodes = [] } = readSpec(description, this.#options);
    const { unlockedDirs = [] } = this.#options;
    const { disks = [] } = description;
    const devices = await devicesAmong(files);
    const nodes = decideNodes(blockNodes, disks, files, unlockedDirs, { devices });
    const media = describeMedia(this.#options, drives, disks, nodes, files);
    await this.#user.mayRead([...files.values()]);
    await changeMedia(client, this.#options, media, signal);
  }

  async ready(signal: AbortSignal): Promise<void> {
    const { client } = await this.#hold.attached(signal);
    await untilLoaded(client, (reason) => this.#hold.judge(reason, signal), signal);
  }

  async neverRan(signal: AbortSignal): Promise<boolean> {
    const { watch, handle } = this.#hold;
    if (this.#cold.failed) return true;
    if (watch?.mayHaveRun !== false || handle === undefined) return false;
    return waitForExit(handle, END_MS + this.#moreMs, signal).then(() => true);
  }

  async plug(name: string, signal: AbortSignal): Promise<void> {
    const { client } = await this.#hold.attached(signal);
    const place = { ...this.#options, devices: this.#context.devices ?? {} };
    await plugIn(place, name, client, (files) => this.#user.mayOpen(files), signal);
  }

  async announce(signal: AbortSignal): Promise<void> {
    await announceNow((await this.#hold.attached(signal)).client, signal);
  }

  async announceForLong(signal: AbortSignal): Promise<void> {
    await announceForLong((await this.#hold.attached(signal)).client, signal);
  }

  async listenAgain(signal: AbortSignal, host?: string, socket?: string): Promise<Listens> {
    const { listenHost, ports, host: name } = this.#options;
    const at = { host: host ?? listenHost, name, ports, socket };
    try {
      await withDeadline('the monitor', HEARS_MS, signal, async (inner) => {
        await this.#hold.attached(inner);
      });
    } catch (error) {
      return { memoryAddress: await recoverUnheard(this.#options, at, error, signal) };
    }
    const { client, watch } = this.#hold.must();
    await pauseStream(client, watch, signal);
    return { memoryAddress: await listenForRecovery(client, at, signal) };
  }

  async settle(signal: AbortSignal): Promise<void> {
    if (await this.reattach(signal)) await settleIncoming(this.#hold.must().client, signal);
    await removeCredentials(this.#credentials, 'server');
    await this.#user.forgetSource();
    await this.#tpm.keep();
    await unmark(this.#options.guestDir);
  }

  async destroy(
    signal: AbortSignal,
    { keepsData = false }: { readonly keepsData?: boolean } = {},
  ): Promise<void> {
    const { guestDir } = this.#options;
    const marked = await isMarked(guestDir);
    if (this.#hold.handle === undefined && !marked) return;
    const handle = await findStarted(this.#options, this.#hold.handle);
    if (handle !== undefined && !this.#ours) {
      this.#hold.handle = handle;
      // A mark may outlive its migration. A guest that runs, or that cannot be asked, is not a leftover.
      if ((await this.status(signal)).run === 'running') return;
    }
    this.#hold.release();
    // A process that is ending no longer shows its memory size.
    if (handle !== undefined) await killProcess(handle, END_MS + this.#moreMs, signal);
    await removeCredentials(this.#credentials, 'server');
    await (keepsData ? this.#tpm.end(signal) : this.#tpm.undo(signal));
    await returnFiles(guestDir);
    await removeCgroup(guestDir);
    await removeTree(guestDir);
    this.#hold.handle = undefined;
  }

  readonly close = async (): Promise<void> => this.#hold.close();

  async #match(wanted: IncomingGuest, signal: AbortSignal): Promise<Match> {
    return this.#user.checked(
      await matchWithHost(this.#options, this.#context, this.#tpm, wanted, signal),
    );
  }

  async #incoming(signal: AbortSignal) {
    if (!(await this.reattach(signal)) || this.#hold.handle === undefined) return undefined;
    return { client: this.#hold.must().client, pid: this.#hold.handle.pid };
  }
}

/**
 * Starts the guest of a cold move. The first QEMU took the disks and waited for a stream, without loading
 * firmware, so it cannot start a guest. A second QEMU replaces it and starts paused.
 */
export class ColdStart {
  readonly #place: LaunchSite;
  readonly #hold: DestinationHold;
  readonly #endMs: number;
  #launch: QemuLaunch | undefined;
  /** True if this session ended the waiting process and the next one ended before it could be resumed. */
  failed = false;

  constructor(
    place: LaunchSite & { readonly launch?: Launch },
    hold: DestinationHold,
    endMs: number,
  ) {
    this.#place = place;
    this.#hold = hold;
    this.#endMs = endMs;
    const { launch, guest, host } = place;
    this.#launch = launch === undefined ? undefined : launchIn(launch, guest, host);
  }

  /** The journal has it, so a mover that takes over starts the guest with the same launch. */
  get known(): { readonly launch?: QemuLaunch } {
    return this.#launch === undefined ? {} : { launch: this.#launch };
  }

  knows(
    binary: string,
    argv: readonly string[],
    { as, lockBytes }: Pick<LaunchSite, 'as' | 'lockBytes'>,
  ): { readonly launch?: QemuLaunch } {
    const user = as && { ...as, groups: [...as.groups], noNewPrivs: as.noNewPrivs !== false };
    this.#launch = {
      binary,
      argv: [...coldArguments(argv), '-S'],
      cwd: this.#place.guestDir,
      ...defined({ as: user, lockBytes }),
    };
    return this.known;
  }

  async start(signal: AbortSignal): Promise<QemuHandle> {
    const hold = this.#hold;
    const waiting = (await hold.reattach(signal)) ? hold.handle : undefined;
    if (waiting !== undefined) {
      const { run } = await hold.must().watch.status(signal);
      if (run !== 'incoming') return waiting;
    }
    if (this.#launch === undefined) throw await hold.judge('how to start it is not known', signal);
    if (waiting !== undefined) {
      hold.release();
      await killProcess(waiting, this.#endMs, signal);
    }
    const { binary: file, argv, as, lockBytes } = this.#launch;
    const limited = mayLock(lockBytes, confined({ file, argv }, as));
    const command = entering(this.#place.guestDir, limited);
    try {
      const { handle, client } = await launchCommand(this.#place, command, signal, (own) => {
        hold.handle = own;
      });
      await hold.take(handle, client, signal, true);
      return handle;
    } catch (error) {
      if (hold.handle !== undefined) await killProcess(hold.handle, this.#endMs, signal);
      this.failed = waiting !== undefined;
      throw await hold.judge(error instanceof Error ? error.message : String(error), signal);
    }
  }
}
