import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { entriesOf, replay, type Entry } from '../../../../src/drivers/criu/pager/journal.ts';

const PAGE = 4096;
const spansOf = () => [{ from: 0, pages: 4, file: 1, at: 0 }];
const text = (...entries: readonly Entry[]): string =>
  entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');

test("a child has its parent's state at the time of the fork", () => {
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

test('the last keepers count, an ended process does not, and a torn last line is ignored', () => {
  const last = { pid: 6, startTicks: 1, bootId: 'b' };
  const said = text(
    { task: 1, fd: 1000 },
    // As earlier builds wrote it.
    { keepers: [{ pid: 5, startTicks: 1 }] },
    { over: 1000 },
    { keepers: [last] },
    { all: true },
  );
  const known = replay(`${said}{"fd":1000,"dr`, spansOf);
  assert.deepEqual([...known.spaces.keys()], []);
  assert.deepEqual(known.keepers, [last]);
  assert.equal(known.all, true);
});

const PLACES = 20;
const fd = fc.integer({ min: 1000, max: 1003 });
const place = fc.nat(PLACES).map((page) => page * PAGE);
const bytes = fc.integer({ min: 1, max: 4 }).map((pages) => pages * PAGE);
const said: fc.Arbitrary<Entry> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ task: fc.constant(1), fd }) },
  { weight: 2, arbitrary: fc.record({ forkOf: fd, fd }) },
  {
    weight: 4,
    arbitrary: fc.tuple(fd, place, bytes).map(([each, from, length]) => ({
      fd: each,
      drop: [from, from + length] as [number, number],
    })),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(fd, place, place, bytes).map(([each, ...move]) => ({ fd: each, move })),
  },
  { weight: 1, arbitrary: fc.record({ over: fd }) },
  { weight: 1, arbitrary: fc.constant({ restored: true as const }) },
  {
    weight: 1,
    arbitrary: fc.nat(9).map((pid) => ({ keepers: [{ pid, startTicks: 1 }] })),
  },
);

test("a shortened journal has the whole one's content, and so have the records behind it", () => {
  const seen = (journal: string): object => {
    const { spaces, ...rest } = replay(journal, spansOf);
    const pages = [...spaces]
      .map(([each, space]) => {
        const all = Array.from({ length: 2 * PLACES }, (_, page) => space.find(page * PAGE));
        return [each, all] as const;
      })
      .toSorted(([one], [other]) => one - other);
    return { ...rest, pages };
  };
  const many = fc.array(said, { maxLength: 40 });
  fc.assert(
    fc.property(many, many, (before, after) => {
      const short = entriesOf(replay(text({ task: 1, fd: 1000 }, ...before), spansOf));
      assert.ok(short.length <= 4 + 2, 'a line for each process');
      for (const each of short) if ('spans' in each) assert.ok(each.spans.length <= 4);
      assert.deepEqual(
        seen(text(...short, ...after)),
        seen(text({ task: 1, fd: 1000 }, ...before, ...after)),
      );
    }),
  );
});

test('a region that was divided and joined again is one region', () => {
  const { spaces, ...rest } = replay(
    text(
      { task: 1, fd: 1000 },
      { fd: 1000, move: [PAGE, 9 * PAGE, PAGE] },
      { fd: 1000, move: [9 * PAGE, PAGE, PAGE] },
    ),
    spansOf,
  );
  assert.deepEqual(entriesOf({ spaces, ...rest }), [{ fd: 1000, spans: [[0, 4, 1, 0]] }]);
  const turned = replay(
    text(
      { task: 1, fd: 1000 },
      { fd: 1000, move: [PAGE, 8 * PAGE, PAGE] },
      { fd: 1000, move: [0, 9 * PAGE, PAGE] },
    ),
    spansOf,
  );
  assert.deepEqual(entriesOf(turned), [
    {
      fd: 1000,
      spans: [
        [2 * PAGE, 2, 1, 2],
        [8 * PAGE, 1, 1, 1],
        [9 * PAGE, 1, 1, 0],
      ],
    },
  ]);
});
