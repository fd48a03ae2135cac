import type { SourceEffect, SourceState } from '../../src/migration/direct/source/source-state.ts';
import { STEPS, type StepName } from '../../src/migration/direct/source/steps.ts';
import type { Context } from './context.ts';
import {
  DID,
  FAILED,
  TAKEN_OVER,
  TAKEN_OVER_REBOOTED,
  UNDID,
  UNDO_FAILED,
  type ErrorName,
} from './events.ts';
import { ACT, LIVE, callBit, type Call, type World } from './state.ts';

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
  for (const effect of effects) perform(context, world, effect);
}

const isTakeover = (event: number): boolean =>
  event === TAKEN_OVER || event === TAKEN_OVER_REBOOTED;

function perform({ table }: Context, world: World, effect: SourceEffect): void {
  switch (effect.type) {
    case 'do':
      world.act = ACT.begin;
      world.at = table.do[effect.step];
      world.live = LIVE.none;
      return;
    case 'undo': {
      const at = table.undo[effect.step];
      if (at === undefined) throw new Error(`nothing undoes ${effect.step}`);
      world.act = ACT.begin;
      world.at = at;
      world.live = LIVE.none;
      return;
    }
    case 'continue':
      world.cont = 1;
      return;
    case 'stop':
      throw new Error('no hypervisor of the model runs a guest by itself');
    case 'recover':
      world.rec = 1;
      return;
    case 'steer':
      throw new Error('the model decides for post-copy alone');
    case 'restart':
    case 'give-up':
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

/** Sends the call that the present step waits for. The network may keep a copy. */
export function send(world: World, call: Call): void {
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
  if (STEPS[step].endsBy === 'handler') apply(context, world, DID[step]);
}

export function undid(context: Context, world: World, step: StepName): void {
  apply(context, world, UNDID[step]);
}
