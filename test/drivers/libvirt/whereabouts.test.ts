import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  endAt,
  isLeftPaused,
  presence,
  runState,
  whereabouts,
  type Sight,
} from '../../../src/drivers/libvirt/whereabouts.ts';

const RUNNING: Sight = { state: 1, reason: 1 };
const ARRIVED: Sight = { state: 1, reason: 2 };
const PAUSED_MIGRATION: Sight = { state: 3, reason: 2 };
const POSTCOPY: Sight = { state: 3, reason: 12 };
const MIGRATED: Sight = { state: 5, reason: 4 };
const OFF: Sight = { state: 5, reason: 1 };

const sight: fc.Arbitrary<Sight> = fc.oneof(
  fc.constantFrom<Sight>('absent', 'silent'),
  fc.record({ state: fc.integer({ min: 0, max: 9 }), reason: fc.integer({ min: 0, max: 14 }) }),
);

describe("a guest's place by both daemons", () => {
  test("the guest's place is known through a migration from its beginning to its end", () => {
    const steps: [Sight, Sight, boolean, object][] = [
      [RUNNING, 'absent', false, { at: 'source', busy: false }],
      [RUNNING, PAUSED_MIGRATION, true, { at: 'source', busy: true }],
      [PAUSED_MIGRATION, PAUSED_MIGRATION, true, { at: 'unknown', busy: true }],
      [PAUSED_MIGRATION, RUNNING, true, { at: 'destination', busy: true }],
      [POSTCOPY, RUNNING, true, { at: 'destination', busy: true }],
      [MIGRATED, RUNNING, false, { at: 'destination', busy: false }],
      ['absent', RUNNING, false, { at: 'destination', busy: false }],
      // The source's daemon died before it heard of the end: it may have to be decided by a person.
      [PAUSED_MIGRATION, ARRIVED, false, { at: 'destination', busy: true }],
      [PAUSED_MIGRATION, ARRIVED, true, { at: 'destination', busy: true }],
      [PAUSED_MIGRATION, RUNNING, false, { at: 'destination', busy: true }],
      [POSTCOPY, ARRIVED, false, { at: 'destination', busy: true }],
    ];
    for (const [from, to, moves, expected] of steps) {
      assert.deepEqual(whereabouts(from, to, moves), expected);
    }
    const left = whereabouts(PAUSED_MIGRATION, ARRIVED, false, true);
    assert.deepEqual(left, { at: 'destination', busy: false });
  });

  test('a silent daemon proves nothing', () => {
    assert.equal(whereabouts('silent', 'absent', undefined).at, 'unknown');
    assert.equal(whereabouts('absent', 'silent', false).at, 'unknown');
    assert.equal(whereabouts(OFF, 'silent', false).at, 'unknown');
    // libvirt of the source says itself that the guest has left it.
    const byItsSource = { at: 'destination', unseen: true, busy: false };
    assert.deepEqual(whereabouts(MIGRATED, 'silent', false), byItsSource);
  });

  test("the guest's end is known if its daemon reports it and the other one has nothing of the guest", () => {
    const ended = { at: 'source', busy: false, ended: 'shut-down' };
    assert.deepEqual(whereabouts(OFF, 'absent', false), ended);
    assert.deepEqual(whereabouts(OFF, OFF, false), ended);
    const destroyed: Sight = { state: 5, reason: 2 };
    assert.equal(whereabouts(destroyed, 'absent', false).ended, 'ordered');
    const there = { at: 'destination', busy: false, ended: 'shut-down' };
    assert.deepEqual(whereabouts(MIGRATED, OFF, false), there);
    // A domain that is off and of which its daemon knows nothing more, as after the start of its host.
    assert.equal(whereabouts({ state: 5, reason: 0 }, 'absent', false).at, 'unknown');
    assert.equal(whereabouts(OFF, 'absent', undefined).at, 'unknown');
    assert.equal(whereabouts(OFF, 'absent', true).ended, undefined);
  });

  test('the guest is in a place only if a daemon reports it, and never in two places', () => {
    fc.assert(
      fc.property(sight, sight, fc.option(fc.boolean(), { nil: undefined }), (from, to, moves) => {
        const { at, busy, ended } = whereabouts(from, to, moves);
        const [here, there] = [presence(from), presence(to)];
        if (ended !== undefined) {
          assert.ok(busy === false && moves === false && here !== 'silent' && there !== 'silent');
          assert.equal(endAt(at === 'source' ? from : to), ended);
          return;
        }
        if (at === 'source') assert.ok(here === 'has' && there !== 'has');
        if (at === 'destination')
          assert.ok(there === 'has' || (here === 'left' && there === 'silent'));
        if (here === 'has' && there === 'has') assert.deepEqual([at, busy], ['unknown', true]);
        if (here === 'waits' || there === 'waits' || moves === true) assert.equal(busy, true);
        if (isLeftPaused(from, to, moves))
          assert.deepEqual([here, there, moves], ['waits', 'has', false]);
      }),
    );
  });

  test("the guest's place has the words of Godwit's lists", () => {
    assert.equal(runState({ state: 1, reason: 1 }, true), 'migrating');
    assert.equal(runState({ state: 1, reason: 1 }, false), 'running');
    assert.equal(runState({ state: 3, reason: 1 }, false), 'paused');
    assert.equal(runState({ state: 3, reason: 2 }, false), 'incoming');
    assert.equal(runState({ state: 5, reason: 0 }, false), 'stopped');
    assert.equal(runState({ state: 0, reason: 0 }, false), 'unknown');
  });
});
