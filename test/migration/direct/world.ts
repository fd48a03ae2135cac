import { GodwitError, type SerialError } from '../../../src/errors.ts';
import type { DestinationCall } from '../../../src/migration/direct/destination/destination.ts';
import type {
  HypervisorEvent,
  HypervisorStatus,
} from '../../../src/migration/direct/hypervisor.ts';
import { replaySource } from '../../../src/migration/direct/journal.ts';
import { sourceMayRunOn } from '../../../src/migration/direct/run-right.ts';
import { endsBy, type StepName } from '../../../src/migration/direct/source/steps.ts';
import { isCold } from '../../../src/migration/direct/cold.ts';
import {
  initialSource,
  type PlannedEvent,
  type SourceEffect,
  type SourceEvent,
  type SourceState,
  type StepFacts,
} from '../../../src/migration/direct/source/source-state.ts';
import { transition } from '../../../src/migration/direct/source/transition.ts';
import { admissionOf, assessed, inspected, planned, preparationOf, sampleOf } from './samples.ts';
import { mayResume } from './may-resume.ts';
import { held, notWhole, sourceGone, unreachable } from './world-errors.ts';
import { WorldDestination } from './world-destination.ts';

export type Pending = Exclude<SourceEffect, { type: 'end' }>;
export type Fault = 'before' | 'after';

/** One migration in one thread, with hypervisors that behave as QEMU does. Whoever drives it chooses what happens next. */
export class World {
  readonly plan: PlannedEvent;
  readonly journal: SourceEvent[];
  state: SourceState;
  destination: WorldDestination | undefined;
  run: HypervisorStatus['run'] = 'running';
  stream: HypervisorStatus['stream'] = 'none';
  configured = false;
  /** The guest has a disk that the hosts do not share, and a device that is unplugged. */
  readonly copies: boolean;
  mirroring = false;
  unplugged = false;
  ballooned = false;
  round = 0;
  pending: Pending[] = [];
  unheard: HypervisorEvent[] = [];
  timer = false;
  readonly sent: DestinationCall[] = [];

  constructor(plan: PlannedEvent = planned(), copies = false) {
    this.plan = plan;
    this.copies = copies;
    this.journal = [plan];
    const { state, effects } = initialSource(plan);
    this.state = state;
    this.#perform(effects);
  }

  get ended(): boolean {
    return this.state.doing.kind === 'end';
  }

  get outcome(): string {
    return this.state.doing.kind === 'end' ? this.state.doing.outcome : 'running';
  }

  dispatch(event: SourceEvent): void {
    if (this.ended && event.type !== 'taken-over') return;
    const { state, effects } = transition(this.state, event);
    this.journal.push(event);
    this.state = state;
    this.#perform(effects);
    this.check();
  }

  check(): void {
    if (this.run === 'running' && this.destination?.hypervisor === 'running') {
      throw new Error('the guest runs on both hosts');
    }
  }

  #perform(effects: readonly SourceEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'end') {
        this.timer = false;
        this.pending = [];
      } else {
        if (effect.type === 'do') this.timer = endsBy(effect.step, this.state) === 'event';
        if (effect.type === 'undo') {
          this.timer = false;
          this.pending = this.pending.filter(({ type }) => type !== 'do');
        }
        this.pending.push(effect);
      }
    }
  }

  answer(fault?: Fault, error: SerialError = unreachable): void {
    const effect = this.pending.shift();
    if (effect === undefined) return;
    if (fault === 'before') return this.#failed(effect, error);
    try {
      const isGone = this.run === 'gone';
      const facts = this.carryOut(effect);
      this.check();
      if (fault === 'after') return this.#failed(effect, error);
      this.#succeeded(effect, facts, isGone && this.run === 'running');
    } catch (thrown) {
      if (!(thrown instanceof GodwitError)) throw thrown;
      this.#failed(effect, thrown.toJSON());
    }
  }

  #succeeded(effect: Pending, facts: StepFacts, anew: boolean): void {
    if (effect.type === 'undo')
      this.dispatch({ type: 'undid', step: effect.step, ...(anew ? { anew } : {}) });
    if (effect.type === 'do' && endsBy(effect.step, this.state) === 'handler')
      this.dispatch({ type: 'did', step: effect.step, facts });
  }

  #failed(effect: Pending, error: SerialError): void {
    if (effect.type === 'do') this.dispatch({ type: 'failed', step: effect.step, error });
    if (effect.type === 'undo') this.dispatch({ type: 'undo-failed', step: effect.step, error });
    if (effect.type === 'continue') this.dispatch({ type: 'failed', step: 'switchover', error });
    if (effect.type === 'recover') this.dispatch({ type: 'recovery-failed', error });
  }

  /** What an effect does to the world; doing it twice is doing it once. */
  carryOut(effect: Pending): StepFacts {
    switch (effect.type) {
      case 'do':
        return this.#do(effect.step);
      case 'undo':
        this.#undo(effect.step);
        return {};
      case 'continue':
        this.#continueSwitchover();
        return {};
      case 'steer':
      case 'stop':
        if (effect.type === 'stop' && this.run === 'running') this.run = 'paused';
        return {};
      case 'restart':
      case 'give-up':
        throw new Error('no migration of this world asks for it');
      case 'recover':
        this.#call('recover');
        if (this.stream === 'postcopy-paused') this.says('postcopy-active', 'postcopy-recovering');
        return {};
    }
  }

  #do(step: StepName): StepFacts {
    if (this.run === 'gone' && ['inspect', 'configure', 'memory', 'switchover'].includes(step)) {
      throw sourceGone();
    }
    switch (step) {
      case 'wait':
        return { beganAtMs: 1 };
      case 'admit':
        this.destination ??= new WorldDestination(admissionOf(this.plan), preparationOf(this.plan));
        return { moverAddress: 'b:7001' };
      case 'inspect':
        return inspected(this.copies);
      case 'assess':
        this.#call('assess');
        return assessed(this.copies);
      case 'seed':
        this.#call('seed');
        return {};
      case 'prepare':
        this.#call('prepare');
        return { memoryAddress: 'b:49152', tlsHostname: 'b' };
      case 'configure':
        this.configured = true;
        return {};
      case 'arm':
        this.#call('arm');
        return {};
      case 'mirror':
        this.#call('disks');
        this.mirroring = true;
        return {};
      case 'unplug':
        this.unplugged = true;
        return {};
      case 'balloon':
        this.ballooned = true;
        return { balloon: { takenBytes: 1, leftBytes: 1 } };
      case 'memory':
        if (this.stream === 'none') this.says('setup');
        return {};
      case 'switchover':
        if (isCold(this.state)) {
          if (this.run === 'running') this.unheard.push({ type: 'stopped' });
          this.run = 'shut-down';
        } else if (this.state.via === 'postcopy' && this.stream === 'active') {
          this.says('device', 'stopped');
        } else this.#continueSwitchover();
        return {};
      case 'commit': {
        if (this.run === 'running') throw new Error('commit was sent while the source runs');
        if (isCold(this.state)) Object.assign(this, { run: 'gone', mirroring: false });
        this.#call('commit');
        const epoch = this.plan.epoch;
        return { running: { epoch, runningAt: '2026-01-01T00:00:00Z', resumeMs: 1 } };
      }
      case 'drain':
        if (this.state.stream === 'lost' || this.state.stream === 'failed') throw notWhole();
        return {};
      case 'verify':
        this.dispatch({ type: 'measured', sample: sampleOf({ round: this.round }), final: true });
        if (this.run === 'running') throw held('the source runs');
        return {};
      case 'retire':
        this.run = 'gone';
        return {};
      case 'finish':
        this.#call('finish');
        return {};
    }
  }

  #undo(step: StepName): void {
    if (step === 'admit' && this.destination !== undefined) this.#call('release');
    if (step === 'configure') this.configured = false;
    if (step === 'mirror') this.mirroring = false;
    if (step === 'unplug') this.unplugged = false;
    if (step === 'balloon') this.ballooned = false;
    if (step === 'arm' && this.destination !== undefined) this.#call('refuse');
    if (step === 'switchover' && isCold(this.state)) this.#startAgain();
    else if (step === 'memory' || step === 'switchover') this.#regain();
  }

  #startAgain(): void {
    if (this.run === 'running') return;
    if (!sourceMayRunOn(this.state.right)) this.#mustHaveRefusal();
    if (this.run === 'shut-down') this.unheard.push({ type: 'resumed' });
    this.run = 'running';
  }

  #regain(): void {
    if (this.run === 'gone') return;
    if (this.run !== 'handed-over') {
      if (this.stream !== 'none' && this.stream !== 'failed') this.says('cancelled', 'cancelled');
      this.runsAgain();
      return;
    }
    this.#mustHaveRefusal();
    this.runsAgain();
  }

  #mustHaveRefusal(): void {
    try {
      this.#call('refuse');
    } catch {
      throw held('no refusal is to be had');
    }
    if (!mayResume(this.state.right, true)) throw held('the right has passed');
  }

  #call(call: DestinationCall): void {
    if (this.destination === undefined) throw new GodwitError(unreachable);
    this.sent.push(call);
    this.destination.call(call);
  }

  /** After pre-switchover the last state goes; before it there is nothing to continue. */
  #continueSwitchover(): void {
    if (this.stream !== 'pre-switchover') return;
    this.mirroring = false;
    this.says('device', 'device');
  }

  /** The hypervisor comes to a stream state and says so in `words`. */
  says(stream: HypervisorStatus['stream'], ...words: HypervisorEvent['type'][]): void {
    this.stream = stream;
    for (const type of words.length === 0 ? [stream as HypervisorEvent['type']] : words) {
      const event = { type, reason: 'as it goes', round: this.round } as unknown as HypervisorEvent;
      this.unheard.push(event);
      if (type === 'stopped') this.run = 'paused';
    }
  }

  runsAgain(): void {
    if (this.run === 'paused' || this.run === 'handed-over') this.unheard.push({ type: 'resumed' });
    this.run = 'running';
  }

  hear(): void {
    const event = this.unheard.shift();
    if (event !== undefined) this.dispatch({ type: 'hypervisor', event });
  }

  /** A new mover for the source: what was under way is forgotten, the hypervisor says anew what is so. */
  takeover(): void {
    this.pending = [];
    this.timer = false;
    this.unheard = this.run === 'gone' ? [{ type: 'lost', reason: 'gone' }] : [];
    if (this.run === 'paused' || this.run === 'shut-down') this.unheard.push({ type: 'stopped' });
    if (this.stream !== 'none' && this.run !== 'gone') this.says(this.stream);
    const state = replaySource(this.journal);
    if (state === undefined) throw new Error('the journal says nothing');
    this.state = state;
    this.dispatch({ type: 'taken-over', pid: 99 });
  }
}
