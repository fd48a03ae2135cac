import type { SourceState } from '../../src/migration/direct/source/source-state.ts';
import { STEPS } from '../../src/migration/direct/source/steps.ts';
import { RULES_BROKEN, type Context, type Rule } from './context.ts';
import {
  BUSY,
  DEST,
  EXCUSE,
  QEMU,
  destinationRuns,
  runsElsewhere,
  sourceRuns,
  type World,
} from './state.ts';

/** The rule that this state breaks; undefined where all is well. */
export function brokenRule(context: Context, world: World): Rule | undefined {
  if (world.broken !== 0) return RULES_BROKEN[world.broken - 1];
  const runsHere = sourceRuns(world);
  if (runsHere && runsElsewhere(world)) return 'two copies of the guest run';
  if (runsHere && world.ran === 1 && world.qemu !== QEMU.anew) {
    return 'the source resumed a guest that has run at the destination';
  }
  if (context.rehearses && isNoRehearsal(world, context.source.state(world.js))) {
    return 'a rehearsal came to what only a migration does';
  }
  return wrongEnd(world, context.source.state(world.js));
}

/** The right to run has moved, or was about to. */
function isNoRehearsal(world: World, { doing, right }: SourceState): boolean {
  if (world.commitSent === 1 || world.ran === 1) return true;
  if (right !== 'held' && right !== 'abandoned') return true;
  if (doing.kind === 'do') return !STEPS[doing.step].rehearsed;
  return doing.kind === 'end' && doing.outcome === 'done';
}

function wrongEnd(world: World, { doing, right, via }: SourceState): Rule | undefined {
  const { excuses } = world;
  // A source that lost power may have lost the record of its commit; and one that died in post-copy took memory with
  // it, or just not. A person is asked to look.
  const hasGone = via === 'postcopy' && (excuses & EXCUSE.sourceGone) !== 0;
  const knows = !hasGone && (world.rebooted === 0 || right === 'passed');
  const { sourceGone, destinationGone, rebooted, proved, lastWord } = EXCUSE;
  const dead = sourceGone | destinationGone | rebooted | proved | lastWord;
  // Of a host that cannot read its journal nothing is heard but that.
  const waits = (excuses & (EXCUSE.deadline | EXCUSE.damaged)) !== 0;
  switch (doing.kind === 'end' ? doing.outcome : undefined) {
    case 'rehearsed':
    case 'failed':
    case 'cancelled':
      // Where a person had it run there, the source hears of it when it can: its end was another's to decide.
      if (runsElsewhere(world) && world.ordered === 0) {
        return 'the migration ended as failed or cancelled and the guest runs at the destination';
      }
      if (sourceRuns(world) || world.qemu === QEMU.gone) return undefined;
      return 'the migration ended as failed or cancelled and the guest is paused at the source';
    case 'done':
      if (runsElsewhere(world) || (excuses & dead) !== 0) return undefined;
      return 'the migration ended as done and the guest does not run at the destination';
    case 'lost':
      if ((excuses & dead) !== 0) return undefined;
      return 'the migration ended as lost though both hypervisors live';
    case 'held':
      if (destinationRuns(world) && !waits && knows) {
        return 'the migration was held though the guest runs at the destination, which answers';
      }
      if (sourceRuns(world) && !waits) {
        return 'the migration was held though the guest runs at the source';
      }
      if (excuses !== 0) return undefined;
      return 'the migration was held though nothing but movers died and no deadline passed';
    default:
      return undefined;
  }
}

/** Nothing is left to do: the source has ended, and the destination holds nothing that it should have released. */
export function isOver(context: Context, world: World): boolean {
  const { doing } = context.source.state(world.js);
  // From here on a person decides.
  if (world.sdam === 1) return true;
  if (doing.kind !== 'end') return false;
  if (world.ddam === 1) return true;
  if (world.jd === 0 || world.forgot === 1) return true;
  if (world.dmover === 0 || world.busy !== BUSY.idle) return false;
  const { stage, right, unsure } = context.destination.state(world.jd);
  if (stage === 'released') return world.dqemu === DEST.none;
  if (stage === 'finished') return true;
  // A person decides: the destination keeps what it has.
  // What post-copy has brought may be all there is of the guest: silence alone does not take it down.
  const holds = world.dqemu === DEST.postcopy || world.dqemu === DEST.postcopyCut;
  if (right === 'armed' && holds) return true;
  const kept = right === 'running' || unsure;
  return kept && !['rehearsed', 'failed', 'cancelled'].includes(doing.outcome);
}
