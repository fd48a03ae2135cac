import type { GuestSnapshot } from '../../migration/guest-changes/snapshot.ts';

/** What a source whose guest can be compared again while it moves offers; absent if the driver cannot. */
export interface MayCompare {
  /**
   * Reads what the guest is made of now, to be compared with another moment of its move. Takes a few ms even while the
   * guest is stopped for the switch.
   */
  snapshot?(signal: AbortSignal): Promise<GuestSnapshot>;
  /** Calls back when the guest may have been changed; not every change has an event. Returns a function that stops it. */
  onChange?(listener: () => void): () => void;
}
