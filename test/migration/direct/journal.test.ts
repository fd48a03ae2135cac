import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  destinationAfter,
  initialDestination,
} from '../../../src/migration/direct/destination/destination.ts';
import { replayDestination, replaySource } from '../../../src/migration/direct/journal.ts';
import { initialSource } from '../../../src/migration/direct/source/source-state.ts';
import { transition } from '../../../src/migration/direct/source/transition.ts';
import { chance } from './drive.ts';

const worlds = chance({ deaths: true, faults: true });

describe('replay', () => {
  test('replay of any beginning of a source journal gives the state that the mover had then', () => {
    fc.assert(
      fc.property(worlds, ({ world }) => {
        const [first, ...rest] = world.journal;
        assert.ok(first?.type === 'planned');
        let state = initialSource(first).state;
        for (const [index, event] of rest.entries()) {
          assert.deepEqual(replaySource(world.journal.slice(0, index + 1)), state);
          state = transition(state, event).state;
        }
        assert.deepEqual(replaySource(world.journal), world.state);
      }),
      { numRuns: 300 },
    );
  });

  test('replay of any beginning of a destination journal gives the state that the mover had then', () => {
    fc.assert(
      fc.property(worlds, ({ world }) => {
        const [first, ...rest] = world.destination?.journal ?? [];
        if (first === undefined) return;
        assert.ok(first.type === 'admitted');
        let state = initialDestination(first);
        for (const [index, event] of rest.entries()) {
          assert.deepEqual(replayDestination([first, ...rest.slice(0, index)]), state);
          state = destinationAfter(state, event);
        }
        assert.deepEqual(state, world.destination?.state);
      }),
      { numRuns: 300 },
    );
  });

  test('replay of an empty journal, or of one without its beginning, gives no state', () => {
    assert.equal(replaySource([]), undefined);
    assert.equal(replaySource([{ type: 'cancel' }]), undefined);
    assert.equal(replayDestination([]), undefined);
    assert.equal(replayDestination([{ type: 'released' }]), undefined);
  });
});
