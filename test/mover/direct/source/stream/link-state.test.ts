import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LinkState } from '../../../../../src/mover/direct/source/stream/stream-guard.ts';

const LINK = { isCut: false, hasLink: true };
const CUT = { isCut: true, hasLink: false };
const OVER = { isCut: false, hasLink: false };
const GRACE_MS = 60_000;

describe('link state of the wire', () => {
  test('a link state hides stalled bytes for the grace period and a little more, if no cut was seen', () => {
    const sight = new LinkState();
    sight.look(LINK, 1000);
    assert.equal(sight.hides(69_999, GRACE_MS, 1000), true);
    assert.equal(sight.hides(70_000, GRACE_MS, 1000), false);
  });

  test('a link state hides stalls after a row of cuts longer than the grace period until ten good seconds', () => {
    const sight = new LinkState();
    for (let now = 0; now < 90_000; now += 1000) sight.look(now % 30_000 === 0 ? LINK : CUT, now);
    assert.equal(sight.hides(90_000, GRACE_MS, 90_000), true);
    for (let now = 90_000; now < 99_000; now += 1000) sight.look(LINK, now);
    assert.equal(sight.hides(98_999, GRACE_MS, 98_998), true);
    assert.equal(sight.hides(99_000, GRACE_MS, 99_000), false);
  });

  test('a link state hides nothing for long in a session that is over', () => {
    const sight = new LinkState();
    sight.look(CUT, 60_000);
    sight.look(OVER, 60_200);
    assert.equal(sight.hides(70_000, GRACE_MS, 70_000), false);
  });

  test("a link state has the other mover's last sign of life: never without a link", () => {
    const sight = new LinkState();
    sight.look(CUT, 1000);
    sight.look(OVER, 2000);
    assert.equal(sight.heardAtMs, -Infinity);
    sight.look(LINK, 3000);
    sight.look(CUT, 4000);
    assert.equal(sight.heardAtMs, 3000);
  });
});
