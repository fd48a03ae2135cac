import { godwitError, toGodwitError } from '../../errors.ts';
import type { DestinationSession } from '../../drivers/driver.ts';
import {
  destinationAfter,
  destinationDurability,
  judgeCall,
  statusOf,
} from '../../migration/destination.ts';
import type {
  DestinationCall,
  DestinationEvent,
  DestinationState,
} from '../../migration/destination.ts';
import { createTap, removeTap, tapName } from '../../network/tap.ts';
import type { Check } from '../../protocol/migration.ts';
import type { DestinationStatus, Preparation, Prepared, Running } from '../../protocol/peer.ts';
import { Lane } from '../lane.ts';
import { warmDestination } from '../warm.ts';
import { destinationOptions, listenHostFor, streamSetup } from './parts.ts';
import type { DestinationParts } from './parts.ts';

/** A source that is silent for so long before commit has given up, whatever became of it, ms. */
const LEASE_MS = 180_000;

/**
 * One migration at its destination: does what the source's mover asks, in order, each thing once, and holds
 * this side's half of the right to run.
 */
export class DestinationMover {
  readonly #parts: DestinationParts;
  readonly #lane = new Lane();
  readonly #ended = Promise.withResolvers<void>();
  readonly #listeners = new Set<() => void>();
  #state: DestinationState;
  #session: Promise<DestinationSession> | undefined;
  #heardAt: number;
  #lease: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(parts: DestinationParts, state: DestinationState) {
    this.#parts = parts;
    this.#state = state;
    this.#heardAt = parts.clock.monotonicMs();
  }

  get state(): DestinationState {
    return this.#state;
  }

  /** Resolves once the migration is over for this side. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Watches the lease; after a takeover also looks at what the earlier mover left. */
  async start(tookOver: boolean): Promise<void> {
    if (tookOver) await this.#lane.run(() => this.#lookRound());
    this.#lease = setInterval(() => this.#checkLease(), 5000);
    this.#lease.unref();
  }

  /** What lies half made is taken down; what was made is taken hold of again. */
  async #lookRound(): Promise<void> {
    if (this.#state.stage === 'preparing') await this.#destroy(AbortSignal.timeout(60_000));
    if (this.#state.stage === 'prepared') await this.#holdAgain();
    if (this.#state.stage === 'released' || this.#state.stage === 'finished') this.#end();
  }

  /** A hypervisor that ended while no mover listened has told nobody. */
  async #holdAgain(): Promise<void> {
    const session = await this.#open();
    const status = await session.status(AbortSignal.timeout(10_000)).catch(() => undefined);
    if (status?.run !== 'gone') return;
    const { reason = 'its process has ended' } = status;
    await this.#record({ type: 'hypervisor', event: { type: 'lost', reason } });
  }

  status(): DestinationStatus {
    this.#heardAt = this.#parts.clock.monotonicMs();
    return statusOf(this.#state);
  }

  /** `calledAt`: the address of this host over which the source came; its memory will come the same way. */
  assess(preparation: Preparation, signal: AbortSignal, calledAt?: string): Promise<Check[]> {
    return this.#call('assess', preparation.epoch, async () => {
      const session = await this.#open(calledAt);
      return session.assess(preparation.description, preparation.stream, signal);
    });
  }

  prepare(preparation: Preparation, signal: AbortSignal): Promise<Prepared> {
    return this.#call('prepare', preparation.epoch, async (already) => {
      if (!already) await this.#build(preparation, signal);
      return this.#listening(this.#state.memoryAddress);
    });
  }

  arm(epoch: number): Promise<DestinationStatus> {
    return this.#call('arm', epoch, async (already) => {
      if (!already) await this.#record({ type: 'armed', epoch, bootId: this.#parts.bootId() });
      // After the answer: the source need not wait for it.
      setImmediate(() => warmDestination(this.#state));
      return statusOf(this.#state);
    });
  }

  commit(epoch: number, signal: AbortSignal): Promise<Running> {
    return this.#call('commit', epoch, async () => {
      const began = this.#parts.clock.monotonicMs();
      // Also when it was committed before: an earlier mover may have died between the record and the deed.
      const session = await this.#open();
      await this.#record({ type: 'committed', epoch });
      await session.resumeGuest(signal);
      const resumeMs = Math.max(0, this.#parts.clock.monotonicMs() - began);
      await this.#record({ type: 'running', epoch, resumeMs });
      void this.#announce(session);
      return { epoch, runningAt: new Date(this.#parts.clock.wallMs()).toISOString(), resumeMs };
    });
  }

  refuse(epoch: number): Promise<void> {
    return this.#call('refuse', epoch, async (already) => {
      if (!already) await this.#record({ type: 'refused', epoch, why: 'the source asked' });
    });
  }

  recover(epoch: number, signal: AbortSignal, calledAt?: string): Promise<Prepared> {
    return this.#call('recover', epoch, async () => {
      const session = await this.#open();
      const host = listenHostFor(this.#parts.config, calledAt);
      const { memoryAddress } = await session.listenAgain(signal, host);
      return this.#listening(memoryAddress);
    });
  }

  release(epoch: number, signal: AbortSignal): Promise<void> {
    return this.#call('release', epoch, async (already) => {
      if (!already) await this.#release('the source asked', signal);
    });
  }

  finish(epoch: number, signal: AbortSignal): Promise<void> {
    return this.#call('finish', epoch, async (already) => {
      if (already) return;
      const session = await this.#open();
      await session.settle(signal);
      await this.#record({ type: 'finished' });
      this.#end();
    });
  }

  /** One call at a time: judged on the state as it is when its turn comes. */
  #call<T>(
    call: DestinationCall,
    epoch: number,
    work: (already: boolean) => Promise<T>,
  ): Promise<T> {
    return this.#lane.run(async () => {
      this.#heardAt = this.#parts.clock.monotonicMs();
      const verdict = judgeCall(this.#state, call, epoch);
      if (verdict.kind === 'no') throw verdict.error;
      return work(verdict.kind === 'already');
    });
  }

  async #build(preparation: Preparation, signal: AbortSignal): Promise<void> {
    const session = await this.#open();
    const nics = session.nics(preparation.description);
    const { id } = this.#state.admission;
    const ports = Object.fromEntries(nics.map((nic, index) => [nic.id, tapName(id, index)]));
    await this.#record({ type: 'preparing', preparation, ports });
    try {
      for (const nic of nics) {
        const name = ports[nic.id];
        if (name !== undefined) await createTap({ ...nic, name }, signal);
      }
      const setup = streamSetup(this.#parts, preparation, this.#state.admission.from);
      const started = await session.start(
        preparation.description,
        setup,
        new Map(Object.entries(ports)),
        signal,
      );
      await this.#record({ type: 'prepared', ...started });
    } catch (thrown) {
      await this.#record({ type: 'failed', error: toGodwitError(thrown).toJSON() });
      throw thrown;
    }
  }

  #listening(memoryAddress: string | undefined): Prepared {
    if (memoryAddress === undefined)
      throw godwitError('GODWIT_INTERNAL', { what: 'nothing listens here' });
    return { memoryAddress, tlsHostname: this.#parts.config.name };
  }

  /** The session; events of the hypervisor are recorded as they come. */
  async #open(calledAt?: string): Promise<DestinationSession> {
    this.#session ??= this.#openNow(calledAt);
    try {
      return await this.#session;
    } catch (thrown) {
      this.#session = undefined;
      throw thrown;
    }
  }

  async #openNow(calledAt: string | undefined): Promise<DestinationSession> {
    const options = destinationOptions(this.#parts.config, this.#state, calledAt);
    const session = await this.#parts.driver.openDestination(options);
    session.onEvent((event) => {
      if (this.#closed || event.type === 'pass' || event.type === 'setup') return;
      void this.#record({ type: 'hypervisor', event }).catch((error: unknown) =>
        this.#ended.reject(error),
      );
    });
    return session;
  }

  async #announce(session: DestinationSession): Promise<void> {
    try {
      await session.announce(AbortSignal.timeout(10_000));
    } catch (error) {
      // The guest’s own next frame tells the bridges as well.
      this.#parts.log.warn({ error: toGodwitError(error) }, 'not announced');
    }
  }

  /** The word that it never ran comes first, where it can be given; then everything is taken down. */
  async #release(why: string, signal: AbortSignal, mayRefuse = true): Promise<void> {
    const { epoch } = this.#state.admission;
    if (mayRefuse && this.#state.right !== 'refused') {
      await this.#record({ type: 'refused', epoch, why });
    }
    await this.#destroy(signal);
    await this.#record({ type: 'released' });
    this.#end();
  }

  async #destroy(signal: AbortSignal): Promise<void> {
    const session = await this.#open();
    await session.destroy(signal);
    for (const port of Object.values(this.#state.ports)) await removeTap(port, signal);
  }

  #checkLease(): void {
    const { right, stage, unsure } = this.#state;
    if (right === 'running' || stage === 'released' || stage === 'finished') return;
    if (this.#parts.clock.monotonicMs() - this.#heardAt < LEASE_MS) return;
    void this.#lane.run(async () => {
      // Commit may have come while this waited for its turn.
      if (this.#state.right === 'running' || this.#state.stage === 'released') return;
      this.#parts.log.warn({ leaseMs: LEASE_MS }, 'the source is silent: refusing and releasing');
      const { from } = this.#state.admission;
      const facts = { peer: from, address: 'its mover', reason: `silent for ${LEASE_MS} ms` };
      await this.#record({
        type: 'failed',
        error: godwitError('GODWIT_UNREACHABLE', facts).toJSON(),
      });
      // After a reboot nothing of the guest is left here; whether it ran is still not for this side to say.
      await this.#release('the source is silent', AbortSignal.timeout(60_000), !unsure);
    });
  }

  async #record(event: DestinationEvent): Promise<void> {
    // Records and state keep one order, also when an event of the hypervisor comes while another record syncs.
    this.#parts.journal.write(event);
    this.#state = destinationAfter(this.#state, event);
    for (const listener of this.#listeners) listener();
    await this.#parts.journal.settle(destinationDurability(event));
  }

  #end(): void {
    clearInterval(this.#lease);
    this.#ended.resolve();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#lease);
    const session = await this.#session?.catch(() => undefined);
    await session?.close();
    await this.#parts.journal.close();
  }
}
