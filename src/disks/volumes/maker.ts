import type { StoreLookup } from './store.ts';

export interface OwnVolume {
  readonly name: string;
  readonly migration: string;
}

/**
 * Makes volumes in one place: a volume group, a thin pool, a data set. ProgramError if its program fails. Every call
 * may be repeated, even by a mover that takes over.
 */
export interface Maker {
  /** Id of the place on this host; stable while the configuration is unchanged. */
  readonly id: string;
  /** Name for people: `the volume group vg0`. */
  readonly where: string;
  readonly program: { readonly name: string; readonly package: string };
  called(name: string): string;
  nameProblem(name: string): string | undefined;
  /** Existing volumes of these names; read-only. */
  look(names: readonly string[], signal: AbortSignal): Promise<StoreLookup>;
  /** Makes it with the migration's mark in one step. */
  make(volume: OwnVolume & { readonly bytes: number }, signal: AbortSignal): Promise<void>;
  /** Removes the mark, so that the volume is not removed any more; does nothing without the mark. */
  keep(volume: OwnVolume, signal: AbortSignal): Promise<void>;
  /** Removes a volume with the mark, once no hypervisor has it open. */
  remove(volume: OwnVolume, signal: AbortSignal): Promise<void>;
}

/** Limit of queries, ms; the source waits 15 s for the destination's whole report on a guest. */
export const LOOK_MS = 5000;
/** Limit of changes, ms. */
export const CHANGE_MS = 30_000;
