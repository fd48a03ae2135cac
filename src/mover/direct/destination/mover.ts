import { withDeadline } from '../../../deadline.ts';
import { toGodwitError } from '../../../errors.ts';
import type { DestinationSession } from '../../../port/direct.ts';
import {
  judgeCall,
  statusOf,
  type DestinationCall,
  type DestinationState,
} from '../../../migration/direct/destination/destination.ts';
import type { StartPermission } from '../../../migration/permission/permission.ts';
import { leaseMs } from '../../../migration/direct/destination/silence.ts';
import type * as peer from '../../../protocol/peer/migration.ts';
import type { ResolveAnswer } from '../../../protocol/public/resolve.ts';
import { Mutex } from '../../../mutex.ts';
import { collectGarbage } from '../../../system/processes/small-process.ts';
import { warmDestination } from '../warm-up.ts';
import {
  actOnSilence,
  askOnReturn,
  endWithSource,
  followOrder,
  isForsaken,
  type Hands,
  type Order,
} from './silent-source.ts';
import { assess } from './assess.ts';
import {
  abortAll,
  build,
  buildContext,
  preparedAs,
  type BuildContext,
  type DisksWork,
} from './build.ts';
import { Ledger } from './ledger.ts';
import { settle, takeDown, undoPreparation, type TakingDown, type Ways } from './lifecycle.ts';
import { groundInJournal, groundOfCommit, permissionToRun } from './permission.ts';
import {
  SOURCE_SILENT_MS,
  destinationOptions,
  takeDownMs,
  type DestinationContext,
} from './destination-context.ts';
import { announceRoutes } from './nic-ports.ts';
import {
  ANSWERS_MS,
  ENDS_MS,
  lookAt,
  mustLive,
  reportedStatus,
  runGuest,
  runningSince,
  runsHere,
  untilReady,
  welcome,
} from './run-guest.ts';

const ANNOUNCED_MS = 5000;
/** Lifetime of a mover that was started after the end, to answer for it, ms. */
const LINGER_MS = 20_000;

/** One migration at its destination: carries out calls in order, each once, and holds this side of the right to run. */
export class DestinationMover {
  readonly #context: BuildContext;
  readonly #mutex = new Mutex();
  readonly #recoveries = new Mutex();
  readonly #ended = Promise.withResolvers<void>();
  readonly #ledger: Ledger;
  #session: Promise<DestinationSession> | undefined;
  #heardAt: number;
  #lease: NodeJS.Timeout | undefined;
  #linger: NodeJS.Timeout | undefined;
  #closed = false;
  /** The hypervisor must still be asked for events without a mover. */
  #unasked = false;
  #tookOver = false;
  /** Settles once the network has the announcement. Never rejects. */
  #announced: Promise<void> = Promise.resolve();
  readonly #committedBefore: boolean;

  constructor(context: DestinationContext, state: DestinationState) {
    this.#context = buildContext(context);
    this.#committedBefore = state.right === 'running';
    const { journal, config } = context;
    this.#ledger = new Ledger(journal, config.name, state, (error) => this.#ended.reject(error));
    // The caller awaits it later; not an unhandled rejection until then.
    this.#ended.promise.catch(() => {});
    this.#heardAt = context.clock.monotonicMs();
  }

  get state(): DestinationState {
    return this.#ledger.state;
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  onChange(listener: () => void): void {
    this.#ledger.onChange(listener);
  }

  /** Watches the lease if there is a source; after a takeover, also inspects the remains. */
  async start(tookOver: boolean, hasSource = true): Promise<void> {
    this.#tookOver = tookOver;
    if (tookOver) await this.#mutex.run(() => this.#lookRound());
    if (!hasSource) return;
    this.#lease = setInterval(() => this.#checkLease(), 5000);
    this.#lease.unref();
    if (tookOver) void this.decide(askOnReturn).catch(this.#notSettled);
  }

  /** Removes a half-made preparation, and attaches to a complete one. */
  async #lookRound(): Promise<void> {
    if (this.state.stage === 'preparing')
      await undoPreparation(
        this.#ways(),
        this.#ledger,
        AbortSignal.timeout(takeDownMs(this.state)),
      );
    if (this.state.stage === 'prepared') await this.#holdAgain();
    if (this.state.stage !== 'released' && this.state.stage !== 'finished') return;
    // Stays to answer late questions and repeated calls.
    this.#linger = setTimeout(() => this.#end(), LINGER_MS);
  }

  /** Asks the hypervisor whether it ended while no mover listened. */
  async #holdAgain(): Promise<void> {
    this.#unasked = !(await lookAt(await this.#open(), this.#ledger, ANSWERS_MS));
  }

  /** Asks the hypervisor of a running guest, because it may be about to end. */
  async status(): Promise<peer.DestinationStatus> {
    this.#heardAt = this.#context.clock.monotonicMs();
    if (this.state.hypervisor === 'running' && this.state.stage === 'prepared')
      await lookAt(await this.#open(), this.#ledger, ENDS_MS);
    return reportedStatus(this.#context, this.state, () => this.#open());
  }

  /** `calledAt`: address of this host that the source called; memory takes the same path. */
  assess(preparation: peer.Preparation, signal: AbortSignal, calledAt?: string) {
    return this.#call('assess', preparation.epoch, async () =>
      assess(this.#context, this.state.admission, await this.#open(calledAt), preparation, signal),
    );
  }

  prepare(preparation: peer.Preparation, signal: AbortSignal): Promise<peer.PrepareAnswer> {
    return this.#call('prepare', preparation.epoch, async (already) => {
      if (!already) await build(this.#context, this.#ledger, this.#ways(), preparation, signal);
      return preparedAs(this.#context, this.state, await this.#open(), signal);
    });
  }

  disks<T>(
    call: 'disks' | 'media' | 'seed' | 'compare',
    epoch: number,
    work: DisksWork<T>,
  ): Promise<T> {
    return this.#call(call, epoch, async () =>
      work(this.#context, await this.#open(), this.#ledger),
    );
  }

  arm(epoch: number): Promise<peer.DestinationStatus> {
    return this.#call('arm', epoch, async (already) => {
      const armed = { type: 'armed', epoch, bootId: this.#context.bootTime().bootId } as const;
      if (!already) await this.#ledger.record(armed);
      // After the answer, so that the source does not wait.
      setImmediate(() => {
        warmDestination(this.state);
        collectGarbage();
      });
      return statusOf(this.state);
    });
  }

  /** `askFleet`: another host may have recovered the guest, so every host is asked before the commit. */
  commit(epoch: number, signal: AbortSignal, askFleet?: peer.AskFleet): Promise<peer.Running> {
    return this.#call('commit', epoch, async () => {
      const began = this.#context.clock.monotonicMs();
      // status() reports later events; an ended hypervisor must not run it again.
      if (this.state.hasRun) return runningSince(this.#context.clock, epoch, began);
      // Repeated, because the earlier mover may have died between commit and resume.
      await untilReady(await this.#open(), this.#ledger, signal);
      const ground = groundOfCommit(this.state, askFleet, this.#context.bootTime());
      const permission = await permissionToRun(this.state, ground, this.#context, signal);
      await this.#ledger.record({ type: 'committed', epoch });
      return this.#run(signal, permission, began);
    });
  }

  async #run(
    signal: AbortSignal,
    permission: StartPermission,
    began = this.#context.clock.monotonicMs(),
  ): Promise<peer.Running> {
    const session = await this.#open();
    void announceRoutes(this.state, this.#context.log);
    this.#context.firstFrame.expect(this.state, this.#context.config);
    await runGuest(session, this.#ledger, permission, signal, this.#committedBefore);
    const running = runningSince(this.#context.clock, this.state.admission.epoch, began);
    const { epoch, resumeMs } = running;
    await this.#ledger.record({ type: 'running', epoch, resumeMs });
    this.#announced = welcome(session, this.state, this.#context);
    return running;
  }

  refuse(epoch: number): Promise<void> {
    return this.#call('refuse', epoch, async (already) => {
      if (!already) await this.#ledger.record({ type: 'refused', epoch, why: 'the source asked' });
    });
  }

  /** Bypasses the queue of calls: a commit may wait for a page that only the resumed stream brings. */
  recover(epoch: number, signal: AbortSignal, calledAt?: string): Promise<peer.PrepareAnswer> {
    const { dataPath } = this.#context;
    const again = async () => dataPath.again(await this.#open(), this.state, signal, calledAt);
    return this.#call('recover', epoch, again, this.#recoveries);
  }

  release(
    epoch: number,
    signal: AbortSignal,
    { because, neverRan }: Pick<peer.Release, 'because' | 'neverRan'> = {},
  ): Promise<void> {
    return this.#call('release', epoch, async (already) => {
      if (already) return this.#end();
      await this.#ledger.gaveUp(because);
      await this.#takeDown(signal, { why: 'the source asked', neverRan, known: true });
    });
  }

  tearDown(epoch: number, signal: AbortSignal): Promise<void> {
    return this.#call('tear-down', epoch, async (already) => {
      if (already) return this.#end();
      const why = 'the source says that the guest is lost';
      await this.#takeDown(signal, { why, known: true });
    });
  }

  finish(epoch: number, signal: AbortSignal): Promise<void> {
    return this.#call('finish', epoch, async (already) => {
      if (already) return this.#end();
      const { hypervisor, ended } = this.state;
      // The guest ran here and was shut down since, by its owner or by itself. Only its data is left to settle.
      if (hypervisor === 'gone' && (ended !== undefined || this.#tookOver))
        return this.#takeDown(signal, { why: 'its guest has ended', known: true });
      mustLive(this.state);
      await this.#settle(signal, true);
    });
  }

  async #settle(signal: AbortSignal, known = false): Promise<void> {
    await settle(this.#ways(), this.#ledger, signal);
    // This mover, and with it the announcement, ends afterwards.
    await withDeadline('the announcement', ANNOUNCED_MS, signal, () => this.#announced).catch(
      () => undefined,
    );
    await this.#ledger.record({ type: 'finished', told: known });
    this.#end();
  }

  /** One call at a time, judged by the state when its turn comes. */
  #call<T>(
    call: DestinationCall,
    epoch: number,
    work: (already: boolean) => Promise<T>,
    mutex = this.#mutex,
  ): Promise<T> {
    return mutex.run(async () => {
      if (this.#ledger.failure !== undefined) throw this.#ledger.failure;
      this.#heardAt = this.#context.clock.monotonicMs();
      const verdict = judgeCall(this.state, call, epoch);
      if (verdict.kind === 'no') throw verdict.error;
      return work(verdict.kind === 'already');
    });
  }

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
    const options = destinationOptions(this.#context.config, this.state, calledAt);
    const session = await this.#context.driver.openDestination(options);
    session.onEvent((event) => {
      if (this.#closed || event.type === 'pass' || event.type === 'setup') return;
      void this.#ledger
        .record({ type: 'hypervisor', event })
        .catch((error: unknown) => this.#ended.reject(error));
    });
    return session;
  }

  async #takeDown(signal: AbortSignal, down: TakingDown): Promise<void> {
    await takeDown(this.#ways(), this.#ledger, down, signal);
    this.#end();
  }

  #ways(): Ways {
    return { ...this.#context, open: () => this.#open() };
  }

  #checkLease(): void {
    if (this.#unasked) this.#mutex.run(() => this.#holdAgain()).catch(this.#notSettled);
    if (!isForsaken(this.state)) return;
    const silentMs = this.#context.clock.monotonicMs() - this.#heardAt;
    if (silentMs < SOURCE_SILENT_MS) return;
    const lease = leaseMs(this.state, this.#context.config.limits.sourceSilenceMs);
    const act = silentMs < lease ? endWithSource : (hands: Hands) => actOnSilence(hands, lease);
    this.decide(act).catch(this.#notSettled);
  }

  resolve(order: Order): Promise<ResolveAnswer> {
    return this.decide((hands) => followOrder(hands, order));
  }

  /** Decides without the source, in turn with its calls. */
  decide<T>(decided: (hands: Hands) => Promise<T>): Promise<T> {
    return this.#mutex.run(() => decided(this.#hands()));
  }

  readonly #notSettled = (error: unknown): void => {
    this.#context.log.warn({ error: toGodwitError(error) }, 'not settled; tried again');
  };

  #hands(): Hands {
    return {
      context: this.#context,
      state: () => this.state,
      record: (event) => this.#ledger.record(event),
      run: async (signal, given) => {
        const ground = groundInJournal(this.state);
        const permission =
          given ?? (await permissionToRun(this.state, ground, this.#context, signal));
        await this.#run(signal, permission);
      },
      runsHere: async (signal) => runsHere(await this.#open(), this.#ledger, signal),
      settle: (signal, known) => this.#settle(signal, known),
      release: (why, signal, how) => this.#takeDown(signal, { ...how, why }),
      tearDown: (signal) => this.#takeDown(signal, { why: 'its guest has ended' }),
    };
  }

  #end(): void {
    clearInterval(this.#lease);
    clearTimeout(this.#linger);
    this.#ended.resolve();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#end();
    abortAll(this.#context, 'the mover ends');
    await (await this.#session?.catch(() => undefined))?.close();
    await this.#context.journal.close();
  }
}
