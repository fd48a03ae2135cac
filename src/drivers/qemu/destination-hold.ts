import { systemClock } from '../../clock.ts';
import { godwitError } from '../../errors.ts';
import { Mutex } from '../../mutex.ts';
import type { HypervisorEvent } from '../../port/direct.ts';

import { attachStarted, ownerOf, type LaunchSite } from './process/launch.ts';
import type { QmpClient } from './qmp/client.ts';
import { judgeEnd } from './qmp/monitor-end.ts';
import { MonitorWatch } from './session.ts';
import type { QemuHandle } from './handle.ts';

const GREETS_MS = 5000;
const AGAIN_MS = 500;

interface HeldMonitor {
  readonly client: QmpClient;
  readonly watch: MonitorWatch;
}

/** Process of an arriving guest and the connection to its monitor, which is reconnected while the process lives. */
export class DestinationHold {
  readonly #place: LaunchSite;
  readonly #listeners = new Set<(event: HypervisorEvent) => void>();
  readonly #attaching = new Mutex();
  readonly #closed = new AbortController();
  #held: HeldMonitor | undefined;
  handle: QemuHandle | undefined;

  constructor(place: LaunchSite, handle: QemuHandle | undefined) {
    this.#place = place;
    this.handle = handle;
  }

  get watch(): MonitorWatch | undefined {
    return this.#held?.watch;
  }

  get isOpen(): boolean {
    return this.#held?.client.closed === false;
  }

  onEvent(listener: (event: HypervisorEvent) => void): () => void {
    this.#listeners.add(listener);
    const stop = this.#held?.watch.on(listener);
    return () => {
      this.#listeners.delete(listener);
      stop?.();
    };
  }

  /** Connects to a process that an earlier mover started. False if it is gone or never existed. */
  reattach(signal: AbortSignal): Promise<boolean> {
    return this.#attaching.run(async () => {
      if (this.isOpen) return true;
      const started = await attachStarted(this.#place, this.handle, signal);
      if (started === undefined) return false;
      await this.take(started.handle, started.client, signal);
      return true;
    });
  }

  /** `isFresh`: the client connected before the guest could run. */
  async take(
    handle: QemuHandle,
    client: QmpClient,
    signal: AbortSignal,
    isFresh = false,
  ): Promise<void> {
    this.handle = handle;
    const watch = new MonitorWatch(client, 'destination', isFresh);
    this.#held = { client, watch };
    await watch.begin(signal);
    for (const listener of this.#listeners) watch.on(listener);
    watch.onCut(() => void this.#takeAgain());
  }

  async #takeAgain(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted && !this.isOpen) {
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(GREETS_MS)]);
      const isThere = await this.reattach(bounded).catch(() => undefined);
      if (isThere === true || signal.aborted) return;
      if (isThere === false) {
        const reason = 'its process has ended';
        for (const listener of this.#listeners) listener({ type: 'lost', reason });
        return;
      }
      await systemClock.sleep(AGAIN_MS, signal).catch(() => undefined);
    }
  }

  async attached(signal: AbortSignal): Promise<HeldMonitor> {
    if (await this.reattach(signal)) return this.must();
    throw this.#lost('its process has ended');
  }

  must(): HeldMonitor {
    if (this.#held === undefined) throw this.#lost('it has not been started');
    return this.#held;
  }

  /** Explains why the guest can no longer run here: waits for the end of its process, or reports that it stays. */
  judge(reason: string, signal: AbortSignal): Promise<Error> {
    if (this.handle === undefined) return Promise.resolve(this.#lost(reason));
    return judgeEnd(ownerOf(this.#place, this.handle), reason, undefined, signal);
  }

  release(): void {
    this.#held?.watch.close();
    this.#held = undefined;
  }

  close(): void {
    this.#closed.abort(new Error('the session is closed'));
    this.release();
    this.#listeners.clear();
  }

  #lost(reason: string): Error {
    const { guest } = this.#place;
    return godwitError('GODWIT_HYPERVISOR_LOST', { side: 'destination', guest, reason });
  }
}
