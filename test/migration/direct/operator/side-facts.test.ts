import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { DestinationEvent } from '../../../../src/migration/direct/destination/destination.ts';
import { replayDestination } from '../../../../src/migration/direct/journal.ts';
import {
  destinationFacts,
  sourceFacts,
} from '../../../../src/migration/direct/operator/side-facts.ts';
import { initialSource } from '../../../../src/migration/direct/source/source-state.ts';
import { anyError, anyHypervisorEvent } from '../events.ts';
import { planned, preparationOf } from '../samples.ts';

const plan = planned();
const { epoch, id, guest, from } = plan;
const handle = { driver: 'fake', name: 'web1', pid: 2, startTicks: 1, monitor: 'm' };
const admission = { id, guest, from, epoch, memoryBytes: 1, timeoutMs: 1000 };
const admitted: DestinationEvent = { type: 'admitted', admission, host: 'b' };
const prepared: DestinationEvent[] = [
  admitted,
  { type: 'preparing', preparation: preparationOf(plan), ports: {} },
  { type: 'prepared', handle, memoryAddress: 'b:49152' },
  { type: 'armed', epoch, bootId: 'boot-1' },
];
const committed: DestinationEvent = { type: 'committed', epoch };
const running: DestinationEvent = { type: 'running', epoch, resumeMs: 1 };

const anyLater: fc.Arbitrary<DestinationEvent> = fc.oneof(
  anyHypervisorEvent.map((event): DestinationEvent => ({ type: 'hypervisor', event })),
  anyError.map((error): DestinationEvent => ({ type: 'failed', error })),
  fc.constantFrom<DestinationEvent>(
    { type: 'released' },
    { type: 'finished' },
    { type: 'refused', epoch, why: 'asked' },
    { type: 'overruled', epoch, why: 'taken back' },
    { type: 'never-ran', epoch, why: 'its process ended first' },
    { type: 'taken-over', pid: 9, neverRan: true },
    { type: 'taken-over', pid: 9, neverRan: false },
  ),
);

function facts(events: readonly DestinationEvent[], isAlive = true, bootId = 'boot-1') {
  const life = isAlive ? 'alive' : 'gone';
  const armedBootId = events.findLast((event) => event.type === 'armed')?.bootId;
  return destinationFacts(replayDestination(events), { life, armedBootId, bootId });
}

describe('the report of one side', () => {
  test('a destination that received no call has nothing', () => {
    assert.partialDeepStrictEqual(facts([]), { right: 'none', hypervisor: 'none' });
  });

  test('a source reports that it handed everything over', () => {
    const { state } = initialSource(plan);
    assert.equal(sourceFacts(state, 'handed-over').complete, true);
    assert.equal(sourceFacts({ ...state, stream: 'done' }, 'running').complete, false);
    assert.equal(sourceFacts(undefined, 'gone').right, 'held');
  });

  test('a committed guest that has ended may have run, even if the journal has no record of it', () => {
    const reported = facts([...prepared, committed], false);
    assert.partialDeepStrictEqual(reported, {
      right: 'running',
      hypervisor: 'gone',
      hasRun: false,
    });
  });

  test('a hypervisor is gone only by proof, whatever its journal contains', () => {
    fc.assert(
      fc.property(fc.array(anyLater, { maxLength: 8 }), (later) => {
        const state = replayDestination([...prepared, committed, ...later]);
        for (const life of ['alive', 'unknown'] as const) {
          const sight = { life, armedBootId: 'boot-1', bootId: 'boot-1' };
          const { hypervisor, complete } = destinationFacts(state, sight);
          assert.notEqual(hypervisor, 'gone');
          if (life === 'unknown') assert.equal(complete, false);
        }
      }),
    );
  });

  test('a destination whose guest has run reports that permanently, whatever follows', () => {
    const run = fc.constantFrom<DestinationEvent>(running, { type: 'finished' });
    fc.assert(
      fc.property(run, fc.array(anyLater, { maxLength: 8 }), fc.boolean(), (ran, later, alive) => {
        assert.equal(facts([...prepared, committed, ran, ...later], alive).hasRun, true);
      }),
    );
  });

  test('a destination that was armed in an earlier boot cannot tell, even before a mover looked', () => {
    assert.equal(facts(prepared).unsure, false);
    assert.equal(facts(prepared, false, 'boot-2').unsure, true);
    const refused: DestinationEvent = { type: 'refused', epoch, why: 'asked' };
    assert.equal(facts([...prepared, refused], false, 'boot-2').unsure, false);
  });
});
