import type { DestinationBook, SourceBook } from './journals.ts';
import type { Choices } from './choices.ts';
import type { Rules } from './rules.ts';
import type { DestinationTable } from './shells/destination.ts';
import type { SourceTable } from './shells/source.ts';
import type { World } from './state.ts';

/**
 * `step`: what goes on by itself; `time`: a deadline passes; `ask`: an operator or the steering wants something;
 * `net`: the network doubles or delays; `fault`: something dies. A fair run is one of steps and time alone.
 */
export type Kind = 'step' | 'time' | 'ask' | 'net' | 'fault';

/** What the moves work with, for one state at a time. */
export interface Context {
  readonly rules: Rules;
  readonly mode: 'precopy' | 'hybrid';
  readonly rehearses: boolean;
  /** What the source's mover does for each step, taken from its own code. */
  readonly table: SourceTable;
  /** What the destination's mover does, taken from its own code. */
  readonly there: DestinationTable;
  readonly choices: Choices;
  readonly source: SourceBook;
  readonly destination: DestinationBook;
  /** The state that is being left; never changed. */
  readonly world: World;
  /** Where one next state is built; each move begins with `fork`. */
  readonly next: World;
  /** Hands in `next` as reached by this move. */
  readonly emit: (kind: Kind, label: string) => void;
}

export function fork(context: Context): World {
  return context.next.copyFrom(context.world);
}

/** Marks `world` as one in which a rule was broken. */
export function breakRule(world: World, rule: Rule): void {
  if (world.broken === 0) world.broken = RULES_BROKEN.indexOf(rule) + 1;
}

export const RULES_BROKEN = [
  'two copies of the guest run',
  'the source resumed a guest that it had handed over, without a refusal that outlives a power loss',
  'the source resumed a guest that has run at the destination',
  'the source resumed a guest whose post-copy had run at the destination',
  'the destination runs without a commit under its epoch',
  'the destination runs although it has refused',
  'the migration ended as failed or cancelled and the guest is paused at the source',
  'the migration ended as failed or cancelled and the guest runs at the destination',
  'the migration ended as done and the guest does not run at the destination',
  'the migration ended as lost though both hypervisors live',
  'the migration was held though nothing but movers died and no deadline passed',
  'the migration was held though the guest runs at the destination, which answers',
  'the migration was held though the guest runs at the source',
  'the source found all well though the destination’s QEMU had ended and nothing would ever say so',
  'the destination acts after it has released everything',
  'the destination promised to run a guest whose QEMU it knew to be gone',
  'a rehearsal came to what only a migration does',
  'a host whose kernel answers, or may answer, was turned off by the fencing hook',
] as const;
export type Rule = (typeof RULES_BROKEN)[number];
