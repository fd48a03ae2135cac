import { mock } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import type { SourceGuest } from '../../../src/mover/direct/source/guest/guest.ts';
import type { LIFECYCLE } from '../../../src/mover/direct/source/lifecycle.ts';
import { STEP_NAMES, type StepName } from '../../../src/migration/direct/source/steps.ts';
import { howItFailed, type Mode } from './answers.ts';
import { Points, type Point, type Script } from './extract.ts';
import { loadShell, type Edit } from './load.ts';
import { contextFor } from './source-ports.ts';

/** What the source's mover does for each step and to undo it (`LIFECYCLE`), as tables taken from its own code. */

export interface SourceTable {
  readonly points: readonly Point[];
  readonly do: Readonly<Record<StepName, number>>;
  readonly undo: Readonly<Partial<Record<StepName, number>>>;
  /** How often the code was run for it. */
  readonly runs: number;
}

interface Code {
  readonly lifecycle: typeof LIFECYCLE;
  readonly Guest: typeof SourceGuest;
}

export type SourceTables = Readonly<Record<Mode, SourceTable>>;

const FOLDER = 'src/mover/direct/source';

/** Which steps are taken anew, into a table that has them all already. */
interface Anew {
  readonly edit: Edit;
  readonly steps: readonly StepName[];
  readonly real: SourceTable;
}

/** The table of the product; or of the product broken in one place, which changes what it does for some steps. */
export async function sourceTable(mode: Mode, anew?: Anew): Promise<SourceTable> {
  const { edit } = anew ?? {};
  const { LIFECYCLE: lifecycle } = await loadShell<{ LIFECYCLE: typeof LIFECYCLE }>(
    `${FOLDER}/lifecycle.ts`,
    edit,
  );
  const { SourceGuest: Guest } = await loadShell<{ SourceGuest: typeof SourceGuest }>(
    `${FOLDER}/guest/guest.ts`,
    edit,
  );
  const limit = Error.stackTraceLimit;
  // Most runs end in an error that somebody made up.
  Error.stackTraceLimit = 0;
  try {
    return await tableOf({ lifecycle, Guest }, mode, anew);
  } finally {
    Error.stackTraceLimit = limit;
  }
}

async function tableOf(code: Code, mode: Mode, anew?: Anew): Promise<SourceTable> {
  const points = new Points(anew?.real.points);
  const begins: Record<string, number> = { ...anew?.real.do };
  const undoes: Partial<Record<StepName, number>> = { ...anew?.real.undo };
  let script: Script | undefined;
  const sleep = mock.method(systemClock, 'sleep', (ms: number) => script?.sleep(ms));
  const now = mock.method(systemClock, 'monotonicMs', () => script?.nowMs ?? 0);
  const from = (step: StepName, kind: 'do' | 'undo'): Promise<number> =>
    points.from(async (began) => {
      script = began;
      const context = contextFor(began, code.Guest, { mode, step, kind });
      try {
        await code.lifecycle[step][kind]?.(context, began.signal);
        return 'done';
      } catch (thrown) {
        return howItFailed(thrown, began);
      }
    });
  try {
    for (const step of anew?.steps ?? STEP_NAMES) {
      // The guest of the model has no disk of its own, no device that is unplugged, and no balloon.
      if (['seed', 'mirror', 'unplug', 'balloon'].includes(step)) continue;
      begins[step] = await from(step, 'do');
      if (code.lifecycle[step].undo !== undefined) undoes[step] = await from(step, 'undo');
    }
  } finally {
    sleep.mock.restore();
    now.mock.restore();
  }
  return {
    points: points.all,
    do: begins as Record<StepName, number>,
    undo: undoes,
    runs: points.runs,
  };
}
