import type { DestinationSession } from '../../../port/direct.ts';
import { GodwitError, toGodwitError } from '../../../errors.ts';
import { runHook } from '../../../hooks/runner.ts';
import type { DestinationState } from '../../../migration/direct/destination/destination.ts';
import { mustBeFree, tapName } from '../../../network/tap.ts';
import type { Preparation, PrepareAnswer } from '../../../protocol/peer/migration.ts';
import { checkAdmitted } from './admitted.ts';
import { DestinationDataPath } from './data-path.ts';
import type { DestinationContext } from './destination-context.ts';
import { DestinationBackingFiles } from './disks/backing-files.ts';
import { backingFilePaths } from './disks/backing-plan.ts';
import { DestinationCompare } from './disks/compare.ts';
import { DestinationDisks } from './disks/disks.ts';
import {
  discardImages,
  imagesToMake,
  keepImages,
  makeImages,
  setImagesAside,
} from './disks/images.ts';
import {
  filesToOpen,
  mustHaveOpened,
  refuseWrittenBackingFiles,
  withOwnPlaces,
} from './disks/storage.ts';
import { FirstFrame } from './first-frame.ts';
import type { Ledger } from './ledger.ts';
import { make, type BuildPlan, type Ways } from './lifecycle.ts';
import { GuestPorts } from './nic-ports.ts';
import { hookFacts } from './run-guest.ts';

export type BuildContext = ReturnType<typeof buildContext>;

export type DisksWork<T> = (
  context: BuildContext,
  hypervisor: DestinationSession,
  ledger: Ledger,
) => Promise<T>;

export function buildContext(context: DestinationContext) {
  const ports = new GuestPorts(context.config, () => context.clock.monotonicMs());
  // Networks mapped for this guest count as configured.
  const config = { ...context.config, bridges: ports.bridges };
  const hook: Ways['hook'] = (state, signal) =>
    runHook(config, 'prepare-destination', () => hookFacts(state, config), signal);
  const images: Ways['images'] = {
    find: async (state, preparation, identifier, signal) =>
      new Map([
        ...(await filesToOpen(context, preparation)),
        ...(await backingFilePaths(config, state, identifier, signal)),
      ]),
    make: makeImages,
    mustHaveOpened,
    keep: (state, signal) => keepImages(config, state, context.log, signal),
    setAside: (state, signal) => setImagesAside(config, state, context.log, signal),
    discard: (state, signal) => discardImages(config, state, signal),
  };
  return {
    ...context,
    config,
    ports,
    hook,
    images,
    dataPath: new DestinationDataPath(context),
    disks: new DestinationDisks(context),
    compare: new DestinationCompare(context),
    backingFiles: new DestinationBackingFiles(context),
    firstFrame: new FirstFrame(context.clock),
  };
}

/** Makes the guest's ports and its paused hypervisor, each journaled before. */
export async function build(
  context: BuildContext,
  ledger: Ledger,
  ways: Ways,
  asked: Preparation,
  signal: AbortSignal,
): Promise<void> {
  const plan = await planBuild(context, ledger.state, await ways.open(), asked, signal);
  await make(ways, ledger, plan, signal);
}

/** Decides what to make, or throws the reason against it. */
async function planBuild(
  context: BuildContext,
  { admission, bases, ports: recorded }: DestinationState,
  session: DestinationSession,
  asked: Preparation,
  signal: AbortSignal,
): Promise<BuildPlan> {
  const { config } = context;
  const { id } = admission;
  const preparation = await withOwnPlaces(context, asked, true);
  refuseWrittenBackingFiles(config, preparation.description, bases);
  const nics = session.nics(preparation.description);
  checkAdmitted(config, admission, preparation, nics);
  const refusal = (await context.ports.map(preparation, signal)).find(({ error }) => error);
  if (refusal?.error !== undefined) throw new GodwitError(refusal.error);
  const ports = Object.fromEntries(nics.map((nic, index) => [nic.id, tapName(id, index)]));
  const images = await imagesToMake(config, preparation, signal, id);
  // Recorded ports belong to this migration, and its undo removes them.
  const own = new Set(Object.values(recorded));
  for (const port of Object.values(ports)) {
    if (!own.has(port)) await mustBeFree(id, port, signal);
  }
  return { preparation, nics, ports, images };
}

/** Answer to `prepare`: the address for memory, and the machine that was made. */
export async function preparedAs(
  { dataPath, log }: Pick<BuildContext, 'dataPath' | 'log'>,
  state: DestinationState,
  session: DestinationSession,
  signal: AbortSignal,
): Promise<PrepareAnswer> {
  const reported = await dataPath.prepared(state);
  try {
    const machine = await session.machine?.(signal);
    return machine === undefined ? reported : { ...reported, machine };
  } catch (thrown) {
    signal.throwIfAborted();
    // The source reports that the comparison failed; the next call finds a broken hypervisor.
    log.warn({ error: toGodwitError(thrown) }, 'what the machine is could not be read');
    return reported;
  }
}

export function abortAll(
  { dataPath, disks, backingFiles, firstFrame }: BuildContext,
  why: string,
): void {
  firstFrame.close();
  void backingFiles.stop(why);
  dataPath.abort(why);
  disks.abort(why);
}
