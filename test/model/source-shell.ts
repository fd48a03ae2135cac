import type { SourceEffect, SourceState } from '../../src/migration/direct/source-state.ts';
import { STEPS } from '../../src/migration/direct/steps.ts';
import type { StepName } from '../../src/migration/direct/steps.ts';
import { breakRule } from './context.ts';
import type { Context } from './context.ts';
import { DID, FAILED, TAKEN_OVER, TAKEN_OVER_REBOOTED, UNDO_FAILED } from './events.ts';
import type { ErrorName } from './events.ts';
import { says } from './hypervisors.ts';
import { ACT, CALLS, EXCUSE, LIVE, QEMU, callBit, handedOver } from './state.ts';
import type { Call, World } from './state.ts';

/** The shell of the source's mover (src/mover/direct/source/coordinator.ts): what it does for each event and effect. */

export function stateOf(context: Context, world: World): SourceState {
  return context.source.state(world.js);
}

/**
 * Applies one event in `world`, as the coordinator does: the record is written, synced where the rules say so, and
 * then the effects begin. (A mover that dies between a synced record and its effects is a mover that dies before the
 * effects have begun; a power loss before the record was synced is one before the event was heard.)
 */
export function apply(context: Context, world: World, event: number): void {
  const { source } = context;
  if (source.state(world.js).doing.kind === 'end' && !isTakeover(event)) return;
  const { journal, effects, sameDoing } = source.apply(world.js, event);
  world.js = journal;
  if (!sameDoing) world.took = 0;
  for (const effect of effects) perform(world, effect);
}

const isTakeover = (event: number): boolean =>
  event === TAKEN_OVER || event === TAKEN_OVER_REBOOTED;

function perform(world: World, effect: SourceEffect): void {
  switch (effect.type) {
    case 'do':
      world.act = ACT.begin;
      world.live = LIVE.none;
      return;
    case 'abort':
      world.act = ACT.idle;
      world.live = LIVE.none;
      return;
    case 'undo':
      world.act = ACT.begin;
      world.live = LIVE.none;
      return;
    case 'continue':
      world.cont = 1;
      return;
    case 'stop':
      throw new Error('no hypervisor of the model runs a guest by itself');
    case 'recover':
      world.rec = 1;
      return;
    case 'restart':
      throw new Error('no migration of the model asks for it');
    case 'end':
      world.act = ACT.idle;
      world.live = LIVE.none;
      world.cont = 0;
      world.rec = 0;
      world.took = 0;
      world.sess = 0;
      world.unheard = 0;
      return;
  }
}

/** Opens the session with QEMU where it is not open; false where QEMU is gone and there is none to open. */
export function openSession(world: World): boolean {
  if (world.sess === 1) return true;
  if (world.qemu === QEMU.gone) return false;
  world.sess = 1;
  // A session begins with what is already so; with the guest running here, a stream that ended is an older one’s.
  switch (world.qemu) {
    case QEMU.active:
    case QEMU.activePc:
    case QEMU.cancelling:
      says(world, 'active');
      break;
    case QEMU.cancellingStill:
      says(world, 'active');
      break;
    case QEMU.preSwitchover:
    case QEMU.preSwitchoverPc:
      says(world, 'pre-switchover');
      break;
    case QEMU.device:
    case QEMU.devicePc:
      says(world, 'device');
      break;
    case QEMU.failedStill:
    case QEMU.endedStill:
    case QEMU.failedGiven:
      says(world, 'failed');
      break;
    case QEMU.completed:
      says(world, 'completed');
      break;
    case QEMU.postcopy:
      says(world, 'postcopy-active');
      break;
    case QEMU.postcopyPaused:
      says(world, 'postcopy-paused');
      break;
    default:
  }
  return true;
}

/** Sends the call that the present step waits for. The network may keep a copy. */
export function send(world: World, call: Call): void {
  world.act = ACT.call;
  world.live = LIVE.sent;
  world.sent |= callBit(call);
  if (call === 'commit') world.commitSent = 1;
}

export function fails(context: Context, world: World, error: ErrorName): void {
  const { doing } = stateOf(context, world);
  if (doing.kind === 'do') apply(context, world, FAILED[doing.step][error]);
  if (doing.kind === 'undo') apply(context, world, UNDO_FAILED[doing.step][error]);
}

export function did(context: Context, world: World, step: StepName): void {
  world.act = ACT.idle;
  if (STEPS[step].endsBy === 'handler') apply(context, world, DID[step]);
}

/** migrate-continue; false where QEMU refuses it. */
export function continueSwitchover(world: World): boolean {
  switch (world.qemu) {
    case QEMU.preSwitchover:
      world.qemu = QEMU.device;
      says(world, 'device');
      return true;
    case QEMU.preSwitchoverPc:
      world.qemu = QEMU.devicePc;
      says(world, 'device');
      return true;
    case QEMU.device:
    case QEMU.devicePc:
    case QEMU.completed:
    case QEMU.postcopy:
    case QEMU.postcopyPaused:
    case QEMU.failedGiven:
      return true;
    default:
      return false;
  }
}

/** The call that the present step or undo makes of the destination. */
export function callOf(state: SourceState): Call {
  if (state.doing.kind === 'undo') {
    switch (state.doing.step) {
      case 'admit':
        return 'release';
      case 'arm':
      case 'memory':
      case 'switchover':
        return 'refuse';
      default:
    }
  }
  const step = state.doing.kind === 'do' ? state.doing.step : undefined;
  const call = CALLS.find((name) => name === step);
  if (call === undefined) throw new Error(`no call belongs to ${JSON.stringify(state.doing)}`);
  return call;
}

/** cont, after everything was handed over: only with the destination's refusal in hand. */
export function resumeGuest(context: Context, world: World): void {
  const postcopy = handedOver(world) && world.qemu !== QEMU.completed;
  if (postcopy && world.ran === 1) {
    breakRule(world, 'the source resumed a guest whose post-copy had run at the destination');
  }
  if (world.qemu === QEMU.gone) return;
  const there = world.jd === 0 ? undefined : context.destination.durable(world.jd);
  const proved = (world.excuses & EXCUSE.proved) !== 0;
  if (there?.right !== 'refused' && !proved) {
    breakRule(
      world,
      'the source resumed a guest that it had handed over, without a refusal that outlives a power loss',
    );
  }
  if (world.ran === 1 && !proved) {
    breakRule(world, 'the source resumed a guest that has run at the destination');
  }
  world.qemu = QEMU.resumed;
}
