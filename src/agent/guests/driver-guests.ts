import type { Clock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import type { DiscoveredGuest } from '../../port/inventory.ts';
import type { Driver } from '../../drivers/registry.ts';
import { toGodwitError, type GodwitError } from '../../errors.ts';

const DISCOVER_MS = 10_000;
/** A great manager on another machine is read whole at first. */
export const MANAGER_MS = 30_000;
/** A list waits this long for a driver whose last look failed. The look itself goes on, and the next list has it. */
const SILENT_MS = 1000;

/** A driver that does not list its guests now. */
export interface Silent {
  readonly driver: string;
  readonly error: GodwitError;
  /** When it listed them last, ms since 1970; undefined where it has not, since this agent started. */
  readonly asOfMs: number | undefined;
}

export interface DriverLook {
  /** As the driver lists them; where it is silent, as it listed them last. */
  readonly found: readonly DiscoveredGuest[];
  readonly silent: Silent | undefined;
}

/** The guests of one driver, which outlast its silence: a manager that is restarted has not lost its guests. */
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

  /** Asks the driver by `discover`. Never rejects. */
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
