import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { FleetMigration } from '../../src/protocol/controller/history.ts';
import { phase, type Progress } from '../../src/protocol/public/migration.ts';
import { report } from '../demo/samples.ts';
import { follow, type Reading } from '../../web/src/moves/follow.ts';
import {
  askingEveryMs,
  cancelling,
  MAX_POINTS,
  UNSEEN,
  watchedAfter,
  type WatchEvent,
  type WatchedMigration,
} from '../../web/src/moves/watched.ts';

const SAMPLE = {
  totalBytes: 1000,
  remainingBytes: 400,
  transferredBytes: 600,
  skippedBytes: 0,
  rate: 10,
  dirtyRate: 5,
  round: 1,
  totalMs: 100,
  pageRequests: 0,
};

function progress(elapsedMs: number, more: Partial<Progress> = {}): Progress {
  return {
    id: 'm-00000001',
    guest: 'web1',
    from: 'a',
    to: 'b',
    mode: 'precopy',
    phase: 'memory',
    elapsedMs,
    percent: 10,
    sample: SAMPLE,
    ...more,
  };
}

const ended: FleetMigration = {
  id: 'm-00000001',
  guest: 'web1',
  source: 'a',
  destination: 'b',
  mode: 'precopy',
  state: 'ended',
  outcome: 'done',
  startedAt: '2026-11-23T09:00:00Z',
};

const rounds = fc.array(
  fc.record({
    round: fc.nat(20),
    atMs: fc.nat(10_000),
    transferredBytes: fc.nat(),
    remainingBytes: fc.nat(),
    rate: fc.nat(),
    dirtyRate: fc.nat(),
  }),
  { maxLength: 8 },
);

const progresses = fc
  .tuple(
    fc.nat(10_000),
    fc.constantFrom(...phase.options),
    fc.double({ min: 0, max: 100, noNaN: true }),
    fc.nat(1000),
  )
  .map(([at, where, percent, remainingBytes]) =>
    progress(at, { phase: where, percent, sample: { ...SAMPLE, remainingBytes } }),
  );

const reports = rounds.map((roundList) => ({
  ...report,
  roundList: roundList.toSorted((one, other) => one.atMs - other.atMs),
}));

const news: fc.Arbitrary<WatchEvent> = fc.oneof(
  progresses.map((each): WatchEvent => ({ type: 'progress', progress: each })),
  reports.map((each): WatchEvent => ({ type: 'report', report: each })),
  fc.boolean().map((isOpen): WatchEvent => ({ type: 'stream', isOpen })),
  fc.constant<WatchEvent>({ type: 'silent', words: 'a does not answer' }),
  fc.double({ min: 0, max: 100, noNaN: true }).map((percent): WatchEvent => ({
    type: 'answer',
    detail: { ...ended, state: 'open', percent },
  })),
);

describe('a migration on a page', () => {
  test('a migration on a page never goes back in percentage or time, whatever is reported', () => {
    fc.assert(
      fc.property(fc.array(news, { maxLength: 60 }), (heard) => {
        let watched = UNSEEN;
        for (const each of heard) {
          const next = watchedAfter(watched, each);
          assert.ok(next.shown.percent >= watched.shown.percent);
          const times = next.points.map(({ atMs }) => atMs);
          assert.deepEqual(
            times,
            times.toSorted((one, other) => one - other),
          );
          watched = next;
        }
      }),
    );
  });

  test('a migration on a page keeps a bounded number of points, and always the newest', () => {
    let watched = UNSEEN;
    for (let at = 1; at <= 5 * MAX_POINTS; at += 1)
      watched = watchedAfter(watched, { type: 'progress', progress: progress(at) });
    assert.ok(watched.points.length <= MAX_POINTS + 1, `${watched.points.length} points`);
    assert.equal(watched.points.at(-1)?.atMs, 5 * MAX_POINTS);
    assert.equal(watched.points[0]?.atMs, 1);
  });

  test('a migration on a page has points for the rounds that ended before the page was opened', () => {
    const roundList = [1, 2].map((round) => ({
      round,
      atMs: round * 100,
      transferredBytes: round,
      remainingBytes: 9,
      rate: 1,
      dirtyRate: 1,
      throttlePercent: 20,
    }));
    const seen = watchedAfter(UNSEEN, { type: 'progress', progress: progress(500) });
    const { points } = watchedAfter(seen, { type: 'report', report: { ...report, roundList } });
    assert.deepEqual(
      points.map(({ atMs, throttle }) => [atMs, throttle]),
      [
        [100, 20],
        [200, 20],
        [500, 0],
      ],
    );
    // The same report once more adds nothing.
    const again = watchedAfter(
      { ...seen, points },
      { type: 'report', report: { ...report, roundList } },
    );
    assert.equal(again.points.length, 3);
  });

  test('a late older answer does not undo a report of the stream', () => {
    const now = watchedAfter(UNSEEN, { type: 'progress', progress: progress(500) });
    const detail = {
      ...ended,
      state: 'open' as const,
      progress: progress(100, { phase: 'checking' }),
    };
    assert.equal(watchedAfter(now, { type: 'answer', detail }).progress?.phase, 'memory');
  });

  test('a migration on a page is reported again after a silence', () => {
    const silent = watchedAfter(UNSEEN, { type: 'silent', words: 'a does not answer' });
    assert.equal(silent.silent, 'a does not answer');
    const again = watchedAfter(silent, { type: 'progress', progress: progress(1) });
    assert.equal(again.silent, undefined);
  });

  test('the points that a page has seen stay after the end, for the report', () => {
    const seen = [progress(100), progress(200)].reduce(
      (before, each) => watchedAfter(before, { type: 'progress', progress: each }),
      UNSEEN,
    );
    const over = watchedAfter(seen, { type: 'ended', migration: ended });
    const detail = { ...ended, report };
    const answered = watchedAfter(over, { type: 'answer', detail });
    assert.deepEqual(
      answered.points.map(({ atMs }) => atMs),
      [100, 200],
    );
  });

  test('a migration on a page is over once the end is reported, and 100 % only if it is done', () => {
    const done = watchedAfter(UNSEEN, { type: 'ended', migration: ended });
    assert.deepEqual([done.isOver, done.shown.percent], [true, 100]);
    const failed = watchedAfter(UNSEEN, {
      type: 'ended',
      migration: { ...ended, outcome: 'failed' },
    });
    assert.deepEqual([failed.isOver, failed.shown.percent], [true, 0]);
    assert.equal(watchedAfter(done, { type: 'progress', progress: progress(9) }).isOver, true);
  });
});

describe('the stream of a migration', () => {
  /** What a page knows once the stream was read so, up to the pause before the next try. */
  async function afterOne(read: Reading['read']): Promise<WatchedMigration[]> {
    const until = new AbortController();
    const seen = [UNSEEN];
    const take = (heard: WatchEvent): void => {
      seen.push(watchedAfter(seen.at(-1)!, heard));
    };
    const pause = async () => until.abort();
    await follow('/v1/migrations/m-00000001/progress', { read, pause, take }, until.signal);
    return seen;
  }

  test('the stream is replaced by polling if it is refused or the controller is unreachable', async () => {
    const refused = await afterOne(() => Promise.reject(new Error('refused')));
    assert.deepEqual(refused.map(askingEveryMs), [undefined, 2000]);
  });

  test('the stream is replaced by polling if it breaks after it was open', async () => {
    const broken = await afterOne(async (_path, { opened, event }) => {
      opened();
      event({ event: 'message', data: JSON.stringify({ type: 'silent', id: '1', words: 'a' }) });
      event({
        event: 'message',
        data: JSON.stringify({ type: 'progress', progress: progress(1) }),
      });
    });
    assert.deepEqual(broken.map(askingEveryMs), [undefined, undefined, 2000, undefined, 2000]);
  });

  test('the stream is closed, and polling stops, once the end is reported', async () => {
    const over = await afterOne(async (_path, { opened, event }) => {
      opened();
      event({ event: 'message', data: JSON.stringify({ type: 'ended', migration: ended }) });
    });
    assert.deepEqual(over.map(askingEveryMs), [undefined, undefined, undefined]);
  });

  test('the stream replaces polling once it is open again, and finished migrations are not polled', () => {
    const cut = watchedAfter(UNSEEN, { type: 'stream', isOpen: false });
    assert.equal(askingEveryMs(watchedAfter(cut, { type: 'stream', isOpen: true })), undefined);
    assert.equal(askingEveryMs(watchedAfter(cut, { type: 'ended', migration: ended })), undefined);
  });
});

describe('the text before a cancel', () => {
  test('the text before a cancel allows it until the switch, with separate words for every phase', () => {
    const possible = phase.options.filter(
      (each) => cancelling({ phase: each, from: 'a', to: 'b' }).isPossible,
    );
    assert.deepEqual(possible, ['planned', 'checking', 'seeding', 'preparing', 'disks', 'memory']);
  });

  test('the text before a cancel names the host that keeps the guest', () => {
    assert.match(cancelling({ phase: 'memory', from: 'a', to: 'b' }).words, /keeps running at a/);
    assert.match(cancelling({ phase: 'draining', from: 'a', to: 'b' }).words, /belongs to b/);
  });
});
