import { z } from 'zod';
import type { SerialError } from '../../errors.ts';
import {
  diskCheck,
  diskLatency,
  diskLink,
  diskPace,
  diskProgress,
  type DiskPace,
  type DiskProgress,
} from '../../protocol/disk.ts';
import { serialError } from '../../protocol/errors.ts';
import {
  check,
  memorySample,
  migrationSettings,
  type MemorySample,
  type Phase,
} from '../../protocol/public/migration.ts';
import type { Doing as EngineDoing, EngineEffect } from '../engine/rows.ts';
import { isToWait } from '../waits.ts';
import {
  address,
  epoch,
  guestName,
  hostName,
  migrationId,
  ms,
  shortText,
} from '../../protocol/names.ts';
import { ballooned } from '../../protocol/public/balloon.ts';
import { runAt, answersFor, type HostDoubts } from '../../protocol/public/resolve.ts';
import { forecast } from '../../protocol/public/prediction.ts';
import { steeringRecord } from '../../protocol/public/steering.ts';
import { wireFigures } from '../../protocol/wire.ts';
import type { Halt } from '../guest-changes/run-states.ts';
import { hypervisorEvent } from './hypervisor.ts';
import { guestHandle } from '../../protocol/mover/handle.ts';
import type { SteeringTrace } from '../steering/trace.ts';
import { bootName, proof, uptimeMs, type Proof, type SourceRight } from './run-right.ts';
import type { BootTime } from '../boot-time.ts';
import { STEP_NAMES, STEPS, type StepName, type UndoneStep } from './steps.ts';
import { stepFacts, type StepFacts } from './step-facts.ts';

export { stepFacts } from './step-facts.ts';
export type { StepFacts } from './step-facts.ts';

const step = z.enum(STEP_NAMES);
const why = z.string().max(1024).optional();

/** Everything that can happen to a migration at its source. What is journaled is exactly this. */
export const sourceEvent = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('planned'),
    id: migrationId,
    guest: guestName,
    from: hostName,
    to: hostName,
    epoch,
    settings: migrationSettings,
    bootId: bootName,
    /** Wall clock when the agent was asked; the mover's own start comes between. */
    askedAtMs: z.number().nonnegative().optional(),
    prediction: forecast.prediction,
  }),
  z.object({ type: z.literal('did'), step, facts: stepFacts }),
  z.object({
    type: z.literal('failed'),
    step,
    error: serialError,
    checks: z.array(check).max(256).optional(),
    sample: memorySample.optional(),
  }),
  z.object({
    type: z.literal('undid'),
    step,
    /** The guest's hypervisor had ended, and was started again. */
    anew: z.literal(true).optional(),
    /** The guest started from its disks, because the destination may have run it on them. */
    fromDisks: z.literal(true).optional(),
  }),
  z.object({ type: z.literal('undo-failed'), step, error: serialError }),
  z.object({ type: z.literal('hypervisor'), event: hypervisorEvent }),
  /** A round ended, or (`final`) the stream did. */
  z.object({ type: z.literal('measured'), sample: memorySample, final: z.boolean() }),
  /** How far the copies of disks are. */
  z.object({
    type: z.literal('copied'),
    disks: z.array(diskProgress).max(64),
    pace: diskPace.optional(),
  }),
  /** The steering's decision, with the numbers it was taken on. */
  z.object({
    type: z.literal('decided'),
    what: z.enum(['postcopy', 'downtime', 'throttle', 'give-up', 'slow-writes']),
    why: z.string().max(1024),
    ...steeringRecord.shape,
  }),
  /** By the time of day its host allows so much now, bytes/s; 0: as much as the link carries. */
  z.object({ type: z.literal('capped'), bytesPerS: memorySample.shape.rate }),
  /** What steering decided last could not be set on the stream that runs. */
  z.object({ type: z.literal('unset'), error: serialError }),
  /** The destination says by itself that it cannot go on. */
  z.object({ type: z.literal('destination-lost'), error: serialError }),
  /** Post-copy's bytes have been stalled for so long, and a path to the destination is open. */
  z.object({ type: z.literal('stalled'), forMs: ms }),
  /** They move again, `over` that address of the destination; `afterMs` where nothing had to be done for it. */
  z.object({ type: z.literal('flows'), afterMs: ms.optional(), over: address.optional() }),
  z.object({ type: z.literal('recovery-failed'), error: serialError }),
  /** The wire was closed, and this is what it did; `why` where it ended by itself. The same of the path of the disks. */
  z.object({ type: z.literal('wire'), figures: wireFigures, why }),
  z.object({ type: z.literal('disk-link'), figures: diskLink, why }),
  /** How long the guest's own requests to the disks took that are copied: all that is known by now. */
  z.object({ type: z.literal('latency'), disks: z.array(diskLatency).max(64) }),
  /** The guest's balloon is about to take memory of it; so much it has. */
  z.object({ type: z.literal('inflating'), fromBytes: ballooned.shape.takenBytes }),
  /** The copies of disks were compared, after the guest had left. */
  z.object({ type: z.literal('compared'), check: diskCheck }),
  z.object({ type: z.literal('cancel'), sample: memorySample.optional() }),
  /** As `failed` and `cancel`, with the stream as it was looked at last, and for how long it was stalled; earlier builds wrote neither. */
  z.object({
    type: z.literal('timeout'),
    afterMs: ms,
    sample: memorySample.optional(),
    stillMs: ms.optional(),
  }),
  z.object({
    type: z.literal('taken-over'),
    pid: z.number().int(),
    /** The host was restarted since the migration began: unsynced records may be missing. */
    rebooted: z.boolean().optional(),
  }),
  /** A held migration is resumed. `ask`: as the protocol has it, with the destination's own answer. */
  z.object({
    type: z.literal('resolved'),
    runAt,
    proof: z.enum(['ask', ...proof.options]),
    by: z.string().max(128),
    /** Where the source's hypervisor stood when it was asked. */
    here: z.enum(['running', 'paused', 'incoming', 'handed-over', 'gone', 'unknown']),
    /** When the proof was obtained, or the order given; absent: an earlier build's, which starts no guest. */
    bootId: bootName.optional(),
    uptimeMs: uptimeMs.optional(),
    answersFor: answersFor.optional(),
    /** The operator insisted, whatever the order rests on. */
    insists: z.literal(true).optional(),
    /** `elsewhere`: the third host that has the guest; absent: the operator answers for it. */
    elsewhere: z.object({ host: hostName, why: shortText }).optional(),
  }),
  /** The fencing hook has shown that the destination's host is off. */
  z.object({
    type: z.literal('fenced'),
    host: hostName,
    by: z.string().max(128),
    bootId: bootName.optional(),
    uptimeMs: uptimeMs.optional(),
  }),
  /** The guest was lost, and started anew here. */
  z.object({ type: z.literal('restarted'), handle: guestHandle }),
  z.object({ type: z.literal('restart-failed'), error: serialError }),
  /** Another host has the guest: the copy here is ended. */
  z.object({ type: z.literal('gave-up') }),
  z.object({ type: z.literal('give-up-failed'), error: serialError }),
]);
export type SourceEvent = z.infer<typeof sourceEvent>;
export type PlannedEvent = Extract<SourceEvent, { type: 'planned' }>;

export type Doing =
  | EngineDoing<StepName, UndoneStep>
  /** The guest is lost and is being started anew at the source (`onLost`). */
  | { readonly kind: 'restart' }
  /** Another host has the guest, and the copy here is being ended. */
  | { readonly kind: 'give-up' };

export interface SourceState {
  readonly plan: Readonly<
    Pick<PlannedEvent, 'id' | 'guest' | 'from' | 'to' | 'epoch' | 'settings' | 'bootId'>
  >;
  readonly doing: Doing;
  readonly right: SourceRight;
  /** How the switch takes place; decided when it begins. */
  readonly via: 'precopy' | 'postcopy' | 'none';
  /** The stream as the source's hypervisor last reported it. */
  readonly stream: 'none' | 'active' | 'paused' | 'done' | 'failed' | 'lost';
  /** The guest's processors are stopped here. */
  readonly stopped: boolean;
  /** The guest is stopped for another reason than its move; Godwit does not overrule it. */
  readonly halted?: Halt;
  readonly known: StepFacts;
  readonly sample: MemorySample | undefined;
  /** By how much the time of day caps it, bytes/s: now (0: it does not), and the least so far; absent: it never did. */
  readonly capped?: { readonly now: number; readonly least?: number };
  /** What steering remembers; absent until memory moves. */
  readonly steering?: SteeringTrace;
  /** The copies of disks as they were last heard of; absent where none is copied. */
  readonly disks?: readonly DiskProgress[];
  readonly diskPace?: DiskPace | undefined;
  /** The stream could not be taken back: the guest may be paused here, or run. */
  readonly unsure: boolean;
  /** Tries of the present step, or of taking the guest back. */
  readonly attempts: number;
  /** Why it is being undone, or how it failed. */
  readonly because: SerialError | undefined;
  readonly cancelled: boolean;
  /** How a rehearsal would have switched, once it has come to that. */
  readonly cameTo?: 'precopy' | 'postcopy';
  /** What could not be cleaned up; the migration ended all the same. */
  readonly leftovers: readonly SerialError[];
  /** The epoch was closed without the destination's refusal: it may have had the right to run since. */
  readonly closedByProof: boolean;
  /** It was closed so after a commit was sent: the destination may have run the guest, and written to disks that both see. */
  readonly mayHaveRunThere?: true;
  /** What was decided last. A new order or proof replaces all of it, so that no proof is taken for a later one. */
  readonly decision: Decision;
  /** Lost, and started anew here. */
  readonly restarted: boolean;
  /** The guest of a cold move was taken back by a new hypervisor; the mover hears of the former one alone. */
  readonly startedAnew?: true;
}

/** What stands for the answers of other hosts, and when it was obtained; void in another boot, and after a time. */
export interface Decision {
  /** Stands for the destination's refusal. `none`: it must refuse. */
  readonly proof: Proof | 'none';
  /** What the operator answered for. */
  readonly answersFor: readonly HostDoubts[];
  /** The operator was shown that memory here may be older than storage, and insists that the guest goes on from it. */
  readonly fromMemory?: true;
  /** Undefined: not known, as in an earlier build's journal. */
  readonly at: BootTime | undefined;
}
export const NO_DECISION: Decision = { proof: 'none', answersFor: [], at: undefined };

/** The time that a step, or all of it, was given is over. */
export type TimeOver = Extract<SourceEvent, { type: 'timeout' }>;

export type SourceEffect = EngineEffect<StepName, UndoneStep> | OwnEffect;

/** What only a direct migration has to carry out besides its steps. */
export type OwnEffect =
  /** Let the last state go, after pre-switchover. */
  | { readonly type: 'continue' }
  /** Set what steering has decided on the stream that runs. */
  | { readonly type: 'steer' }
  /** It runs here, by its hypervisor's own doing, and must not. */
  | { readonly type: 'stop' }
  /** Post-copy: resume the broken stream. */
  | { readonly type: 'recover' }
  /** Start the guest anew here, once the destination's copy is known to be gone. */
  | { readonly type: 'restart' }
  /** End the copy here; no disk is removed. */
  | { readonly type: 'give-up' };

export interface Transition {
  readonly state: SourceState;
  readonly effects: readonly SourceEffect[];
}

export function initialSource(planned: PlannedEvent): Transition {
  const { id, guest, from, to, epoch: number, settings, bootId } = planned;
  const step = isToWait(settings) ? 'wait' : 'admit';
  return {
    state: {
      plan: { id, guest, from, to, epoch: number, settings, bootId },
      doing: { kind: 'do', step },
      right: 'held',
      via: 'none',
      stream: 'none',
      stopped: false,
      known: {},
      sample: undefined,
      unsure: false,
      attempts: 0,
      because: undefined,
      cancelled: false,
      leftovers: [],
      closedByProof: false,
      decision: NO_DECISION,
      restarted: false,
    },
    effects: [{ type: 'do', step }],
  };
}

export function phaseOf(state: SourceState): Phase {
  switch (state.doing.kind) {
    case 'do':
      return STEPS[state.doing.step].phase;
    case 'undo':
      return 'undoing';
    case 'restart':
    case 'give-up':
      return 'cleanup';
    case 'end':
      return state.doing.outcome;
  }
}
