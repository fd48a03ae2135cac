import { GodwitError, godwitError, type SerialError } from '../../../errors.ts';
import {
  destinationAfter,
  type DestinationEvent,
  type DestinationState,
} from '../../../migration/direct/destination.ts';
import { destinationDurability } from '../../../migration/direct/durability.ts';
import type { Journal } from '../../../host/journal/journal.ts';

/** What this side knows: its journal, and the state that follows from it. */
export class Ledger {
  readonly #journal: Journal<DestinationEvent>;
  readonly #host: string;
  readonly #onFailure: (error: GodwitError) => void;
  readonly #listeners = new Set<() => void>();
  #state: DestinationState;
  #failure: GodwitError | undefined;

  /** `onFailure`: what was recorded may not lie on the disk; the mover must do nothing more. */
  constructor(
    journal: Journal<DestinationEvent>,
    host: string,
    state: DestinationState,
    onFailure: (error: GodwitError) => void,
  ) {
    this.#journal = journal;
    this.#host = host;
    this.#state = state;
    this.#onFailure = onFailure;
  }

  get state(): DestinationState {
    return this.#state;
  }

  /** Why nothing more may be done on the strength of this state; undefined while all is well. */
  get failure(): GodwitError | undefined {
    return this.#failure;
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** GODWIT_JOURNAL when it cannot be written, and then it has not happened; or when it cannot be synced. */
  async record(event: DestinationEvent): Promise<void> {
    // Records and state keep one order, also when an event of the hypervisor comes while another record syncs.
    try {
      this.#journal.write(event);
    } catch (cause) {
      throw this.#unwritten(cause);
    }
    this.#state = destinationAfter(this.#state, event);
    for (const listener of this.#listeners) listener();
    try {
      await this.#journal.settle(destinationDurability(event));
    } catch (cause) {
      // The next mover reads what lies on the disk; this one would answer for what may not.
      this.#failure = this.#unwritten(cause);
      this.#onFailure(this.#failure);
      throw this.#failure;
    }
  }

  /** Why the source gives the migration up, where it says so. An observation of this side is not replaced. */
  async gaveUp(because: SerialError | undefined): Promise<void> {
    if (because === undefined || this.#state.error !== undefined) return;
    await this.record({ type: 'failed', error: because });
  }

  #unwritten(cause: unknown): GodwitError {
    if (cause instanceof GodwitError) return cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    return godwitError('GODWIT_JOURNAL', { host: this.#host, reason }, { cause });
  }
}
