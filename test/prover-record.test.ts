import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fromCell, inPlayingOrder, nextCell, type Runnable } from '../faults/run.ts';
import { cellId } from '../faults/cell.ts';
import { rows } from '../faults/table.ts';
import {
  proverRecorder,
  readRecord,
  withPart,
  type ProverHead,
  type ProverPart,
} from '../tools/prover-record.ts';
import { tempDir } from './rpc/test-contract.ts';

const HEAD: ProverHead = {
  prover: 'faults',
  commit: 'c1',
  isChanged: false,
  options: { seed: '1' },
};
const part = (from: string | undefined, next: string | undefined, ok = true): ProverPart => ({
  ...(from === undefined ? {} : { from }),
  ...(next === undefined ? {} : { next }),
  startedAt: '2026-11-29T00:00:00.000Z',
  endedAt: '2026-11-29T01:00:00.000Z',
  ok,
  figures: {},
});

describe('the record of a prover', () => {
  test("a prover's record is complete once its parts are continuous from the beginning to the end", () => {
    const first = withPart(undefined, HEAD, part(undefined, 'b'));
    assert.equal(first.isWhole, false);
    const second = withPart(first, HEAD, part('b', 'c'));
    assert.equal(withPart(second, HEAD, part('c', undefined)).isWhole, true);
    assert.equal(withPart(second, HEAD, part('d', undefined)).isWhole, false);
    assert.equal(withPart(second, HEAD, part('c', undefined, false)).isWhole, false);
    assert.equal(withPart(undefined, HEAD, part(undefined, undefined)).isWhole, true);
  });

  test("a prover's record replaces a part that is repeated, and everything after it", () => {
    const first = withPart(undefined, HEAD, part(undefined, 'b'));
    const failed = withPart(first, HEAD, part('b', 'c', false));
    const again = withPart(failed, HEAD, part('b', undefined));
    assert.deepEqual([again.parts.length, again.isWhole], [2, true]);
    assert.equal(withPart(again, HEAD, part(undefined, 'b')).parts.length, 1);
  });

  test("a prover's record accepts no part of another commit, other options or a changed working tree", () => {
    const first = withPart(undefined, HEAD, part(undefined, 'b'));
    for (const other of [{ commit: 'c2' }, { options: { seed: '2' } }, { isChanged: true }]) {
      const added = withPart(first, { ...HEAD, ...other }, part('b', undefined));
      assert.deepEqual([added.parts.length, added.isWhole], [1, false]);
    }
  });

  test("a prover's record is read back as it was stored, even by a run that continues", (t) => {
    const root = tempDir(t);
    const run = { prover: 'chaos', options: { seed: 1 }, from: undefined };
    const recorder = proverRecorder(run, root);
    recorder.keep({ next: '3', ok: true, figures: {} });
    const kept = recorder.keep({ next: '5', ok: true, figures: { moves: 7 } });
    assert.deepEqual(readRecord(recorder.file), kept);
    assert.equal(kept.parts.length, 1);
    // Without a repository nobody knows what ran.
    assert.deepEqual([kept.commit, kept.isChanged], ['unknown', true]);
  });
});

test('the fault matrix continues from the first cell that was not played', () => {
  const all = inPlayingOrder(rows().filter((row): row is Runnable => row.run));
  const ids = all.map(({ cell }) => cellId(cell));
  const played = [0, 1, 3].map((index) => ({ cell: ids[index] ?? '' }));
  assert.equal(nextCell(all, played), ids[2]);
  assert.equal(fromCell(all, ids[2]).length, all.length - 2);
  assert.equal(fromCell(all, undefined).length, all.length);
  assert.deepEqual(fromCell(all, 'no/such/cell'), []);
  assert.equal(
    nextCell(
      all,
      ids.map((cell) => ({ cell })),
    ),
    undefined,
  );
});
