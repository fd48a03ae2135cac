/** Cells of the fault matrix as tests: one cell, one test. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  FAULT_WORDS,
  hasDisks,
  type Cell,
  type Fault,
  type Mode,
  type Phase,
} from '../../../faults/cell.ts';
import { Player } from '../../../faults/run.ts';
import { row } from '../../../faults/table.ts';

/** For each fault the phases in which it strikes. */
export type FaultPhases = Partial<Record<Fault, readonly Phase[]>>;

/** Declares a suite that plays the cells in the order given, on one lab for as long as nothing is amiss. `bring`: what they need besides, as root. */
export function describeFaults(
  what: string,
  mode: Mode,
  chosen: FaultPhases,
  bring?: () => Promise<void>,
): void {
  const asRoot = bring !== undefined && process.getuid?.() !== 0 && 'CRIU and runc need root';
  describe(what, { skip: asRoot }, () => {
    const player = new Player({ seed: 1 });
    before(() => bring?.());
    after(() => player.close());
    for (const [fault, phases] of Object.entries(chosen) as [Fault, readonly Phase[]][]) {
      for (const phase of phases) declare(player, { fault, phase, mode });
    }
  });
}

function declare(player: Player, cell: Cell): void {
  const found = row(cell);
  assert.ok(found.run, `${cell.fault} in ${cell.phase} makes no sense in ${cell.mode}`);
  test(`${FAULT_WORDS[cell.fault]}, ${cell.phase}: ${found.expect.words}`, async (t) => {
    const mounts = cell.fault.startsWith('disk') || hasDisks(cell);
    if (mounts && process.getuid?.() !== 0) {
      t.skip('mounts need root');
      return;
    }
    const played = await player.play(found);
    const { error = '' } = played;
    if (/GODWIT_CAPABILITY.*userfault/i.test(error)) {
      t.skip(error);
      return;
    }
    assert.deepEqual(played.problems, [], JSON.stringify(played));
    assert.equal(played.missed, undefined, 'the fault did not strike');
  });
}
