import type { Clock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import type { DiscoveredGuest } from '../../port/inventory.ts';
import type { Driver } from '../../drivers/registry.ts';
import { toGodwitError, type GodwitError } from '../../errors.ts';

const DISCOVER_MS = 10_000;
/** The first read of a large manager's inventory takes this long. */
export const MANAGER_MS = 30_000;
/** Time that a list waits for a driver whose last read failed. The read continues for the next list. */
const SILENT_MS = 1000;

export interface Silent {
  readonly driver: string;
  readonly error: GodwitError;
  /** Time of its last list, ms since 1970; undefined without one. */
  readonly asOfMs: number | undefined;
}

export interface DriverLook {
  readonly found: readonly DiscoveredGuest[];
  readonly silent: Silent | undefined;
}

/**
 * The guests of one driver. Its last list is kept while it is silent: a manager that restarts has not lost its guests.
 */
export class DriverGuests {
  readonly #driver: Driver;
  readonly #clock: Clock;
  #found: readonly DiscoveredGuest[] = [];
  #asOfMs: number | undefined;
  #error: GodwitError | undefined;
  #looking: Promise<void> | undefined;

  constructor(driver: Driver, clock: Clock) {
    this.#driver = driver;
    this.#clock = clock;
  }

  async look(
    what: string,
    discover: (driver: Driver, signal: AbortSignal) => Promise<DiscoveredGuest[]>,
  ): Promise<DriverLook> {
    this.#looking ??= this.#updateProposals(what, discover).finally(() => {
      this.#looking = undefined;
    });
    await (this.#error === undefined ? this.#looking : this.#atMost(this.#looking));
    return { found: this.#found, silent: this.#silent() };
  }

  #silent(): Silent | undefined {
    if (this.#error === undefined) return undefined;
    return { driver: this.#driver.name, error: this.#error, asOfMs: this.#asOfMs };
  }

  async #updateProposals(
    what: string,
    discover: (driver: Driver, signal: AbortSignal) => Promise<DiscoveredGuest[]>,
  ): Promise<void> {
    const atMs = this.#clock.wallMs();
    try {
      const deadlineMs = 'hosts' in this.#driver ? MANAGER_MS : DISCOVER_MS;
      this.#found = await withDeadline(what, deadlineMs, undefined, (signal) =>
        discover(this.#driver, signal),
      );
      this.#asOfMs = atMs;
      this.#error = undefined;
    } catch (thrown) {
      this.#error = toGodwitError(thrown);
    }
  }

  async #atMost(looking: Promise<void>): Promise<void> {
    const over = new AbortController();
    const time = this.#clock.sleep(SILENT_MS, over.signal).catch(() => undefined);
    await Promise.race([looking, time]);
    over.abort();
  }
}
