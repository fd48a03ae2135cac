import { systemClock } from '../../../../clock.ts';
import type { DirectDriver, SourceSession } from '../../../../port/direct.ts';
import type { Inspection } from '../../../../port/inspection.ts';
import type { Capabilities } from '../../../../port/inventory.ts';
import type { FrozenImage } from '../../../../port/disks.ts';
import { godwitError, hasCode } from '../../../../errors.ts';
import type { CountedBy } from '../../../../host/machine/guest-counters.ts';
import type { Life } from '../../../../system/processes/life.ts';
import type { HypervisorEvent, HypervisorStatus } from '../../../../migration/direct/hypervisor.ts';
import type { StartPermission } from '../../../../migration/permission/permission.ts';
import type { GuestHandle, Launch } from '../../../../protocol/mover/handle.ts';
import type { MigrationSettings } from '../../../../protocol/public/migration.ts';
import { streamAsked } from '../stream/stream-asked.ts';

/** Attempts to ask for the status, and the pause between them, ms. */
const STATUS_TRIES = 3;
const AGAIN_MS = 200;
/** Another program may hold the monitor of a live hypervisor for a while, ms. */
const OPEN_MS = 5000;

/** The guest at its source: one session, opened on demand, that sends its events to the mover. */
export class SourceGuest {
  readonly #driver: DirectDriver;
  readonly #handle: GuestHandle;
  readonly #settings: MigrationSettings;
  readonly #onEvent: (event: HypervisorEvent) => void;
  readonly #isWayBack: boolean;
  readonly #closing = new AbortController();
  #session: Promise<SourceSession> | undefined;
  #inspection: Promise<Inspection> | undefined;

  constructor(
    driver: DirectDriver,
    handle: GuestHandle,
    settings: MigrationSettings,
    onEvent: (event: HypervisorEvent) => void,
    isWayBack = false,
  ) {
    this.#driver = driver;
    this.#handle = handle;
    this.#settings = settings;
    this.#onEvent = onEvent;
    this.#isWayBack = isWayBack;
  }

  get capabilities(): Capabilities {
    return this.#driver.capabilities;
  }

  /** Accounting of its usage on this host, without links; undefined without a process. */
  get countedBy(): CountedBy | undefined {
    const { pid, cgroup } = this.#driver.describe(this.#handle);
    return pid === undefined ? undefined : { pid, ports: [], cgroup };
  }

  /** Proof of its hypervisor's life, and the process's name for people. */
  async life(): Promise<{ readonly life: Life; readonly what: string }> {
    const { what } = this.#driver.describe(this.#handle);
    return { life: await this.#driver.life(this.#handle), what };
  }

  get mayReachUs(): boolean {
    return this.#driver.mayReachUs(this.#handle);
  }

  /** After a failed attempt, the next caller opens it again. */
  async session(signal: AbortSignal): Promise<SourceSession> {
    this.#session ??= this.#open(signal);
    try {
      return await this.#session;
    } catch (thrown) {
      this.#session = undefined;
      throw thrown;
    }
  }

  async #open(signal: AbortSignal): Promise<SourceSession> {
    const session = await this.#driver.openSource(this.#handle, signal);
    session.onEvent(this.#onEvent);
    session.onUnreachable?.(() => {
      this.#session = undefined;
      void session.close();
      void this.#openAgain();
    });
    return session;
  }

  /**
   * Reopens the session of an unreachable hypervisor, which first replays its state, until it succeeds or the
   * hypervisor is gone. Nothing is concluded meanwhile; each step has a deadline.
   */
  async #openAgain(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.session(AbortSignal.any([signal, AbortSignal.timeout(OPEN_MS)]));
        return;
      } catch (thrown) {
        if (hasCode(thrown, 'GODWIT_HYPERVISOR_LOST')) {
          this.#onEvent({ type: 'lost', reason: thrown.message });
          return;
        }
      }
      await systemClock.sleep(AGAIN_MS, signal).catch(() => undefined);
    }
  }

  /** Repeats a failed question, because the answer matters more than the time. */
  async status(signal: AbortSignal): Promise<HypervisorStatus> {
    const session = await this.session(signal);
    for (let tries = 1; ; tries += 1) {
      try {
        return await session.status(signal);
      } catch (thrown) {
        const final = tries === STATUS_TRIES || hasCode(thrown, 'GODWIT_HYPERVISOR_LOST');
        if (signal.aborted || final) throw thrown;
      }
      await systemClock.sleep(AGAIN_MS, signal);
    }
  }

  /** Describes the guest; begun early by `admit`, and reused by `inspect`. */
  async inspect(signal: AbortSignal): Promise<Inspection> {
    const begun = this.#inspection;
    const inspection = begun ?? this.#inspectNow(signal);
    this.#inspection = inspection;
    try {
      return await inspection;
    } catch (thrown) {
      if (this.#inspection === inspection) this.#inspection = undefined;
      // The step that began it ended, which is not a failure of this step.
      if (begun !== undefined && !signal.aborted) return this.inspect(signal);
      throw thrown;
    }
  }

  /** Memory for the admission, bytes. `listed`: 0 if the listing has no figure. */
  async neededBytes(listed: number, signal: AbortSignal): Promise<number> {
    if (listed > 0 && this.capabilities.needsMoreThere !== true) return listed;
    return Math.max(listed, (await this.inspect(signal)).description.memoryBytes);
  }

  async #inspectNow(signal: AbortSignal): Promise<Inspection> {
    const session = await this.session(signal);
    return session.inspect(
      streamAsked(this.#settings),
      signal,
      this.#settings.unplug,
      this.#isWayBack,
    );
  }

  /** Machine report for the comparison; undefined if unsupported. */
  async machine(signal: AbortSignal) {
    const { unplug, mode } = this.#settings;
    return (await this.session(signal)).sameMachine?.(signal, unplug, mode === 'cold');
  }

  /** Guests of this host that may write to these files; undefined if unsupported. */
  async diskWriters(files: readonly string[], signal: AbortSignal) {
    return this.#driver.diskWriters?.(files, signal);
  }

  /** Revokes access that its hypervisor did not return; never rejects. */
  async takeBack(guestDir: string): Promise<void> {
    await this.#driver.takeBack?.(guestDir);
  }

  async relaunch(
    launch: Launch,
    permission: StartPermission,
    signal: AbortSignal,
  ): Promise<GuestHandle> {
    const started = await this.#driver.relaunch?.(this.#handle, launch, permission, signal);
    return started ?? this.#handle;
  }

  frozen<T>(
    images: readonly FrozenImage[],
    directory: string,
    signal: AbortSignal,
    work: (socket: string, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const driver = this.#driver;
    if (driver.openFrozen !== undefined) return driver.openFrozen(images, directory, signal, work);
    const facts = { what: '--verify-disks', reason: `${this.#driver.name} cannot read images` };
    throw godwitError('GODWIT_CAPABILITY', facts);
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('the mover ends'));
    try {
      await (await this.#session)?.close();
    } catch {
      // It failed to open or is gone, so there is nothing to close.
    }
  }
}
