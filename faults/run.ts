/** Plays rows one after the other, on stages that are kept while what a cell left allows it. */
import { cellId } from './cell.ts';
import { keepEvidence } from './evidence.ts';
import { GUEST, play } from './play.ts';
import type { Played } from './play.ts';
import { Stage } from './stage.ts';
import type { Row } from './table.ts';

export interface RunOptions {
  readonly seed: number;
  readonly signal: AbortSignal;
  /** Where the journals and logs of red cells are copied to. */
  readonly evidence: string | undefined;
  onPlayed(played: Played): void;
}

type Runnable = Extract<Row, { run: true }>;

export async function playAll(rows: readonly Runnable[], options: RunOptions): Promise<Played[]> {
  const played: Played[] = [];
  // Disks that can be filled need a stage of their own: it comes last.
  for (const smallDisks of [false, true]) {
    const here = rows.filter(({ cell }) => cell.fault.startsWith('disk') === smallDisks);
    if (here.length > 0) played.push(...(await playOn(smallDisks, here, options)));
  }
  return played;
}

async function playOn(
  smallDisks: boolean,
  rows: readonly Runnable[],
  options: RunOptions,
): Promise<Played[]> {
  const played: Played[] = [];
  let stage: Stage | undefined;
  try {
    for (const { cell, expect } of rows) {
      if (options.signal.aborted) break;
      stage ??= await Stage.open({ hosts: 2, smallDisks });
      let result: Played;
      try {
        if (!stage.guests.has(GUEST)) await stage.boot(GUEST, 'a');
        result = await play(stage, cell, expect, options.seed);
      } catch (thrown) {
        const why = thrown instanceof Error ? thrown.message : String(thrown);
        const problems = [`the cell could not be played: ${why}`];
        result = { cell: cellId(cell), ok: false, problems, outcome: 'unplayed', tookMs: 0 };
      }
      played.push(result);
      options.onPlayed(result);
      if (!result.ok && options.evidence !== undefined) {
        await keepEvidence(stage.lab, result, options.evidence);
      }
      stage = await afterwards(stage, result);
    }
  } finally {
    await stage?.close();
  }
  return played;
}

/** Goes on with the same stage where the guest runs in it and nothing is amiss; undefined: a new one is needed. */
async function afterwards(stage: Stage, result: Played): Promise<Stage | undefined> {
  if (!result.ok) {
    await stage.close();
    return undefined;
  }
  const [host] = result.runningOn ?? [];
  if (host === undefined) await stage.bury(GUEST);
  else stage.guests.set(GUEST, host);
  return stage;
}
