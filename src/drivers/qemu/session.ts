import { hasCode, type GodwitError } from '../../errors.ts';
import type { HypervisorEvent, HypervisorStatus } from '../../port/direct.ts';
import * as answers from './qmp/answers.ts';
import type { QmpClient } from './qmp/client.ts';
import type { QmpEvent } from './qmp/messages.ts';
import type { Halt } from '../../migration/guest-changes/run-states.ts';
import type { EndKind } from '../../protocol/guest-end.ts';
import { endKindOf, haltKind, runEvent, statusOf, streamEvent, streamOf } from './events.ts';
import { readFailedDrives } from './snapshot/read.ts';

const ENDED: ReadonlySet<string> = new Set(['completed', 'cancelled', 'failed']);

/** A destination that waits for pages may not be able to say why its stream broke, and recovery waits for the event; ms. */
const REASON_MS = 250;
/** For the question why a guest is stopped; the next command of the switch waits behind it, ms. */
const HALT_MS = 2000;

/** QEMU's events after which the guest may be another one than before. */
const CHANGES: ReadonlySet<string> = new Set([
  'DEVICE_DELETED',
  'DEVICE_TRAY_MOVED',
  'JOB_STATUS_CHANGE',
  'BLOCK_JOB_COMPLETED',
  'BLOCK_EXPORT_DELETED',
  'MEMORY_DEVICE_SIZE_CHANGE',
  'ACPI_DEVICE_OST',
]);

/**
 * What both ends share: QEMU's events in the port's words, in order, and its state asked afresh.
 * Remembers the last event about the processors and about the stream, for listeners that come later.
 */
export class MonitorWatch {
  readonly #client: QmpClient;
  readonly #side: 'source' | 'destination';
  readonly #listeners = new Set<(event: HypervisorEvent) => void>();
  #lastRun: HypervisorEvent | undefined;
  #lastStream: HypervisorEvent | undefined;
  #lost: HypervisorEvent | undefined;
  /** The connection is gone, and the process is not known to be. */
  #cut: GodwitError | undefined;
  readonly #onCut = new Set<(error: GodwitError) => void>();
  #closing = false;
  /** QEMU's own word on how it will end. */
  #ended: EndKind | undefined;
  /** Godwit itself stops the guest: that is not its owner's order. */
  #isOwnStop = false;
  readonly #onChange = new Set<() => void>();
  /** Set while an event waits for its reason; later ones queue behind it. */
  #queue: Promise<void> | undefined;

  #mayHaveRun: boolean;

  /** `fresh`: the client has been there since before the guest could run. */
  constructor(client: QmpClient, side: 'source' | 'destination', fresh = false) {
    this.#client = client;
    this.#side = side;
    this.#mayHaveRun = !fresh;
    client.onEvent((event) => this.#hear(event));
    client.onClose((error) => {
      if (this.#closing) return;
      this.#after(() => this.#end(error));
    });
  }

  /**
   * QEMU says RESUME before the first processor of its guest runs, and what it said is read before its end is heard. So
   * a monitor that was there from the start and has ended with its process, without that word, shows that the guest never
   * ran. One whose connection ended before its process may have said it to nobody.
   */
  get mayHaveRun(): boolean {
    return this.#mayHaveRun || !this.#client.endedWithProcess;
  }

  /** The stream as the last event reported it: known also while QEMU answers no question. */
  get stream(): HypervisorEvent['type'] | undefined {
    return this.#lastStream?.type;
  }

  /** Asks how things stand, so that a listener begins with what is already so. */
  async begin(signal: AbortSignal): Promise<HypervisorStatus> {
    const status = await this.status(signal);
    this.#lastRun ??= runEvent({ ...status, ...(await this.#withReason(status.halt, signal)) });
    // With the guest running here, a stream that ended is an earlier one's.
    const past = this.#side === 'source' && status.run === 'running' && ENDED.has(status.stream);
    if (!past) this.#lastStream ??= streamEvent(status.stream, status.reason ?? '');
    return status;
  }

  on(listener: (event: HypervisorEvent) => void): () => void {
    this.#listeners.add(listener);
    for (const event of [this.#lastRun, this.#lastStream, this.#lost]) {
      if (event !== undefined) listener(event);
    }
    return () => this.#listeners.delete(listener);
  }

  async status(signal: AbortSignal): Promise<HypervisorStatus> {
    try {
      const [run, migration] = await Promise.all([
        this.#client.query('query-status', {}, answers.runStatus, signal),
        this.migration(signal),
      ]);
      return statusOf(run.status, migration, this.#side);
    } catch (error) {
      signal.throwIfAborted();
      if (!hasCode(error, 'GODWIT_HYPERVISOR_LOST')) throw error;
      return { run: 'gone', stream: 'none', reason: error.message };
    }
  }

  /** Calls back when the guest may have been changed. */
  onChange(listener: () => void): () => void {
    this.#onChange.add(listener);
    return () => this.#onChange.delete(listener);
  }

  /** Godwit is about to stop the guest for its switch. */
  expectStop(): void {
    this.#isOwnStop = true;
  }

  migration(signal: AbortSignal): Promise<answers.MigrationState> {
    return this.#client.query('query-migrate', {}, answers.migrationState, signal);
  }

  /** Calls back once, when the connection is gone while the process may go on; at once if that is so. */
  onCut(listener: (error: GodwitError) => void): () => void {
    if (this.#cut !== undefined) listener(this.#cut);
    this.#onCut.add(listener);
    return () => this.#onCut.delete(listener);
  }

  /**
   * Resolves with the first event that `wanted` accepts, also one that is already so, or with `lost`. Rejects with
   * GODWIT_MONITOR_UNREACHABLE where no event will come any more.
   */
  async until(
    wanted: (event: HypervisorEvent) => boolean,
    signal: AbortSignal,
  ): Promise<HypervisorEvent> {
    const { promise, resolve, reject } = Promise.withResolvers<HypervisorEvent>();
    const onAbort = (): void => reject(signal.reason as Error);
    signal.throwIfAborted();
    signal.addEventListener('abort', onAbort, { once: true });
    const stop = this.on((event) => {
      if (wanted(event) || event.type === 'lost') resolve(event);
    });
    const stopCut = this.onCut(reject);
    try {
      return await promise;
    } finally {
      stop();
      stopCut();
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Its end is wanted from now on: no `lost`. */
  expectEnd(): void {
    this.#closing = true;
  }

  close(): void {
    this.#closing = true;
    this.#listeners.clear();
    this.#onCut.clear();
    this.#onChange.clear();
    this.#client.close();
  }

  #hear(event: QmpEvent): void {
    switch (event.event) {
      case 'STOP':
        this.#after(() => this.#emit({ type: 'stopped' }));
        if (!this.#isOwnStop) void this.#askWhyStopped();
        return;
      case 'SUSPEND':
        return this.#after(() => this.#emit({ type: 'stopped', halt: { kind: 'suspended' } }));
      case 'WAKEUP':
        return this.#after(() => this.#emit({ type: 'resumed' }));
      case 'SHUTDOWN':
        this.#ended = endKindOf(event.data);
        return;
      case 'RESUME':
        this.#mayHaveRun = true;
        this.#ended = undefined;
        return this.#after(() => this.#emit({ type: 'resumed' }));
      case 'MIGRATION_PASS': {
        const round = Number(event.data['pass'] ?? 0);
        return this.#after(() => this.#emit({ type: 'pass', round }));
      }
      case 'MIGRATION':
        return this.#hearStream(event.data['status']);
      default:
        if (CHANGES.has(event.event)) for (const listener of this.#onChange) listener();
    }
  }

  /** QEMU reports that the guest is stopped, and not why: for its migration, by its owner's order, or by a fault. */
  async #askWhyStopped(): Promise<void> {
    const signal = AbortSignal.timeout(HALT_MS);
    // The switch may begin before the question is answered, and hide the shutdown.
    if (this.#ended === 'shut-down') {
      return this.#after(() => this.#emit({ type: 'stopped', halt: { kind: 'shut-down' } }));
    }
    try {
      const { status } = await this.#client.query('query-status', {}, answers.runStatus, signal);
      const kind = haltKind(status);
      if (kind === undefined || this.#isOwnStop) return;
      const { halt } = await this.#withReason({ kind }, signal);
      if (halt !== undefined) this.#after(() => this.#emit({ type: 'stopped', halt }));
    } catch {
      // A QEMU that ends, or answers nothing, reports that itself.
    }
  }

  async #withReason(halt: Halt | undefined, signal: AbortSignal): Promise<{ halt?: Halt }> {
    if (halt?.kind !== 'io-error') return halt === undefined ? {} : { halt };
    const what = await readFailedDrives(this.#client, signal).catch(() => undefined);
    return { halt: what === undefined ? halt : { ...halt, what } };
  }

  #hearStream(status: unknown): void {
    if (typeof status !== 'string') return;
    // On its way to `cancelled`: nothing is decided yet.
    if (status === 'cancelling') return;
    const stream = streamOf(status);
    if (stream !== 'failed' && stream !== 'postcopy-paused') {
      const event = streamEvent(stream, '');
      if (event !== undefined) this.#after(() => this.#emit(event));
      return;
    }
    // The event does not say why; the answer to a question does.
    this.#after(async () => {
      const timeoutMs = stream === 'failed' ? 5000 : REASON_MS;
      const state = await this.migration(AbortSignal.timeout(timeoutMs)).catch(() => undefined);
      const event = streamEvent(stream, state?.['error-desc'] ?? 'QEMU gave no reason');
      if (event !== undefined) this.#emit(event);
    });
  }

  /** At once when nothing waits, else in turn. */
  #after(work: () => void | Promise<void>): void {
    if (this.#queue === undefined) {
      const started = work();
      if (started === undefined) return;
      this.#enqueue(started);
      return;
    }
    this.#enqueue(this.#queue.then(work));
  }

  #enqueue(work: Promise<void>): void {
    const queued: Promise<void> = work.finally(() => {
      if (this.#queue === queued) this.#queue = undefined;
    });
    this.#queue = queued;
  }

  #end(error: GodwitError): void {
    if (this.#closing) return;
    if (hasCode(error, 'GODWIT_HYPERVISOR_LOST')) {
      const how = this.#ended === undefined ? {} : { ended: this.#ended };
      return this.#emit({ type: 'lost', reason: String(error.facts['reason'] ?? ''), ...how });
    }
    this.#cut = error;
    for (const listener of this.#onCut) listener(error);
    this.#onCut.clear();
  }

  #emit(event: HypervisorEvent): void {
    if (event.type === 'stopped' || event.type === 'resumed') this.#lastRun = event;
    else if (event.type === 'lost') this.#lost = event;
    else if (event.type !== 'pass') this.#lastStream = event;
    for (const listener of this.#listeners) listener(event);
  }
}
