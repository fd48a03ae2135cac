import type { Clock } from '../clock.ts';
import { withDeadline } from '../deadline.ts';
import type { ManagedDriver } from '../port/managed.ts';
import { isManaged, type Driver } from '../drivers/registry.ts';
import { toGodwitError, type GodwitError } from '../errors.ts';
import type { ManagedHost } from '../protocol/public/hosts/managed-host.ts';
import { MANAGER_MS } from './guests/driver-guests.ts';

/** Pause between two reads that reported changes trigger. */
const BETWEEN_MS = 500;

export class FarManagers {
  readonly #drivers: readonly ManagedDriver[];
  readonly #clock: Clock;
  readonly #onSilence: (silence: GodwitError | undefined) => void;
  readonly #end = new AbortController();
  #hosts: readonly ManagedHost[] = [];

  constructor(
    drivers: readonly Driver[],
    clock: Clock,
    onSilence: (silence: GodwitError | undefined) => void,
  ) {
    this.#drivers = drivers.filter(isManaged).filter((driver) => 'hosts' in driver);
    this.#clock = clock;
    this.#onSilence = onSilence;
  }

  start(look: () => Promise<void>): void {
    for (const driver of this.#drivers) void this.#follow(driver, look);
  }

  stop(): void {
    this.#end.abort();
  }

  looked(silence: GodwitError | undefined): void {
    if (!this.#end.signal.aborted && this.#drivers.length > 0) this.#onSilence(silence);
  }

  async hosts(): Promise<readonly ManagedHost[]> {
    try {
      const all = this.#drivers.map((driver) =>
        withDeadline('the hosts of a manager', MANAGER_MS, undefined, async (signal) =>
          driver.hosts?.(signal),
        ),
      );
      this.#hosts = (await Promise.all(all)).flatMap((hosts) => hosts ?? []);
    } catch {
      // The guests report the silence.
    }
    return this.#hosts;
  }

  async #follow(driver: ManagedDriver, look: () => Promise<void>): Promise<void> {
    const { signal } = this.#end;
    if (driver.changed === undefined) return;
    while (!signal.aborted) {
      try {
        await driver.changed(signal);
        await look();
      } catch (thrown) {
        this.looked(toGodwitError(thrown));
      }
      await this.#clock.sleep(BETWEEN_MS, signal).catch(() => undefined);
    }
  }
}
