import { formatBytes } from '../../protocol/quantity.ts';

/**
 * What a volume group or a data set of ZFS holds, and whether a volume can be made there. Each volume that a migration makes
 * carries its id as a mark from the moment it is there until it is handed over, so nobody takes it for anything else. Pure.
 */

export interface Volume {
  readonly name: string;
  readonly bytes: number;
  /** The migration that made it and has not handed it over; undefined: it is somebody's. */
  readonly mark: string | undefined;
}

export interface Store {
  /** Those among the names that were asked for. */
  readonly volumes: readonly Volume[];
  /** For new volumes. */
  readonly freeBytes: number;
  /** Each volume's size is a multiple of it. */
  readonly unitBytes: number;
}

export interface Refusal {
  readonly reason: string;
  readonly hint: string;
}

/** A store, or why there is none in which volumes can be made. */
export type StoreLookup = { readonly store: Store } | { readonly refused: Refusal };

export interface VolumeRequest {
  readonly name: string;
  readonly bytes: number;
  /** The migration that makes it; undefined where none is to make anything yet. */
  readonly migration: string | undefined;
}

/** make: nothing is in its way; made: an earlier mover of this migration made it. */
export type Judgement = 'make' | 'made' | Refusal;

/** `called`: the volume as its programs call it. */
export function judgeVolume(
  { volumes, unitBytes }: Store,
  { name, bytes, migration }: VolumeRequest,
  called: string,
): Judgement {
  const there = volumes.find((each) => each.name === name);
  if (there !== undefined) {
    const isOwn = migration !== undefined && there.mark === migration;
    if (isOwn && there.bytes === bytes) return 'made';
    return {
      reason: `${called} is there already`,
      hint: 'Godwit overwrites no volume. Remove or rename it, if no guest needs it, or name the source’s volume otherwise.',
    };
  }
  if (bytes > 0 && bytes % unitBytes === 0) return 'make';
  return {
    reason: `its ${bytes} bytes are no multiple of ${formatBytes(unitBytes)}, which volumes there are made of, and a guest’s disk keeps its size`,
    hint: 'Enlarge the source’s volume to a multiple of it while the guest is shut down, or take storage with a smaller unit.',
  };
}

/** What the volumes that are yet to be made take together. */
export function neededBytes(store: Store, wanted: readonly VolumeRequest[]): number {
  return wanted
    .filter((each) => judgeVolume(store, each, each.name) === 'make')
    .reduce((sum, { bytes }) => sum + bytes, 0);
}
