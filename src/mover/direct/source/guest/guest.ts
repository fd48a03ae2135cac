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

/** How often it is asked where its hypervisor stands, and between two questions, ms. */
const STATUS_TRIES = 3;
const AGAIN_MS = 200;
/** The monitor of a hypervisor that lives may be held by another program for a while, ms. */
const OPEN_MS = 5000;

/** The guest at its source: one session, opened when first needed, whose events go to the mover. */
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

  /** Where what it uses is counted on this host, without its links; undefined where it has no process. */
  get countedBy(): CountedBy | undefined {
    const { pid, cgroup } = this.#driver.describe(this.#handle);
    return pid === undefined ? undefined : { pid, ports: [], cgroup };
  }

  /** Whether its hypervisor lives, by proof, and the name of that process for people. */
  async life(): Promise<{ readonly life: Life; readonly what: string }> {
    const { what } = this.#driver.describe(this.#handle);
    return { life: await this.#driver.life(this.#handle), what };
  }

  /** Its hypervisor may come to a socket in this mover's directory. */
  get mayReachUs(): boolean {
    return this.#driver.mayReachUs(this.#handle);
  }

  /** The session; a failed opening is tried anew by the next caller. */
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
   * The hypervisor is out of reach and may go on: a new session is opened, which first reports what is already so, until
   * one can be or the hypervisor is gone. Until then nothing is concluded; each step has a deadline of its own.
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

  /** Where its hypervisor stands. A question that fails is asked again: more hangs on the answer than on the time. */
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

  /** Describes the guest; begun early by `admit`, since it only reads, and then the same answer for `inspect`. */
  async inspect(signal: AbortSignal): Promise<Inspection> {
    const begun = this.#inspection;
    const inspection = begun ?? this.#inspectNow(signal);
    this.#inspection = inspection;
    try {
      return await inspection;
    } catch (thrown) {
      if (this.#inspection === inspection) this.#inspection = undefined;
      // The step that had begun it was over first, and took its signal along: that is no failure of this one.
      if (begun !== undefined && !signal.aborted) return this.inspect(signal);
      throw thrown;
    }
  }

  /** What a destination is asked to admit, bytes. `listed`: 0 where the listing of guests does not say. */
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

  /** Reads what its hypervisor reports of the machine, to compare the destination's with; undefined where it cannot. */
  async machine(signal: AbortSignal) {
    const { unplug, mode } = this.#settings;
    return (await this.session(signal)).sameMachine?.(signal, unplug, mode === 'cold');
  }

  /** Which guests of this host may write to these files now; undefined where the driver cannot say. */
  async diskWriters(files: readonly string[], signal: AbortSignal) {
    return this.#driver.diskWriters?.(files, signal);
  }

  /** Takes back the access that its hypervisor was given and has not returned itself; never rejects. */
  async takeBack(guestDir: string): Promise<void> {
    await this.#driver.takeBack?.(guestDir);
  }

  /** Starts its hypervisor again, as it was started. */
  async relaunch(
    launch: Launch,
    permission: StartPermission,
    signal: AbortSignal,
  ): Promise<GuestHandle> {
    const started = await this.#driver.relaunch?.(this.#handle, launch, permission, signal);
    return started ?? this.#handle;
  }

  /** Reads images that its hypervisor has left. */
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
      // It could not be opened, or it is gone: either way there is nothing to close.
    }
  }
}
