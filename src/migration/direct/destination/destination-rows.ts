import type { Preparation } from '../../../protocol/peer/migration.ts';
import type { UndoneIn } from '../../engine/rows.ts';
import type { DestinationState } from './destination.ts';
import type { DestinationEvent } from './destination-events.ts';

/**
 * Everything that a direct migration makes at its destination, as rows. A row only needs rows above it. Pure.
 *
 * seed -> connections -> ports -> hook -> files -> images -> hypervisor -> memory -> disks -> arm -> || run
 *                                                                                                    ||
 *                                                                                     point of no return
 *
 * If the guest does not come, all rows are undone in reverse order. Data that a guest may have written is never removed: if
 * the guest may have run here, rows with its data have `ifRan` in place of `undo`. Once the guest runs here, the rows are
 * settled in reverse order. A mover that finds a half-made preparation undoes only the rows of `prepare`, because the
 * source asks for it again. mover/direct/destination/lifecycle.ts carries the rows out; destination.ts judges the calls.
 */

export interface DestinationRow {
  readonly call: 'seed' | 'connections' | 'prepare' | 'disks' | 'arm' | 'commit';
  readonly does: string;
  readonly isLeftOut?: (preparation: Preparation) => boolean;
  /** Record that is synced before anything is made, so that a later mover can undo it. */
  readonly record?: DestinationEvent['type'];
  readonly unrecorded?: string;
  readonly undo: string | undefined;
  readonly noUndo?: string;
  /** In place of `undo` if the guest may have run here: its data stays. Undefined: the row holds none. */
  readonly ifRan?: string;
  /** Cleanup once the guest runs here; undefined: none. */
  readonly settle?: string;
}

const copiesNothing = ({ copies = [] }: Preparation): boolean => copies.length === 0;

const ENDS_WITH_MOVER = 'it ends with its mover';

const TABLE = {
  seed: {
    call: 'seed',
    does: 'take the backing files that this host lacks',
    record: 'seeding',
    undo: 'stop taking them; remove them and the directories made for them',
    ifRan: 'they stay below the images',
    settle: 'they are the guest’s own',
  },
  // Undone after the ports, because a frame through a port would restore an entry.
  connections: {
    call: 'connections',
    does: 'put the guest’s connections into this host’s tracking',
    unrecorded: 'entries time out by themselves',
    undo: 'remove the entries that were not there before',
  },
  ports: {
    call: 'prepare',
    does: 'make the guest’s ports, silent',
    record: 'preparing',
    undo: 'remove them',
  },
  hook: {
    call: 'prepare',
    does: 'call the hook `prepare-destination`; wait until the network’s controller has bound the ports',
    undo: undefined,
    noUndo: 'the source calls `after-rollback`',
  },
  files: {
    call: 'prepare',
    does: 'find the images that are here already',
    undo: undefined,
    noUndo: 'it only reads',
  },
  images: {
    call: 'prepare',
    does: 'make empty images for the disks that will be copied; left out if there are none',
    isLeftOut: copiesNothing,
    record: 'preparing',
    undo: 'remove them and the directories made for them',
    ifRan: 'they stay; a file is renamed to `NAME.moved-ID` if its source has taken the guest back',
    settle: 'they are the guest’s own',
  },
  hypervisor: {
    call: 'prepare',
    does: 'start the paused hypervisor; see that it has opened the guest’s images',
    record: 'preparing',
    undo: 'end it; remove the guest’s directory',
    ifRan: 'end it; the state of its TPM and the files of a container stay',
    settle: 'give the guest its memory and devices; take back what only the stream needed',
  },
  memory: {
    call: 'prepare',
    does: 'listen for memory',
    unrecorded: ENDS_WITH_MOVER,
    undo: 'break the stream off',
    settle: 'let the end of the stream through; close it',
  },
  disks: {
    call: 'disks',
    does: 'listen for the content of copied disks; left out if there are none',
    isLeftOut: copiesNothing,
    unrecorded: ENDS_WITH_MOVER,
    undo: 'break the copying off',
    settle: 'close it; end the comparison of disks',
  },
  arm: {
    call: 'arm',
    does: 'write armed(epoch), synced',
    record: 'armed',
    undo: 'write refused(epoch), synced, unless the guest ran here',
  },
  run: {
    call: 'commit',
    does: 'run the guest',
    record: 'committed',
    undo: undefined,
    noUndo: 'point of no return: the guest may run here',
  },
} as const satisfies Readonly<Record<string, DestinationRow>>;

export type RowName = keyof typeof TABLE;
export const ROW_NAMES = Object.keys(TABLE) as RowName[];

export const ROWS: Readonly<Record<RowName, DestinationRow>> = TABLE;

/** Rows of `prepare`, with an undo, and with a settling: the compiler requires a handler for each. */
export type PreparedRow = {
  [Row in RowName]: (typeof TABLE)[Row]['call'] extends 'prepare' ? Row : never;
}[RowName];
export type UndoneRow = UndoneIn<typeof TABLE>;
export type SettledRow = {
  [Row in RowName]: (typeof TABLE)[Row] extends { readonly settle: string } ? Row : never;
}[RowName];

/** Rows that hold the guest's data. */
export type DataRow = {
  [Row in RowName]: (typeof TABLE)[Row] extends { readonly ifRan: string } ? Row : never;
}[RowName];
export const holdsData = (row: RowName): row is DataRow => ROWS[row].ifRan !== undefined;

/**
 * The guest's data when the destination takes the guest down. `keep`: the guest ran here and has ended, and no other host has
 * its last writes. `set-aside`: it may have run here, and its source runs it again or decides about it; the files make room
 * for another arrival.
 */
export type DataFate = 'remove' | 'keep' | 'set-aside';

export function dataFate({ right, mayHaveRun }: DestinationState): DataFate {
  if (!mayHaveRun) return 'remove';
  return right === 'running' ? 'keep' : 'set-aside';
}

const isPrepared = (row: RowName): row is PreparedRow => ROWS[row].call === 'prepare';
const isUndone = (row: RowName): row is UndoneRow => ROWS[row].undo !== undefined;
const isSettled = (row: RowName): row is SettledRow => ROWS[row].settle !== undefined;

export function rowsToPrepare(preparation: Preparation): PreparedRow[] {
  return ROW_NAMES.filter(isPrepared).filter((row) => ROWS[row].isLeftOut?.(preparation) !== true);
}

const LAST_FIRST: readonly RowName[] = ROW_NAMES.toReversed();

/** The table in reverse. An undo may run twice, and for a row that was never made. */
export const ROWS_TO_UNDO: readonly UndoneRow[] = LAST_FIRST.filter(isUndone);

export const ROWS_TO_PREPARE_AGAIN: readonly UndoneRow[] = ROWS_TO_UNDO.filter(isPrepared);

export const ROWS_TO_SETTLE: readonly SettledRow[] = LAST_FIRST.filter(isSettled);
