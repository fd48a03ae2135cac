import type { DestinationState } from '../../../migration/direct/destination/destination.ts';
import {
  dataFate,
  holdsData,
  rowsToPrepare,
  ROWS_TO_PREPARE_AGAIN,
  ROWS_TO_SETTLE,
  ROWS_TO_UNDO,
  type DataFate,
  type DataRow,
  type PreparedRow,
  type SettledRow,
  type UndoneRow,
} from '../../../migration/direct/destination/destination-rows.ts';
import { defined } from '../../../protocol/defined.ts';
import { comesCold } from '../../../migration/direct/cold.ts';
import { godwitError, toGodwitError } from '../../../errors.ts';
import type { Log } from '../../../log.ts';
import type { DestinationSession, NicPlan, DestinationStart } from '../../../port/direct.ts';
import type { Identifier } from '../../../port/disks.ts';
import type { Preparation } from '../../../protocol/peer/migration.ts';
import type { ArrivedConnections } from './connections.ts';
import type { DestinationDataPath } from './data-path.ts';
import type { DestinationBackingFiles } from './disks/backing-files.ts';
import type { DestinationCompare } from './disks/compare.ts';
import type { DestinationDisks } from './disks/disks.ts';
import type { makeImages, PlannedImage } from './disks/images.ts';
import type { Ledger } from './ledger.ts';
import type { GuestPorts } from './nic-ports.ts';
import { giveBack, plugLate } from './run-guest.ts';

type Files = ReadonlyMap<string, string>;

type OfState = (state: DestinationState, signal: AbortSignal) => Promise<void>;

export interface Ways {
  readonly backingFiles: Pick<DestinationBackingFiles, 'stop' | 'discard' | 'keep'>;
  /** Absent: connections are not taken over. */
  readonly connections?: Pick<ArrivedConnections, 'forget'>;
  readonly ports: Pick<GuestPorts, 'make' | 'bound' | 'remove'>;
  readonly hook: OfState;
  /** Images of copied disks, and places of the other images, by block node. */
  readonly images: {
    readonly find: (
      state: DestinationState,
      preparation: Preparation,
      identifier: Identifier | undefined,
      signal: AbortSignal,
    ) => Promise<Files>;
    readonly make: typeof makeImages;
    readonly mustHaveOpened: (
      session: DestinationSession,
      preparation: Preparation,
      files: Files,
      signal: AbortSignal,
    ) => Promise<void>;
    readonly keep: OfState;
    readonly setAside: OfState;
    readonly discard: OfState;
  };
  readonly open: () => Promise<DestinationSession>;
  readonly dataPath: Pick<DestinationDataPath, 'setup' | 'address' | 'end' | 'abort'>;
  readonly disks: Pick<DestinationDisks, 'abort'>;
  readonly compare: Pick<DestinationCompare, 'end'>;
  readonly log: Pick<Log, 'warn'>;
}

interface UndoWays extends Ways {
  /** Records that the guest never ran here, if that is certain. */
  readonly refuse: () => Promise<void>;
}

export interface BuildPlan {
  readonly preparation: Preparation;
  readonly nics: readonly NicPlan[];
  readonly ports: Readonly<Record<string, string>>;
  readonly images: readonly PlannedImage[];
}

interface RowResults {
  readonly files: Files;
  readonly started?: DestinationStart;
}

interface Work {
  readonly plan: BuildPlan;
  readonly state: DestinationState;
  readonly made: RowResults;
}

type Do = (ways: Ways, work: Work, signal: AbortSignal) => Promise<Partial<RowResults> | void>;
type Undo = (ways: UndoWays, state: DestinationState, signal: AbortSignal) => Promise<void>;
type IfRan = (
  ways: Ways,
  state: DestinationState,
  fate: Exclude<DataFate, 'remove'>,
  signal: AbortSignal,
) => Promise<void>;
type Settle = (ways: Ways, state: DestinationState, signal: AbortSignal) => Promise<void>;

/** The compiler requires exactly the handlers named by `ROWS`. Each may run twice. */
type Lifecycle = { readonly [Row in PreparedRow]: { readonly do: Do } } & {
  readonly [Row in UndoneRow]: { readonly undo: Undo };
} & { readonly [Row in DataRow]: { readonly ifRan: IfRan } } & {
  readonly [Row in SettledRow]: { readonly settle: Settle };
};

const TAKEN_DOWN = 'its guest is taken down';

/**
 * A direct migration at its destination: each row with its handlers to make it, undo it, and settle it once the guest
 * runs here. Dependencies, and reasons for a missing undo, are in migration/direct/destination/destination-rows.ts.
 */
export const LIFECYCLE: Lifecycle = {
  seed: {
    undo: async ({ backingFiles }, state) => {
      await backingFiles.stop(TAKEN_DOWN);
      await backingFiles.discard(state);
    },
    ifRan: async ({ backingFiles }, state) => {
      await backingFiles.stop(TAKEN_DOWN);
      await backingFiles.keep(state);
    },
    settle: ({ backingFiles }, state) => backingFiles.keep(state),
  },

  connections: {
    undo: async ({ connections }, _state, signal) => connections?.forget(signal),
  },

  ports: {
    do: async ({ ports, open }, { plan }, signal) => {
      const { name: guest } = plan.preparation.description;
      const owner = await (await open()).user?.(signal);
      for (const nic of plan.nics) {
        const port = plan.ports[nic.id];
        if (port !== undefined) await ports.make(nic, { port, owner }, guest, signal);
      }
    },
    undo: ({ ports }, state, signal) => ports.remove(state, signal),
  },

  hook: {
    do: async ({ hook, ports }, { plan, state }, signal) => {
      await hook(state, signal);
      await ports.bound(plan.preparation.networks ?? [], plan.ports, signal);
    },
  },

  files: {
    do: async ({ images, open }, { plan, state }, signal) => {
      const identifier = (await open()).disks?.images;
      return { files: await images.find(state, plan.preparation, identifier, signal) };
    },
  },

  images: {
    do: async ({ images, open }, { plan, state, made: { files } }, signal) => {
      const making = { migration: state.admission.id, ...plan, files };
      return { files: new Map([...files, ...(await images.make(await open(), making, signal))]) };
    },
    undo: ({ images }, state, signal) => images.discard(state, signal),
    ifRan: ({ images }, state, fate, signal) =>
      fate === 'keep' ? images.keep(state, signal) : images.setAside(state, signal),
    settle: ({ images }, state, signal) => images.keep(state, signal),
  },

  hypervisor: {
    do: async ({ open, dataPath, images }, { plan, state, made: { files } }, signal) => {
      const { preparation } = plan;
      const session = await open();
      const setup = dataPath.setup(state, preparation);
      const taps = new Map(Object.entries(plan.ports));
      const started = await session.start(preparation.description, setup, taps, signal, files);
      await images.mustHaveOpened(session, preparation, files, signal);
      return { started };
    },
    undo: async ({ open }, _state, signal) => (await open()).destroy(signal),
    ifRan: async ({ open }, _state, _fate, signal) =>
      (await open()).destroy(signal, { keepsData: true }),
    settle: async ({ open, log }, state, signal) => {
      const session = await open();
      await giveBack(session, state, signal);
      await plugLate(session, state, log, signal);
      await session.settle(signal);
    },
  },

  memory: {
    do: async ({ dataPath }, { state, made }) => {
      const started = startedIn(made);
      const memoryAddress = await dataPath.address(state, started.memoryAddress);
      return { started: { ...started, memoryAddress } };
    },
    undo: async ({ dataPath }) => dataPath.abort(TAKEN_DOWN),
    settle: ({ dataPath }, state) => dataPath.end(state),
  },

  disks: {
    undo: async ({ disks }) => disks.abort(TAKEN_DOWN),
    settle: async ({ disks, compare, open }, state, signal) => {
      disks.abort('the migration is over');
      await compare.end(await open(), state, signal);
    },
  },

  arm: {
    undo: async ({ refuse }, { right }) => {
      if (right !== 'running' && right !== 'refused') await refuse();
    },
  },
};

function startedIn({ started }: RowResults): DestinationStart {
  if (started !== undefined) return started;
  throw godwitError('GODWIT_INTERNAL', { what: 'a guest without its hypervisor' });
}

export async function make(
  ways: Ways,
  ledger: Pick<Ledger, 'state' | 'record'>,
  plan: BuildPlan,
  signal: AbortSignal,
): Promise<void> {
  const { preparation } = plan;
  const directories = plan.images.flatMap((image) => image.directories);
  await ledger.record({ type: 'preparing', preparation, ports: plan.ports, directories });
  try {
    let made: RowResults = { files: new Map() };
    for (const row of rowsToPrepare(preparation)) {
      const work = { plan, state: ledger.state, made };
      made = { ...made, ...(await LIFECYCLE[row].do(ways, work, signal)) };
    }
    const { handle, memoryAddress, launch } = startedIn(made);
    const later = launch !== undefined && comesCold(ledger.state) ? { launch } : {};
    await ledger.record({ type: 'prepared', handle, memoryAddress, ...later });
  } catch (thrown) {
    ways.dataPath.abort('it could not be prepared');
    await ledger.record({ type: 'failed', error: toGodwitError(thrown).toJSON() });
    throw thrown;
  }
}

/** Undoes a half-made preparation at a takeover; the source asks for it again. */
export async function undoPreparation(
  ways: Ways,
  { state }: Pick<Ledger, 'state'>,
  signal: AbortSignal,
): Promise<void> {
  const own = { ...ways, refuse: async () => undefined };
  for (const row of ROWS_TO_PREPARE_AGAIN) await undoRow(row, own, state, signal);
}

async function undoRow(
  row: UndoneRow,
  ways: UndoWays,
  state: DestinationState,
  signal: AbortSignal,
): Promise<void> {
  const fate = dataFate(state);
  if (fate !== 'remove' && holdsData(row)) await LIFECYCLE[row].ifRan(ways, state, fate, signal);
  else await LIFECYCLE[row].undo(ways, state, signal);
}

export interface TakingDown {
  readonly why: string;
  /** The guest certainly never ran here, or the source reports so. Default: yes. */
  readonly mayRefuse?: boolean | undefined;
  /** The source has sent no commit: it is certain, whatever this side has forgotten. */
  readonly neverRan?: true | undefined;
  /** The source itself asked for it, or never asks how this side ended. Default: no. */
  readonly known?: boolean | undefined;
}

/** Undoes the table in reverse. If the guest may have run here, its data stays. */
export async function takeDown(
  ways: Ways,
  ledger: Pick<Ledger, 'state' | 'record'>,
  { why, mayRefuse = true, neverRan, known = false }: TakingDown,
  signal: AbortSignal,
): Promise<void> {
  const { epoch } = ledger.state.admission;
  const refuse = async (): Promise<void> => {
    if (!mayRefuse) return;
    await ledger.record({ type: 'refused', epoch, why, ...defined({ neverRan }) });
  };
  const own = { ...ways, refuse };
  for (const row of ROWS_TO_UNDO) await undoRow(row, own, ledger.state, signal);
  // A guest that ran here has ended here.
  const type = ledger.state.right === 'running' ? 'finished' : 'released';
  await ledger.record({ type, told: known });
}

/** Removes what only the migration needed, once the guest runs here. */
export async function settle(
  ways: Ways,
  { state }: Pick<Ledger, 'state'>,
  signal: AbortSignal,
): Promise<void> {
  for (const row of ROWS_TO_SETTLE) await LIFECYCLE[row].settle(ways, state, signal);
}
