import type { Log } from '../../../log.ts';
import type { DestinationSession } from '../../../port/direct.ts';
import type { AgentConfig } from '../../../config.ts';
import { withDeadline } from '../../../deadline.ts';
import { GodwitError, toGodwitError } from '../../../errors.ts';
import type { HookFacts } from '../../../hooks/hooks.ts';
import { runHook, runLateHook } from '../../../hooks/runner.ts';
import { comesCold } from '../../../migration/direct/cold.ts';
import type { DestinationState } from '../../../migration/direct/destination.ts';
import { mustBeFree, tapName } from '../../../network/tap.ts';
import type { Preparation } from '../../../protocol/peer/migration.ts';
import { checkAdmitted } from './admitted.ts';
import type { Ledger } from './ledger.ts';
import { streamSetup, type DestinationContext } from './destination-context.ts';
import { FirstFrame } from './first-frame.ts';
import { GuestPorts, removePorts, settleTunnels } from './ports.ts';
import { DestinationBackingFiles } from './disks/backing-files.ts';
import { backingFilePaths } from './disks/backing-plan.ts';
import { DestinationCompare } from './disks/compare.ts';
import { DestinationDisks } from './disks/disks.ts';
import { discardImages, imagesToMake, keepImages, makeImages } from './disks/images.ts';
import {
  filesToOpen,
  mustHaveOpened,
  refuseWrittenBackingFiles,
  withOwnPlaces,
} from './disks/storage.ts';
import { DestinationDataPath } from './data-path.ts';
import { plugAll } from './verify.ts';

/** One monitor command, ms. */
const GIVING_BACK_MS = 10_000;
/** An announcement that takes longer holds nobody up, ms. */
const ANNOUNCED_MS = 5000;

/** What building takes, and what it has made. */
export interface BuildContext extends DestinationContext {
  readonly dataPath: DestinationDataPath;
  readonly disks: DestinationDisks;
  readonly compare: DestinationCompare;
  readonly backingFiles: DestinationBackingFiles;
  readonly ports: GuestPorts;
  readonly firstFrame: FirstFrame;
  /** Settled once the network was told where the guest is. Never rejects. */
  announced: Promise<void>;
}

/** What is done of the guest's disks for a call of the source. */
export type DisksWork<T> = (
  context: BuildContext,
  hypervisor: DestinationSession,
  ledger: Ledger,
) => Promise<T>;

export function buildContext(context: DestinationContext): BuildContext {
  const ports = new GuestPorts(context.config, () => context.clock.monotonicMs());
  // What is mapped for this guest counts as if it were configured.
  const config = { ...context.config, bridges: ports.bridges };
  const disks = new DestinationDisks(context);
  const compare = new DestinationCompare(context);
  const backingFiles = new DestinationBackingFiles(context);
  const firstFrame = new FirstFrame(context.clock);
  const dataPath = new DestinationDataPath(context);
  const own = { config, dataPath, disks, compare, backingFiles, ports, firstFrame };
  return { ...context, ...own, announced: Promise.resolve() };
}

/** Makes the guest's ports and its paused hypervisor. The journal has each thing before it is made. */
export async function build(
  context: BuildContext,
  ledger: Ledger,
  session: DestinationSession,
  asked: Preparation,
  signal: AbortSignal,
): Promise<void> {
  const { dataPath } = context;
  const preparation = await withOwnPlaces(context, asked, true);
  refuseWrittenBackingFiles(context.config, preparation.description, ledger.state.bases);
  const { name: guest } = preparation.description;
  const { admission } = ledger.state;
  const nics = session.nics(preparation.description);
  checkAdmitted(context.config, admission, preparation, nics);
  const refusal = (await context.ports.map(preparation, signal)).find(({ error }) => error);
  if (refusal?.error !== undefined) throw new GodwitError(refusal.error);
  const { id, from } = admission;
  const ports = Object.fromEntries(nics.map((nic, index) => [nic.id, tapName(id, index)]));
  const images = await imagesToMake(context.config, preparation, signal, id);
  const directories = images.flatMap((image) => image.directories);
  // Once recorded they belong to this migration, and its undo removes them.
  const own = new Set(Object.values(ledger.state.ports));
  for (const port of Object.values(ports)) {
    if (!own.has(port)) await mustBeFree(id, port, signal);
  }
  await ledger.record({ type: 'preparing', preparation, ports, directories });
  try {
    const owner = await session.user?.(signal);
    for (const nic of nics) {
      const port = ports[nic.id];
      if (port !== undefined) await context.ports.make(nic, { port, owner }, guest, signal);
    }
    const { config } = context;
    await runHook(config, 'prepare-destination', () => hookFacts(ledger.state, config), signal);
    await context.ports.bound(preparation.networks ?? [], ports, signal);
    const setup = streamSetup(context, preparation, from, dataPath.socketFor(ledger.state));
    const there = new Map([
      ...(await filesToOpen(context, preparation)),
      ...(await backingFilePaths(config, ledger.state, session.disks?.images, signal)),
    ]);
    const own = { migration: id, preparation, images, files: there };
    const files = new Map([...there, ...(await makeImages(session, own, signal))]);
    const taps = new Map(Object.entries(ports));
    const started = await session.start(preparation.description, setup, taps, signal, files);
    await mustHaveOpened(context, session, preparation, files, signal);
    const memoryAddress = await dataPath.address(ledger.state, started.memoryAddress);
    const { handle, launch } = started;
    const later = launch !== undefined && comesCold(ledger.state) ? { launch } : {};
    await ledger.record({ type: 'prepared', handle, memoryAddress, ...later });
  } catch (thrown) {
    dataPath.abort('it could not be prepared');
    await ledger.record({ type: 'failed', error: toGodwitError(thrown).toJSON() });
    throw thrown;
  }
}

/** Breaks off what comes in from the source. */
export function abortAll(
  { dataPath, disks, backingFiles, firstFrame }: BuildContext,
  why: string,
): void {
  firstFrame.close();
  void backingFiles.stop(why);
  dataPath.abort(why);
  disks.abort(why);
}

/** The guest runs here: what only the migration needed goes. */
export async function settle(
  { config, dataPath, disks, compare, announced, log }: BuildContext,
  session: DestinationSession,
  state: DestinationState,
  signal: AbortSignal,
): Promise<void> {
  await dataPath.end(state);
  disks.abort('the migration is over');
  await compare.end(session, state, signal);
  await giveBack(session, state, signal);
  await plugLate(session, state, log, signal);
  await session.settle(signal);
  await keepImages(config, state, log, signal);
  // Its mover ends afterwards, and with it what it still announces.
  await withDeadline('the announcement', ANNOUNCED_MS, signal, () => announced).catch(
    () => undefined,
  );
}

/** The guest gets again what its balloon was asked for at the source, before it came (`--balloon`). */
async function giveBack(
  session: DestinationSession,
  { admission, preparation }: DestinationState,
  signal: AbortSignal,
): Promise<void> {
  const memoryBytes = preparation?.description.memoryBytes;
  if (admission.settings?.balloon === undefined || memoryBytes === undefined) return;
  const { run } = await session.status(signal);
  if (run !== 'gone') await session.balloon?.resize(memoryBytes, signal);
}

/** Where the source died before it asked for them: the guest gets them all the same, and no report says it. */
async function plugLate(
  session: DestinationSession,
  { admission: { settings } }: DestinationState,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  for (const { name, error } of await plugAll(session, settings?.plug ?? [], signal)) {
    if (error !== undefined) log.warn({ name, error }, 'not plugged in');
  }
}

/** Removes everything that was made here for the guest. */
export async function takeDown(
  context: BuildContext,
  session: DestinationSession,
  state: DestinationState,
  signal: AbortSignal,
): Promise<void> {
  abortAll(context, 'its guest is taken down');
  await context.backingFiles.stop('its guest is taken down');
  await session.destroy(signal);
  await removePorts(state, signal);
  await context.connections?.forget(signal);
  await discardImages(context.config, state, signal);
}

/** The guest runs here: begins to announce that to the network, which `settle` waits for, and to give its memory back. */
export function welcome(
  session: DestinationSession,
  state: DestinationState,
  context: BuildContext,
): void {
  const { config, log } = context;
  // Now, as the end may be long in coming; `settle` does it again.
  giveBack(session, state, AbortSignal.timeout(GIVING_BACK_MS)).catch((error: unknown) =>
    log.warn({ error: toGodwitError(error) }, 'its balloon still holds memory'),
  );
  void runLateHook(config, 'after-resume', () => hookFacts(state, config), log);
  context.announced = announceTo(session, state, context);
}

/** Never rejects: the guest’s own next frame announces it as well. */
async function announceTo(
  session: DestinationSession,
  state: DestinationState,
  { firstFrame, log }: Pick<BuildContext, 'firstFrame' | 'log'>,
): Promise<void> {
  const signal = AbortSignal.timeout(10_000);
  try {
    await session.announce(signal);
    // Only a NIC whose link is down has sent nothing by now. Its owner may set it up when no mover listens any more.
    if (firstFrame.isMissingOn(Object.values(state.ports))) {
      await session.announceForLong?.(signal);
    }
  } catch (error) {
    log.warn({ error: toGodwitError(error) }, 'not announced');
  }
  await settleTunnels(state, log);
}

function hookFacts(
  { admission, preparation, ports }: DestinationState,
  { name: to }: AgentConfig,
): HookFacts {
  const { id: migration, guest, from } = admission;
  const networks = preparation?.networks ?? [];
  const mode = preparation?.stream.mode ?? 'precopy';
  const rehearsal = admission.settings?.rehearse === true ? { rehearsal: true as const } : {};
  return { migration, guest, from, to, mode, ...rehearsal, networks, ports };
}
