import type { Clock } from '../../clock.ts';
import type { DiskRelocator } from '../../port/disks.ts';
import type { GuestHandle, Life } from '../../port/inventory.ts';
import { toGodwitError, type SerialError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import {
  canCancel,
  decideMove,
  moveAfter,
  type DiskMoveEvent,
  type MoveDeed,
  type MoveState,
  type MoveSight,
} from '../../migration/disk-move.ts';
import { Mutex } from '../../mutex.ts';
import type { Journal } from '../../host/journal/journal.ts';
import { defined } from '../../protocol/defined.ts';
import type { DiskMoveProgress } from '../../protocol/public/disk-move.ts';
import { cancelledMove, failedMove, strangeMove, unseenMove, whyFailed } from './errors.ts';
import { Figures } from './figures.ts';
import { discardNew, giveUpOld, isNewThere, keepNew, makeNew } from './files.ts';
import { progressOf } from './progress.ts';

const LOOK_MS = 300;
/** Interval between looks from the order to complete on, when guest writes may wait. */
const SWITCH_LOOK_MS = 2;
const STEP_MS = 30_000;
const LONGEST_PAUSE_MS = 10_000;
/** Interval between repeated notices to other hosts about the switch, ms. */
const TOLD_MS = 60_000;
/** Time to notify them while guest writes wait, ms. */
const TELL_PENDING_MS = 10_000;
/** Actions without visible effect for a moment. */
const PAUSED: ReadonlySet<MoveDeed> = new Set(['wait', 'write-blocking', 'finalize']);

/** Held briefly, because a monitor has one client at a time. */
export interface HeldRelocator {
  readonly relocator: DiskRelocator;
  close(): Promise<void>;
}

export interface MoveDependencies {
  readonly host: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly journal: Journal<DiskMoveEvent>;
  bootId(): string;
  /** Life of the guest's hypervisor; once gone, decisions are made without it. */
  life(handle: GuestHandle): Promise<Life>;
  hold(handle: GuestHandle, signal: AbortSignal): Promise<HeldRelocator>;
  /** Rejects while another host may start the guest from its old disk; absent: no host keeps it. */
  beforeSwitch?(guest: string, signal: AbortSignal): Promise<void>;
}

/**
 * Runs one disk move: looks, decides by the table of src/migration/disk-move.ts, acts. Another agent can continue
 * from the journal.
 */
export class DiskMove {
  readonly #deps: MoveDependencies;
  readonly #listeners = new Set<() => void>();
  #state: MoveState;
  /** Orders records, so that a cancel is judged by the state when it is recorded. */
  readonly #turn = new Mutex();
  #isWriteBlocking = false;
  readonly #figures = new Figures();
  #note: string | undefined;
  #waitedMs: number | undefined;
  #wake: AbortController | undefined;
  /** The job was ordered to the point where guest writes wait. */
  #completing = false;
  #toldMs: number | undefined;

  constructor(state: MoveState, deps: MoveDependencies) {
    this.#state = state;
    this.#deps = deps;
  }

  get state(): MoveState {
    return this.#state;
  }

  /** Runs to the end or until `signal` aborts, but never stops during a switch. */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (this.#state.ended === undefined && !signal.aborted) {
      try {
        const deed = await this.#step(signal);
        failures = 0;
        if (PAUSED.has(deed)) await this.#pause(LOOK_MS, signal);
      } catch (thrown) {
        if (signal.aborted) break;
        failures += 1;
        const error = toGodwitError(thrown);
        this.#note = `it is tried again: ${error.message}`.slice(0, 4096);
        this.#deps.log.warn({ id: this.#state.plan.id, error }, 'disk move failed; trying again');
        this.#report();
        // Guest writes may wait.
        const longestMs = this.#state.stage === 'switching' ? LOOK_MS : LONGEST_PAUSE_MS;
        const pauseMs = Math.min(longestMs, LOOK_MS * 2 ** Math.min(failures, 8));
        await this.#pause(pauseMs, signal);
      }
    }
    if (this.#completing && canCancel(this.#state)) await this.#callOff();
  }

  /** An ending agent must not leave a job that blocks the guest. */
  async #callOff(): Promise<void> {
    const { handle, work } = this.#state.plan;
    if (this.#state.ended !== undefined) return;
    if ((await this.#deps.life(handle)).state === 'gone') return;
    const signal = AbortSignal.timeout(STEP_MS);
    const held = await this.#deps.hold(handle, signal);
    await held.relocator.drop(work, signal).finally(() => held.close());
  }

  /** False if it is too late. */
  cancel(): Promise<boolean> {
    return this.#turn.run(async () => {
      if (this.#state.ended !== undefined || !canCancel(this.#state)) return false;
      await this.#apply({ type: 'cancel' });
      this.#wake?.abort();
      return true;
    });
  }

  /** After it has stopped running. */
  close(): Promise<void> {
    return this.#deps.journal.close();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  progress(): DiskMoveProgress {
    const { host, clock } = this.#deps;
    const context = { host, nowMs: clock.wallMs(), note: this.#note };
    return progressOf(this.#state, this.#figures, context);
  }

  async #step(signal: AbortSignal): Promise<MoveDeed> {
    const { handle, work } = this.#state.plan;
    // A hypervisor that may live is asked.
    if ((await this.#deps.life(handle)).state === 'gone') return this.#act(undefined, GONE);
    // Not raced, so that everything begun has ended when this resolves.
    const inner = AbortSignal.any([signal, AbortSignal.timeout(STEP_MS)]);
    const held = await this.#deps.hold(handle, inner);
    try {
      const seen = await held.relocator.look(work, inner);
      this.#measure(seen.copiedBytes, seen.totalBytes);
      const how = { isWriteBlocking: this.#isWriteBlocking, nearly: this.#figures.nearly };
      const sight = { ...seen, ...how, hypervisor: 'lives' } as const;
      return await this.#act({ relocator: held.relocator, signal: inner }, sight);
    } finally {
      await held.close();
    }
  }

  async #act(held: RelocatorUse | undefined, sight: Sight): Promise<MoveDeed> {
    const deed = decideMove(this.#state, sight);
    const { plan } = this.#state;
    const { work } = plan;
    if (deed === 'discard') await this.#undone(sight);
    else if (deed === 'settle') await this.#settle(held);
    else if (deed === 'leave') await this.#end('failed', { error: strangeMove(plan) });
    else if (deed === 'fail') await this.#undo(whyFailed(sight));
    else if (held !== undefined) {
      const { relocator, signal } = held;
      if (deed === 'begin') await this.#begin(held);
      else if (deed === 'drop') await relocator.drop(work, signal);
      else if (deed === 'write-blocking') {
        await relocator.setWriteBlocking(work, signal);
        this.#isWriteBlocking = true;
      } else if (deed === 'complete') await this.#switchOver(held);
      else if (deed === 'switch' || deed === 'finalize') await this.#goOver(relocator, deed);
    }
    return deed;
  }

  /**
   * Guest writes wait already. The other hosts are told again, because this agent may have confirmed the guest since
   * another agent told them; the guest does not wait for silent ones.
   */
  async #goOver(relocator: DiskRelocator, deed: 'switch' | 'finalize'): Promise<void> {
    const { work } = this.#state.plan;
    const signal = AbortSignal.timeout(STEP_MS);
    try {
      await this.#tell(AbortSignal.timeout(TELL_PENDING_MS));
    } catch (thrown) {
      // After the record of the switch, the next look drops the copy, because the guest only writes to its old image
      // then.
      if (deed === 'finalize') await this.#undo(reasonOf(thrown));
      else await relocator.drop(work, signal);
      throw thrown;
    }
    await (deed === 'switch' ? this.#switch(relocator) : relocator.finalize(work, signal));
  }

  async #tell(signal: AbortSignal): Promise<void> {
    const nowMs = this.#deps.clock.monotonicMs();
    if (this.#toldMs !== undefined && nowMs - this.#toldMs < TOLD_MS) return;
    await this.#deps.beforeSwitch?.(this.#state.plan.request.guest, signal);
    this.#toldMs = nowMs;
  }

  async #begin({ relocator, signal }: RelocatorUse): Promise<void> {
    const { plan } = this.#state;
    await this.#record({ type: 'copying' });
    try {
      await makeNew(plan);
      await relocator.begin(plan.work, plan.to, plan.request.maxBandwidth, signal);
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      await this.#undo(reasonOf(thrown));
    }
  }

  /** Takes the job to the state with equal images. Guest writes wait from then on, so nothing may come between. */
  async #switchOver({ relocator }: RelocatorUse): Promise<void> {
    const { work } = this.#state.plan;
    const signal = AbortSignal.timeout(STEP_MS);
    await this.#tell(signal);
    this.#completing = true;
    await relocator.complete(work, signal);
    let beforeMs = this.#deps.clock.monotonicMs();
    for (;;) {
      const lookedMs = this.#deps.clock.monotonicMs();
      const seen = await relocator.look(work, signal);
      if (this.#state.cancelAsked) return relocator.drop(work, signal);
      if (seen.job === 'pending') break;
      beforeMs = lookedMs;
      // It was aborted; the next look shows why.
      if (seen.job !== 'ready' && seen.job !== 'ending') return;
      this.#measure(seen.copiedBytes, seen.totalBytes);
      await this.#deps.clock.sleep(SWITCH_LOOK_MS, signal);
    }
    await this.#switch(relocator);
    this.#waitedMs = this.#deps.clock.monotonicMs() - beforeMs;
  }

  /** Not abortable: both the synced record and the order take moments. */
  async #switch(relocator: DiskRelocator): Promise<void> {
    const { plan } = this.#state;
    const signal = AbortSignal.timeout(STEP_MS);
    let isRecorded = false;
    try {
      isRecorded = await this.#turn.run(async () => {
        if (this.#state.cancelAsked) return false;
        await this.#apply({ type: 'switching' });
        return true;
      });
    } catch (thrown) {
      // A journal failure must not block the guest. A record that is still on disk means nothing without the new
      // image.
      await relocator.drop(plan.work, signal);
      await discardNew(plan);
      throw thrown;
    }
    // Otherwise a cancel was recorded first, and the next look drops the job.
    if (isRecorded) await relocator.finalize(plan.work, signal);
  }

  async #settle(held: RelocatorUse | undefined): Promise<void> {
    const { plan, stage } = this.#state;
    const isRestarted = plan.bootId !== this.#deps.bootId();
    if (held === undefined && stage === 'switching' && !(await isNewThere(plan))) {
      // After a reboot its storage may not be mounted yet, and it may be newer.
      if (isRestarted) return this.#end('failed', { error: unseenMove(plan), kept: plan.from });
      // The switch was given up after its record, so the old image has all guest writes.
      return this.#undo('the switch could not be recorded, and the guest has ended');
    }
    if (stage !== 'tidying') await this.#record({ type: 'switched' });
    if (held === undefined && isRestarted) return this.#leaveBoth();
    const ended = ['its hypervisor has ended meanwhile: start it from the new image'];
    const notes = (await held?.relocator.settle(plan.work, plan.to, held.signal)) ?? ended;
    await keepNew(plan);
    // Kept for inspection if the hypervisor could not be asked or still has it open.
    const isKept = plan.request.keepSource === true || notes.length > 0;
    let kept: string | undefined;
    try {
      const old = await giveUpOld(plan, { isKept }, AbortSignal.timeout(STEP_MS));
      kept = old.kept;
      if (old.note !== undefined) notes.push(old.note);
    } catch (thrown) {
      kept = plan.from;
      notes.push(`the old image could not be put aside: ${reasonOf(thrown)}`);
    }
    const note = notes.length === 0 ? {} : { note: notes.join('; ').slice(0, 4096) };
    await this.#end('done', { ...note, ...defined({ kept }) });
  }

  /**
   * The host rebooted, so another host may have recovered the guest, even from the old image. Neither image is
   * renamed or removed, since either may be in use.
   */
  async #leaveBoth(): Promise<void> {
    const { plan } = this.#state;
    await keepNew(plan);
    const note = `its host was restarted during the move, so both images are left: ${plan.to} is the newer one, unless another host recovered the guest meanwhile; look where it runs, and remove the other image`;
    await this.#end('done', { note, kept: plan.from });
  }

  async #undone({ hypervisor }: Sight): Promise<void> {
    const { plan, error, cancelAsked } = this.#state;
    await discardNew(plan);
    if (error !== undefined) return this.#end('failed', { error });
    if (cancelAsked) return this.#end('cancelled', { error: cancelledMove(plan) });
    const reason = hypervisor === 'gone' ? 'the guest has ended' : 'it was given up';
    return this.#end('failed', { error: failedMove(plan, reason) });
  }

  #undo(reason: string): Promise<void> {
    return this.#record({ type: 'trouble', error: failedMove(this.#state.plan, reason) });
  }

  #end(
    outcome: 'done' | 'failed' | 'cancelled',
    more: { note?: string; kept?: string; error?: SerialError },
  ): Promise<void> {
    const { copiedBytes, totalBytes } = this.#figures;
    const waitedMs = this.#waitedMs;
    const { elapsedMs } = this.progress();
    const figures = {
      copiedBytes,
      totalBytes,
      elapsedMs,
      ...defined({ waitedMs }),
    };
    return this.#record({ type: 'ended', outcome, ...figures, ...more });
  }

  #record(event: DiskMoveEvent): Promise<void> {
    return this.#turn.run(() => this.#apply(event));
  }

  /** Synced before anything follows from it. */
  async #apply(event: DiskMoveEvent): Promise<void> {
    await this.#deps.journal.append(event, 'sync');
    this.#state = moveAfter(this.#state, event);
    this.#note = undefined;
    const { id } = this.#state.plan;
    this.#deps.log.info({ id, event: event.type }, 'disk move continues');
    this.#report();
  }

  #measure(copiedBytes: number, totalBytes: number): void {
    const atMs = this.#deps.clock.monotonicMs();
    if (this.#figures.measure(copiedBytes, totalBytes, atMs)) this.#report();
  }

  #report(): void {
    for (const listener of this.#listeners) listener();
  }

  async #pause(pauseMs: number, signal: AbortSignal): Promise<void> {
    const wake = new AbortController();
    this.#wake = wake;
    const either = AbortSignal.any([wake.signal, signal]);
    await this.#deps.clock.sleep(pauseMs, either).catch(() => undefined);
  }
}

interface RelocatorUse {
  readonly relocator: DiskRelocator;
  readonly signal: AbortSignal;
}

type Sight = MoveSight & {
  readonly failure?: { readonly kind: 'full' | 'other'; readonly reason: string };
};

const GONE: Sight = {
  hypervisor: 'gone',
  on: 'neither',
  job: 'none',
  open: false,
  nearly: false,
  isWriteBlocking: false,
};

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
