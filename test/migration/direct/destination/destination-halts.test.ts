import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  destinationAfter,
  judgeCall,
  statusOf,
  type DestinationCall,
  type DestinationEvent,
  type DestinationState,
} from '../../../../src/migration/direct/destination/destination.ts';
import type { HypervisorEvent } from '../../../../src/migration/direct/hypervisor.ts';
import { destinationFacts } from '../../../../src/migration/direct/operator/side-facts.ts';
import { HALT_KINDS } from '../../../../src/protocol/guest-halt.ts';
import { destinationStatus } from '../../../../src/protocol/peer/migration.ts';
import { anyError, anyHypervisorEvent } from '../events.ts';
import { planned, preparationOf } from '../samples.ts';
import { BOOT, WorldDestination } from '../world-destination.ts';

const plan = planned();
const epoch = plan.epoch;

const CALLS = [
  'assess',
  'seed',
  'prepare',
  'arm',
  'media',
  'disks',
  'commit',
  'compare',
  'refuse',
  'recover',
  'release',
  'tear-down',
  'finish',
] as const satisfies DestinationCall[];

function armed(): WorldDestination {
  const { id, guest, from } = plan;
  const admission = { id, guest, from, epoch, memoryBytes: 1, timeoutMs: 1000 };
  const destination = new WorldDestination(admission, preparationOf(plan));
  for (const call of ['assess', 'prepare', 'arm'] as const) destination.call(call);
  return destination;
}

const anyDestinationEvent: fc.Arbitrary<DestinationEvent> = fc.oneof(
  anyHypervisorEvent.map((event): DestinationEvent => ({ type: 'hypervisor', event })),
  anyError.map((error): DestinationEvent => ({ type: 'failed', error })),
  fc.constantFrom<DestinationEvent>(
    { type: 'preparing', preparation: preparationOf(plan), ports: {} },
    { type: 'armed', epoch, bootId: BOOT },
    { type: 'committed', epoch },
    { type: 'running', epoch, resumeMs: 1 },
    { type: 'refused', epoch, why: '' },
    { type: 'released' },
    { type: 'finished' },
    { type: 'taken-over', pid: 1, neverRan: false },
    { type: 'taken-over', pid: 1, neverRan: true },
  ),
);

describe('a guest that halts at its destination', () => {
  const HALTS = HALT_KINDS.map((kind): DestinationEvent => {
    return { type: 'hypervisor', event: { type: 'stopped', halt: { kind } } };
  });
  const sight = { life: 'alive', armedBootId: BOOT, bootId: BOOT } as const;
  type Fold = typeof destinationAfter;

  /** What calls, and an operator who resolves, go by. */
  function decided(state: DestinationState): unknown {
    return [
      CALLS.map((call) => judgeCall(state, call, epoch).kind),
      destinationFacts(state, sight),
    ];
  }

  const folded = (events: readonly DestinationEvent[], fold: Fold): DestinationState =>
    events.reduce(fold, armed().state);

  /** Halts change no decision, whatever else happens: so no halt leads to a hold that was not there without it. */
  function isHarmless(fold: Fold): boolean {
    const { failed } = fc.check(
      fc.property(
        fc.array(fc.oneof(anyDestinationEvent, fc.constantFrom(...HALTS)), { maxLength: 16 }),
        (events) => {
          const quiet = events.filter((event) => !HALTS.includes(event));
          assert.deepEqual(decided(folded(events, fold)), decided(folded(quiet, fold)));
        },
      ),
      { numRuns: 1000 },
    );
    return !failed;
  }

  test('a guest that halts at its destination keeps its right to run, its copy and every answer to its hold', () => {
    assert.ok(isHarmless(destinationAfter));
  });

  for (const [what, change] of [
    ['its copy for one that never ran', { hypervisor: 'paused' }],
    ['its copy for gone', { hypervisor: 'gone' }],
    ['the right back', { right: 'refused' }],
  ] as const satisfies [string, Partial<DestinationState>][]) {
    test(`a halt is detected if it takes ${what}`, () => {
      const broken: Fold = (state, event) => {
        const next = destinationAfter(state, event);
        return HALTS.includes(event) && next.hasRun ? { ...next, ...change } : next;
      };
      assert.ok(!isHarmless(broken));
    });
  }

  test('a halt is reported once the guest has run at the destination, and until it runs again', () => {
    const event = (of: HypervisorEvent): DestinationEvent => ({ type: 'hypervisor', event: of });
    const failed = event({ type: 'stopped', halt: { kind: 'io-error', what: 'disk0' } });
    const before = destinationAfter(armed().state, failed);
    assert.equal(statusOf(before).halted, undefined);
    const running = folded(
      [
        { type: 'committed', epoch },
        { type: 'running', epoch, resumeMs: 1 },
      ],
      destinationAfter,
    );
    const halted = destinationAfter(running, failed);
    const status = destinationStatus.parse(statusOf(halted));
    assert.deepEqual(
      [status.hypervisor, status.halted],
      [statusOf(running).hypervisor, { kind: 'io-error', what: 'disk0' }],
    );
    assert.equal(statusOf(destinationAfter(halted, event({ type: 'resumed' }))).halted, undefined);
  });
});
