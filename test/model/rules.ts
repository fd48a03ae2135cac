import { destinationAfter } from '../../src/migration/direct/destination/destination.ts';
import {
  afterAnotherAnswered,
  afterQuestion,
  beginDarkWatch,
  type KernelAnswer,
} from '../../src/migration/direct/operator/dark-host.ts';
import { knowsItNeverRan } from '../../src/migration/direct/run-right.ts';
import { destinationMayBeAsked } from '../../src/migration/direct/retention.ts';
import { judge } from '../../src/migration/direct/operator/resolution.ts';
import { durability } from '../../src/migration/direct/durability.ts';
import { transition } from '../../src/migration/direct/source/transition.ts';
import type { ShellMutant } from './shells/mutants.ts';
import {
  brokenDestination,
  destinationTable,
  type DestinationTable,
} from './shells/destination.ts';
import { sourceTable, type SourceTables } from './shells/source.ts';
import { damagedJournal, type DamageResponse } from './shells/journal.ts';
import { unreachableMonitor, type Unreachable } from './shells/monitor.ts';

/** What the model checks: the functions that the movers themselves call. A mutant replaces one of them. */
export interface Rules {
  readonly transition: typeof transition;
  readonly durability: typeof durability;
  /** What the source's mover does for each step, as a table taken from its own code. */
  readonly table: SourceTables;
  readonly destinationAfter: typeof destinationAfter;
  readonly knowsItNeverRan: typeof knowsItNeverRan;
  /** What the destination's mover does, as a table taken from its own code. */
  readonly there: DestinationTable;
  /** What `godwit resolve` calls safe is what the operator of the model does. */
  readonly judge: typeof judge;
  /** Whether a destination may forget a migration that has ended there; `reported`: because its source asked for that. */
  readonly mayForget: (reported: boolean) => boolean;
  /** A destination that does not know the migration is taken for one that has refused, or has done what it was asked. */
  readonly unknownIsLeave: boolean;
  /** Whether the gate calls the fencing hook, where a whole time of questions brought this over each path. */
  readonly isDark: (heard: readonly KernelAnswer['what'][]) => boolean;
  /** An operator says that the other host does not run the guest without having made sure. */
  readonly operatorGuesses: boolean;
  /** What a mover makes of a journal that is damaged at its last synced record, taken from the code that reads it. */
  readonly damaged: DamageResponse;
  /** What the source's mover reports of a hypervisor whose monitor it cannot reach for a while, taken from its own code. */
  readonly unreachable: Unreachable;
}

export const REAL: Rules = {
  transition,
  durability,
  table: { precopy: await sourceTable('precopy'), hybrid: await sourceTable('hybrid') },
  destinationAfter,
  knowsItNeverRan,
  there: await destinationTable(),
  judge,
  mayForget: (reported) => !destinationMayBeAsked([{ type: 'finished', told: reported }]),
  unknownIsLeave: false,
  isDark,
  operatorGuesses: false,
  damaged: await damagedJournal(),
  unreachable: await unreachableMonitor(),
};

const TERMS = { silenceMs: 4000, answerMs: 1000, breakMs: 1000 };

/** The judge of the gate, asked as the gate asks: each path for the whole time; all but silence comes with the last. */
function isDark(heard: readonly KernelAnswer['what'][]): boolean {
  const paths = heard.map((_what, path) => `path ${path}`);
  let watch = beginDarkWatch(paths, TERMS);
  for (let askedAtMs = 0; askedAtMs <= TERMS.silenceMs; askedAtMs += TERMS.answerMs) {
    const endedAtMs = askedAtMs + TERMS.answerMs;
    const isLast = endedAtMs >= TERMS.silenceMs;
    for (const [index, path] of paths.entries()) {
      const what = (isLast ? heard[index] : undefined) ?? 'silence';
      // Its own ways are open: what closes them is tried on the judge itself.
      for (const atMs of [askedAtMs, endedAtMs]) watch = afterAnotherAnswered(watch, path, atMs);
      watch = afterQuestion(watch, { path, askedAtMs, endedAtMs, heard: { what, said: '' } });
    }
  }
  return watch.verdict.kind === 'dark';
}

type ShellEdit = Pick<ShellMutant, 'mode' | 'edit' | 'steps' | 'of' | 'transition'>;

/** With one of the movers broken in one place of its own code. */
export async function withEdit(broken: ShellEdit): Promise<Rules> {
  const { mode, edit, steps, of } = broken;
  if (of === 'journal') return { ...REAL, damaged: await damagedJournal(edit) };
  if (of === 'monitor') return { ...REAL, unreachable: await unreachableMonitor(edit) };
  if (steps === undefined) return { ...REAL, there: await brokenDestination(REAL.there, edit) };
  const table = await sourceTable(mode, { edit, steps, real: REAL.table[mode] });
  const { transition: broke = REAL.transition } = broken;
  return { ...REAL, transition: broke, table: { ...REAL.table, [mode]: table } };
}

export interface Mutant {
  readonly name: string;
  readonly breaks: string;
  readonly mode: 'precopy' | 'hybrid';
  /** Only found where calls of an earlier migration of the same guest may still arrive. */
  readonly earlier: boolean;
  readonly rules: Rules;
}

/** The protocol broken on purpose, each time in one place. The model must find every one of them. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: 'commit before completed',
    breaks: 'the source sends commit while its hypervisor still sends the last state',
    mode: 'precopy',
    earlier: false,
    rules: {
      ...REAL,
      transition: (state, event) =>
        event.type === 'hypervisor' && event.event.type === 'device'
          ? transition(state, { type: 'hypervisor', event: { type: 'completed' } })
          : transition(state, event),
    },
  },
  {
    name: 'forget, and take it for leave',
    breaks:
      'what has ended is forgotten, and who has forgotten the migration is taken to have refused',
    mode: 'precopy',
    earlier: false,
    rules: { ...REAL, mayForget: () => true, unknownIsLeave: true },
  },
  {
    name: 'gone is never',
    breaks: 'resolve calls the source safe since the destination has no copy, though it ran there',
    mode: 'precopy',
    earlier: false,
    rules: { ...REAL, judge: goneIsNever },
  },
  {
    name: 'no gate before the hook',
    breaks: 'the fencing hook is called whenever the destination’s answer is missing',
    mode: 'precopy',
    earlier: false,
    rules: { ...REAL, isDark: () => true },
  },
  {
    name: 'one silent path is enough',
    breaks: 'a host is taken for dead that is silent over one of its paths',
    mode: 'hybrid',
    earlier: false,
    rules: { ...REAL, isDark: (heard) => heard.includes('silence') },
  },
  // What keeps a restarted host from saying more than it knows.
  {
    name: 'forget the boot',
    breaks: 'an armed destination that lost power says that it never ran',
    mode: 'precopy',
    earlier: false,
    rules: { ...REAL, knowsItNeverRan: (right) => right !== 'running' },
  },
  {
    name: 'forget the power loss',
    breaks: 'an armed source that lost power takes it that it has sent no commit',
    mode: 'precopy',
    earlier: false,
    rules: {
      ...REAL,
      transition: (state, event) =>
        event.type === 'taken-over'
          ? transition(state, { ...event, rebooted: false })
          : transition(state, event),
    },
  },
  {
    name: 'guess',
    breaks: 'an operator has the source run the guest without having made sure',
    mode: 'precopy',
    earlier: false,
    rules: { ...REAL, operatorGuesses: true },
  },
];

/** What `godwit resolve` once said of a destination that had run the guest and has it no more. */
function goneIsNever(known: Parameters<typeof judge>[0]): ReturnType<typeof judge> {
  const { destination } = known;
  const isGone = destination?.hypervisor === 'gone' || destination?.hypervisor === 'none';
  if (destination?.right !== 'running' || !isGone) return judge(known);
  return judge(known).map((answer) =>
    answer.runAt === 'source' ? { ...answer, verdict: 'safe', proof: 'observed' } : answer,
  );
}
