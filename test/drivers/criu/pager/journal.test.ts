import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replay } from '../../../../src/drivers/criu/pager/journal.ts';
import type { Entry } from '../../../../src/drivers/criu/pager/journal.ts';

const PAGE = 4096;
const spansOf = () => [{ from: 0, pages: 4, file: 1, at: 0 }];
const text = (...entries: readonly Entry[]): string =>
  entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');

test('a child has what its parent had when it forked', () => {
  const { spaces, restored } = replay(
    text(
      { task: 1, fd: 1000 },
      { restored: true },
      { fd: 1000, drop: [0, PAGE] },
      { forkOf: 1000, fd: 1001 },
      { fd: 1000, drop: [PAGE, 2 * PAGE] },
      { fd: 1001, move: [2 * PAGE, 8 * PAGE, PAGE] },
    ),
    spansOf,
  );
  const pages = (fd: number): (number | undefined)[] =>
    [0, 1, 2, 3, 8].map((page) => spaces.get(fd)?.find(page * PAGE)?.page);
  assert.equal(restored, true);
  assert.deepEqual(pages(1000), [undefined, undefined, 2, 3, undefined]);
  assert.deepEqual(pages(1001), [undefined, 1, undefined, 3, 2]);
});

test('the last keepers count, a process that is over does not, and a torn last line is none', () => {
  const keeper = (pid: number): Entry => ({ keepers: [{ pid, startTicks: 1 }] });
  const said = text({ task: 1, fd: 1000 }, keeper(5), { over: 1000 }, keeper(6), { all: true });
  const known = replay(`${said}{"fd":1000,"dr`, spansOf);
  assert.deepEqual([...known.spaces.keys()], []);
  assert.deepEqual(
    known.keepers.map(({ pid }) => pid),
    [6],
  );
  assert.equal(known.all, true);
});
