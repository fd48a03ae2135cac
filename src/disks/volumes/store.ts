import { formatBytes } from '../../protocol/quantity.ts';

/**
 * State of a volume group or ZFS data set, and decisions to make volumes there. A migration's volume carries its id
 * as a mark from creation to handover, so it is never confused with others. Pure.
 */

export interface Volume {
  readonly name: string;
  readonly bytes: number;
  /** Migration that made it and has not handed it over; undefined: not a migration's. */
  readonly mark: string | undefined;
}

export interface Store {
  readonly volumes: readonly Volume[];
  readonly freeBytes: number;
  /** Volume sizes are multiples of this. */
  readonly unitBytes: number;
}

export interface Refusal {
  readonly reason: string;
  readonly hint: string;
}

/** A store, or the reason why volumes cannot be made in it. */
export type StoreLookup = { readonly store: Store } | { readonly refused: Refusal };

export interface VolumeRequest {
  readonly name: string;
  readonly bytes: number;
  /** Migration that makes it; undefined in a check. */
  readonly migration: string | undefined;
}

/** make: the name is free; made: already made for this migration. */
export type Judgement = 'make' | 'made' | Refusal;

export function judgeVolume(
  { volumes, unitBytes }: Store,
  { name, bytes, migration }: VolumeRequest,
  called: string,
): Judgement {
  const there = volumes.find((each) => each.name === name);
  if (there !== undefined) {
    const isOwn = migration !== undefined && there.mark === migration;
    if (isOwn && there.bytes === bytes) return 'made';
    const origin = there.mark === undefined ? 'It' : `Migration ${there.mark} made it, and it`;
    return {
      reason: `${called} is there already`,
      hint: `Godwit overwrites no volume. ${origin} may hold the only copy of a guest’s last writes. Rename it, or remove it once its guest is proven to run from another copy, or name the source’s volume otherwise.`,
    };
  }
  if (bytes > 0 && bytes % unitBytes === 0) return 'make';
  return {
    reason: `its ${bytes} bytes are no multiple of ${formatBytes(unitBytes)}, which volumes there are made of, and a guest’s disk keeps its size`,
    hint: 'Enlarge the source’s volume to a multiple of it while the guest is shut down, or take storage with a smaller unit.',
  };
}

/** Total space of the volumes still to be made. */
export function neededBytes(store: Store, wanted: readonly VolumeRequest[]): number {
  return wanted
    .filter((each) => judgeVolume(store, each, each.name) === 'make')
    .reduce((sum, { bytes }) => sum + bytes, 0);
}
