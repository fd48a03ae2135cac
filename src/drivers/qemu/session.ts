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

/**
 * Wait for the reason of a broken stream, ms. A destination that waits for pages may be unable to answer, and
 * recovery waits for this event.
 */
const REASON_MS = 250;
/** Wait for the reason of a stop, ms. The next command of the switch waits for it. */
const HALT_MS = 2000;

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
 * Monitor events and states for both ends, in order and in the port's terms. The last processor event and stream
 * event are kept for later listeners.
 */
export class MonitorWatch {
  readonly #client: QmpClient;
  readonly #side: 'source' | 'destination';
  readonly #listeners = new Set<(event: HypervisorEvent) => void>();
  #lastRun: HypervisorEvent | undefined;
  #lastStream: HypervisorEvent | undefined;
  #lost: HypervisorEvent | undefined;
  /** The connection is gone, but the process may live. */
  #cut: GodwitError | undefined;
  readonly #onCut = new Set<(error: GodwitError) => void>();
  #closing = false;
  #ended: EndKind | undefined;
  #isOwnStop = false;
  readonly #onChange = new Set<() => void>();
  /** Set while an event waits for its reason; later events queue behind it. */
  #queue: Promise<void> | undefined;

  #mayHaveRun: boolean;

  /** `fresh`: the client connected before the guest could run. */
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
   * QEMU reports RESUME before its guest's first processor runs. If a monitor was connected from the start and
   * ended with its process without RESUME, the guest never ran. If the connection ended before the process, the
   * event may have been lost.
   */
  get mayHaveRun(): boolean {
    return this.#mayHaveRun || !this.#client.endedWithProcess;
  }

  get stream(): HypervisorEvent['type'] | undefined {
    return this.#lastStream?.type;
  }

  async begin(signal: AbortSignal): Promise<HypervisorStatus> {
    const status = await this.status(signal);
    this.#lastRun ??= runEvent({ ...status, ...(await this.#withReason(status.halt, signal)) });
    // If the guest runs here, an ended stream belongs to an earlier migration.
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

  onChange(listener: () => void): () => void {
    this.#onChange.add(listener);
    return () => this.#onChange.delete(listener);
  }

  expectStop(): void {
    this.#isOwnStop = true;
  }

  migration(signal: AbortSignal): Promise<answers.MigrationState> {
    return this.#client.query('query-migrate', {}, answers.migrationState, signal);
  }

  /** Calls back once the connection is gone while the process may live, or at once if it already is. */
  onCut(listener: (error: GodwitError) => void): () => void {
    if (this.#cut !== undefined) listener(this.#cut);
    this.#onCut.add(listener);
    return () => this.#onCut.delete(listener);
  }

  /**
   * Resolves with the first event that `wanted` accepts, including a present state, or with `lost`. Rejects with
   * GODWIT_MONITOR_UNREACHABLE if no more events can arrive.
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

  /** An end of QEMU is expected from now on and reports no `lost`. */
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

  /** QEMU reports a stop without its reason: migration, owner's order or fault. */
  async #askWhyStopped(): Promise<void> {
    const signal = AbortSignal.timeout(HALT_MS);
    // The switch may begin before the answer and hide the shutdown.
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
      // An end of QEMU is reported separately.
    }
  }

  async #withReason(halt: Halt | undefined, signal: AbortSignal): Promise<{ halt?: Halt }> {
    if (halt?.kind !== 'io-error') return halt === undefined ? {} : { halt };
    const what = await readFailedDrives(this.#client, signal).catch(() => undefined);
    return { halt: what === undefined ? halt : { ...halt, what } };
  }

  #hearStream(status: unknown): void {
    if (typeof status !== 'string') return;
    // The stream will become `cancelled`; nothing is decided yet.
    if (status === 'cancelling') return;
    const stream = streamOf(status);
    if (stream !== 'failed' && stream !== 'postcopy-paused') {
      const event = streamEvent(stream, '');
      if (event !== undefined) this.#after(() => this.#emit(event));
      return;
    }
    // The event has no reason, but a query returns it.
    this.#after(async () => {
      const timeoutMs = stream === 'failed' ? 5000 : REASON_MS;
      const state = await this.migration(AbortSignal.timeout(timeoutMs)).catch(() => undefined);
      const event = streamEvent(stream, state?.['error-desc'] ?? 'QEMU gave no reason');
      if (event !== undefined) this.#emit(event);
    });
  }

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
