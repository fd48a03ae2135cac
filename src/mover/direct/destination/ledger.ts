import { GodwitError, godwitError, type SerialError } from '../../../errors.ts';
import {
  destinationAfter,
  type DestinationEvent,
  type DestinationState,
} from '../../../migration/direct/destination/destination.ts';
import { destinationDurability } from '../../../migration/direct/durability.ts';
import type { Journal } from '../../../host/journal/journal.ts';

export class Ledger {
  readonly #journal: Journal<DestinationEvent>;
  readonly #host: string;
  readonly #onFailure: (error: GodwitError) => void;
  readonly #listeners = new Set<() => void>();
  #state: DestinationState;
  #failure: GodwitError | undefined;

  /** `onFailure`: a record may not be on disk, so the mover must stop. */
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

  /** Reason why this state must not be acted on; undefined if there is none. */
  get failure(): GodwitError | undefined {
    return this.#failure;
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** GODWIT_JOURNAL if the record cannot be written (then it has not happened) or synced. */
  async record(event: DestinationEvent): Promise<void> {
    // Keeps records and state in one order, even during a sync.
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
      // The next mover reads the disk, so this one must not answer for unsynced records.
      this.#failure = this.#unwritten(cause);
      this.#onFailure(this.#failure);
      throw this.#failure;
    }
  }

  /** Source's reason for giving up, if sent. This side's observation has precedence. */
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
