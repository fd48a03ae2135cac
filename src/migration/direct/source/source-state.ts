import { z } from 'zod';
import type { SerialError } from '../../../errors.ts';
import {
  diskCheck,
  diskLatency,
  diskLink,
  diskPace,
  diskProgress,
  type DiskPace,
  type DiskProgress,
} from '../../../protocol/disk.ts';
import { serialError } from '../../../protocol/errors.ts';
import {
  check,
  memorySample,
  migrationSettings,
  type MemorySample,
  type Phase,
} from '../../../protocol/public/migration.ts';
import type { Doing as EngineDoing, EngineEffect } from '../../engine/rows.ts';
import { isToWait } from '../../waits.ts';
import {
  address,
  epoch,
  guestName,
  hostName,
  migrationId,
  ms,
  shortText,
} from '../../../protocol/names.ts';
import { ballooned } from '../../../protocol/public/balloon.ts';
import { runAt, answersFor, type HostDoubts } from '../../../protocol/public/resolve.ts';
import { forecast } from '../../../protocol/public/prediction.ts';
import { steeringRecord } from '../../../protocol/public/steering.ts';
import { wireFigures } from '../../../protocol/wire.ts';
import type { Halt } from '../../guest-changes/run-states.ts';
import { hypervisorEvent } from '../hypervisor.ts';
import { guestHandle } from '../../../protocol/mover/handle.ts';
import type { SteeringTrace } from '../../steering/trace.ts';
import { bootName, proof, uptimeMs, type Proof, type SourceRight } from '../run-right.ts';
import type { BootTime } from '../../boot-time.ts';
import { STEP_NAMES, STEPS, type StepName, type UndoneStep } from './steps.ts';
import { stepFacts, type StepFacts } from './step-facts.ts';

export { stepFacts } from './step-facts.ts';
export type { StepFacts } from './step-facts.ts';

const step = z.enum(STEP_NAMES);
const why = z.string().max(1024).optional();

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
    /** Wall clock of the request to the agent, before the mover's start. */
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
    /** The guest's hypervisor had ended and was started again. */
    anew: z.literal(true).optional(),
    /** The guest booted from its disks, because the destination may have run it on them. */
    fromDisks: z.literal(true).optional(),
  }),
  z.object({ type: z.literal('undo-failed'), step, error: serialError }),
  z.object({ type: z.literal('hypervisor'), event: hypervisorEvent }),
  z.object({ type: z.literal('measured'), sample: memorySample, final: z.boolean() }),
  z.object({
    type: z.literal('copied'),
    disks: z.array(diskProgress).max(64),
    pace: diskPace.optional(),
  }),
  z.object({
    type: z.literal('decided'),
    what: z.enum(['postcopy', 'downtime', 'throttle', 'give-up', 'slow-writes']),
    why: z.string().max(1024),
    ...steeringRecord.shape,
  }),
  /** Cap of the host for this time of day, bytes/s; 0: none. */
  z.object({ type: z.literal('capped'), bytesPerS: memorySample.shape.rate }),
  z.object({ type: z.literal('unset'), error: serialError }),
  /** The destination reported by itself that it cannot continue. */
  z.object({ type: z.literal('destination-lost'), error: serialError }),
  /** Duration of a stall of post-copy, with a path to the destination open. */
  z.object({ type: z.literal('stalled'), forMs: ms }),
  /** The bytes flow again, `over` that address; `afterMs`: length of a stall that ended by itself. */
  z.object({ type: z.literal('flows'), afterMs: ms.optional(), over: address.optional() }),
  z.object({ type: z.literal('recovery-failed'), error: serialError }),
  /** Final figures of the wire, or of the disks' path; `why` if it ended by itself. */
  z.object({ type: z.literal('wire'), figures: wireFigures, why }),
  z.object({ type: z.literal('disk-link'), figures: diskLink, why }),
  z.object({ type: z.literal('latency'), disks: z.array(diskLatency).max(64) }),
  /** Guest memory before its balloon takes any. */
  z.object({ type: z.literal('inflating'), fromBytes: ballooned.shape.takenBytes }),
  z.object({ type: z.literal('compared'), check: diskCheck }),
  z.object({ type: z.literal('cancel'), sample: memorySample.optional() }),
  /**
   * Like `failed` and `cancel`, with the last look at the stream and the length of a stall; absent in earlier builds'
   * records.
   */
  z.object({
    type: z.literal('timeout'),
    afterMs: ms,
    sample: memorySample.optional(),
    stillMs: ms.optional(),
  }),
  z.object({
    type: z.literal('taken-over'),
    pid: z.number().int(),
    /** The host rebooted since the migration began, so unsynced records may be missing. */
    rebooted: z.boolean().optional(),
  }),
  /** Resumes a held migration. `ask`: with the destination's answer, as usual. */
  z.object({
    type: z.literal('resolved'),
    runAt,
    proof: z.enum(['ask', ...proof.options]),
    by: z.string().max(128),
    here: z.enum(['running', 'paused', 'incoming', 'handed-over', 'gone', 'unknown']),
    /** Boot of the proof or order; without it (an earlier build), it starts no guest. */
    bootId: bootName.optional(),
    uptimeMs: uptimeMs.optional(),
    answersFor: answersFor.optional(),
    /** The operator overrode all warnings. */
    insists: z.literal(true).optional(),
    /** `elsewhere`: the third host that has the guest; absent: the operator answers for it. */
    elsewhere: z.object({ host: hostName, why: shortText }).optional(),
  }),
  z.object({
    type: z.literal('fenced'),
    host: hostName,
    by: z.string().max(128),
    bootId: bootName.optional(),
    uptimeMs: uptimeMs.optional(),
  }),
  z.object({ type: z.literal('restarted'), handle: guestHandle }),
  z.object({ type: z.literal('restart-failed'), error: serialError }),
  z.object({ type: z.literal('gave-up') }),
  z.object({ type: z.literal('give-up-failed'), error: serialError }),
]);
export type SourceEvent = z.infer<typeof sourceEvent>;
export type PlannedEvent = Extract<SourceEvent, { type: 'planned' }>;

export type Doing =
  | EngineDoing<StepName, UndoneStep>
  | { readonly kind: 'restart' }
  | { readonly kind: 'give-up' };

export interface SourceState {
  readonly plan: Readonly<
    Pick<PlannedEvent, 'id' | 'guest' | 'from' | 'to' | 'epoch' | 'settings' | 'bootId'>
  >;
  readonly doing: Doing;
  readonly right: SourceRight;
  /** Decided when the switchover begins. */
  readonly via: 'precopy' | 'postcopy' | 'none';
  readonly stream: 'none' | 'active' | 'paused' | 'done' | 'failed' | 'lost';
  readonly stopped: boolean;
  /** Reason of a stop that is not the move's; Godwit does not resume it. */
  readonly halted?: Halt;
  readonly known: StepFacts;
  readonly sample: MemorySample | undefined;
  /** Caps of the host for this time of day, bytes/s: now (0: none), and the lowest so far; absent: never capped. */
  readonly capped?: { readonly now: number; readonly least?: number };
  readonly steering?: SteeringTrace;
  /** Last report on disk copies; absent if none is copied. */
  readonly disks?: readonly DiskProgress[];
  readonly diskPace?: DiskPace | undefined;
  /** Undoing the stream failed: the guest may be paused here, or run. */
  readonly unsure: boolean;
  /** Attempts at the current step or at the return of the guest. */
  readonly attempts: number;
  readonly because: SerialError | undefined;
  readonly cancelled: boolean;
  /** The switchover that a finished rehearsal would have made. */
  readonly cameTo?: 'precopy' | 'postcopy';
  readonly leftovers: readonly SerialError[];
  /** The epoch was closed without the destination's refusal. */
  readonly closedByProof: boolean;
  /** It was closed after a commit, so the destination may have written to shared disks. */
  readonly mayHaveRunThere?: true;
  /** The last decision, replaced as a whole, so that an old proof cannot serve a new order. */
  readonly decision: Decision;
  readonly restarted: boolean;
  /** A new hypervisor took back the guest of a cold move; events of the old one are ignored. */
  readonly startedAnew?: true;
}

/** Substitute for the answers of other hosts; void in another boot and after some time. */
export interface Decision {
  /** Substitute for the destination's refusal. `none`: it must refuse. */
  readonly proof: Proof | 'none';
  readonly answersFor: readonly HostDoubts[];
  /** The operator was warned that memory may be older than storage, and insisted. */
  readonly fromMemory?: true;
  /** Undefined in an earlier build's journal. */
  readonly at: BootTime | undefined;
}
export const NO_DECISION: Decision = { proof: 'none', answersFor: [], at: undefined };

export type TimeOver = Extract<SourceEvent, { type: 'timeout' }>;

export type SourceEffect = EngineEffect<StepName, UndoneStep> | OwnEffect;

export type OwnEffect =
  | { readonly type: 'continue' }
  | { readonly type: 'steer' }
  /** Stops a guest that its hypervisor resumed without permission. */
  | { readonly type: 'stop' }
  | { readonly type: 'recover' }
  /** Starts the guest again here; the destination's copy is proven gone first. */
  | { readonly type: 'restart' }
  /** Ends the copy here; removes no disk. */
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
