import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  copyEtaMs,
  judgeCopies,
  lookAt,
  mayWaitFor,
  paceOver,
  answerTimeoutMs,
  shownPace,
  withLook,
  type Look,
} from '../../../src/migration/steering/disk-pace.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** Looks five times a second at a copy of 100 GiB, with so many bytes/s copied, and written behind it. */
function looks(copiesPerS: number, writesPerS: number, forMs: number): Look[] {
  let all: Look[] = [];
  for (let atMs = 0; atMs <= forMs; atMs += 200) {
    const copiedBytes = (copiesPerS * atMs) / 1000;
    const totalBytes = 100 * GIB + (writesPerS * atMs) / 1000;
    all = withLook(all, { atMs, copiedBytes, totalBytes, isReady: false });
  }
  return all;
}

describe('the pace of copies', () => {
  test('the pace of copies covers all disks together', () => {
    const disk = { node: 'one', state: 'copying' as const, copiedBytes: 10, totalBytes: 30 };
    const look = lookAt([disk, { ...disk, node: 'two', copiedBytes: 5 }], 7);
    assert.deepEqual(look, { atMs: 7, copiedBytes: 15, totalBytes: 60, isReady: false });
  });

  test('the pace of copies is known after enough time', () => {
    assert.equal(paceOver(looks(10 * MIB, MIB, 9000), 10_000), undefined);
    const pace = paceOver(looks(10 * MIB, MIB, 12_000), 10_000);
    assert.equal(pace?.copiesPerS, 10 * MIB);
    assert.equal(pace.writesPerS, MIB);
    assert.equal(shownPace(looks(10 * MIB, MIB, 800)), undefined);
    assert.equal(shownPace(looks(10 * MIB, MIB, 1200))?.copiesPerS, 10 * MIB);
  });

  test('the pace of copies follows the last seconds', () => {
    const before = looks(10 * MIB, 0, 20_000);
    const last = before.at(-1) ?? { atMs: 0, copiedBytes: 0, totalBytes: 0, isReady: false };
    let all = before;
    for (let atMs = 200; atMs <= 6000; atMs += 200) {
      const copiedBytes = last.copiedBytes + (atMs / 1000) * 40 * MIB;
      all = withLook(all, { ...last, atMs: last.atMs + atMs, copiedBytes });
    }
    assert.equal(shownPace(all)?.copiesPerS, 40 * MIB);
  });

  test('the pace of copies is reset when a copy is restarted', () => {
    const next = { atMs: 20_200, copiedBytes: 0, totalBytes: 100 * GIB, isReady: false };
    assert.deepEqual(withLook(looks(10 * MIB, MIB, 20_000), next), [next]);
  });

  test('the pace of copies is kept in few samples, however long the copy takes', () => {
    assert.ok(looks(10 * MIB, MIB, 600_000).length < 200);
  });

  test('the pace of copies predicts its end, or that it never ends', () => {
    const pace = { leftBytes: 90 * MIB, overMs: 5000 };
    assert.equal(copyEtaMs({ ...pace, copiesPerS: 10 * MIB, writesPerS: MIB }), 10_000);
    assert.equal(copyEtaMs({ ...pace, copiesPerS: MIB, writesPerS: MIB }), undefined);
  });
});

describe('a busy guest', () => {
  const fast = looks(10 * MIB, 10 * MIB, 40_000);

  test('a guest that outpaces its disk copies is throttled, unless configured otherwise', () => {
    for (const settings of [{}, { diskWrites: 'slow' }] as const) {
      const decision = judgeCopies(settings, fast, undefined);
      assert.ok(decision.what === 'slow');
      assert.equal(decision.pace.copiesPerS, 10 * MIB);
    }
  });

  test('a guest that outpaces its disk copies is refused with figures if throttling is forbidden or impossible', () => {
    for (const [diskWrites, canSlow] of [
      ['refuse', undefined],
      ['slow', false],
    ] as const) {
      const decision = judgeCopies({ diskWrites }, fast, canSlow);
      assert.equal(decision.what, 'refuse');
      if (decision.what === 'refuse') assert.equal(decision.pace.writesPerS, 10 * MIB);
    }
  });

  test('a guest is not throttled once its writes wait for their copies', () => {
    assert.deepEqual(judgeCopies({}, fast, true), { what: 'continue' });
  });

  test('a guest that outpaces its disk copies for only a few seconds is not throttled', () => {
    const lately = looks(10 * MIB, 10 * MIB, 9000);
    assert.deepEqual(judgeCopies({}, lately, undefined), { what: 'continue' });
    const notForLong = looks(10 * MIB, 10 * MIB, 25_000);
    assert.deepEqual(judgeCopies({ diskWrites: 'refuse' }, notForLong, undefined), {
      what: 'continue',
    });
  });

  test('a guest is not throttled once its copies have caught up, nor while nothing is copied', () => {
    const ready = fast.map((look) => ({ ...look, isReady: true }));
    assert.deepEqual(judgeCopies({}, ready, undefined), { what: 'continue' });
    const cut = looks(0, 10 * MIB, 40_000);
    assert.deepEqual(judgeCopies({ diskWrites: 'refuse' }, cut, undefined), { what: 'continue' });
  });
});

test('a copy that makes progress is never acted on, at any rates', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: MIB, max: GIB }),
      fc.double({ min: 0, max: 0.89, noNaN: true }),
      fc.constantFrom('slow' as const, 'refuse' as const),
      (copiesPerS, share, diskWrites) => {
        const all = looks(copiesPerS, copiesPerS * share, 35_000);
        assert.deepEqual(judgeCopies({ diskWrites }, all, undefined), { what: 'continue' });
      },
    ),
    { numRuns: 50 },
  );
});

test('guest writes wait for slow links longer before they are released, and for very slow ones never', () => {
  assert.ok(answerTimeoutMs(125e6) < 1100);
  assert.ok(answerTimeoutMs(1e6) > 2000);
  assert.ok(answerTimeoutMs(0) >= 5000);
  assert.equal(mayWaitFor(100_000), false);
  assert.equal(mayWaitFor(12_500_000), true);
  assert.equal(mayWaitFor(0), true);
});

test('guest writes wait for a link that has carried the copies, though it carries little at the moment', () => {
  assert.equal(mayWaitFor(100_000, 5 * MIB), true);
  assert.equal(mayWaitFor(100_000, 100_000), false);
  assert.equal(mayWaitFor(5 * MIB, 100_000), true);
  // And no longer for a host that has gone silent than such a link needs.
  assert.equal(answerTimeoutMs(5000, 20 * MIB), answerTimeoutMs(20 * MIB));
  assert.ok(answerTimeoutMs(5000, 5000) < 3000);
});
