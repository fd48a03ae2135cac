/** A fault made ready: what takes time is done before the migration begins, so that it strikes within a few ms. */
import type { Scene } from '../scene.ts';
import type { Lab } from '../../lab/state.ts';

/** `S`: what it has to know of the scene. */
export interface Injector<S = Scene> {
  /** At the moment. Returns what it did, for the record. */
  strike(scene: S): Promise<string>;
  /** When the fault's time is over; also after a failure, and more than once. */
  clear(): Promise<void>;
  /** Once the migration has ended: what the fault needed and the next cell must not find. */
  afterwards?(): Promise<void>;
}

export interface FaultSite {
  readonly lab: Lab;
  readonly from: string;
  readonly to: string;
  /** 0..1, from the run's seed and the cell. */
  readonly chance: number;
}
