import type { StoreLookup } from './store.ts';

/** A volume that a migration makes, by its name in the store. */
export interface OwnVolume {
  readonly name: string;
  readonly migration: string;
}

/**
 * Makes volumes in one place: a volume group, a thin pool, a data set. ProgramError where its program fails. Every call may
 * be repeated, also by a mover that takes over.
 */
export interface Maker {
  /** Which place it is, for this host alone; it lasts for as long as the configuration says the same. */
  readonly id: string;
  /** In words: `the volume group vg0`. */
  readonly where: string;
  readonly program: { readonly name: string; readonly package: string };
  /** As its programs call a volume. */
  called(name: string): string;
  /** Why there can be no volume of that name. */
  nameProblem(name: string): string | undefined;
  /** What is there, among volumes of these names. Changes nothing. */
  look(names: readonly string[], signal: AbortSignal): Promise<StoreLookup>;
  /** Makes it with the mark of the migration, in one step. */
  make(volume: OwnVolume & { readonly bytes: number }, signal: AbortSignal): Promise<void>;
  /** The mark goes, so that nobody removes it any more; without the mark nothing is done. */
  keep(volume: OwnVolume, signal: AbortSignal): Promise<void>;
  /** The volume goes, if it has the mark. Once no hypervisor has it open. */
  remove(volume: OwnVolume, signal: AbortSignal): Promise<void>;
}

/** For what only asks, ms: the source waits 15 s for all that the destination says of a guest. */
export const LOOK_MS = 5000;
/** For what changes something, ms. */
export const CHANGE_MS = 30_000;
