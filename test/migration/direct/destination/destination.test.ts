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
import { knowsItNeverRan } from '../../../../src/migration/direct/run-right.ts';
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
  'commit',
  'refuse',
  'recover',
  'release',
  'finish',
] as const satisfies DestinationCall[];
const calls = fc.array(fc.constantFrom(...CALLS), { maxLength: 12 });

function admitted(): WorldDestination {
  const { id, guest, from } = plan;
  const admission = { id, guest, from, epoch, memoryBytes: 1, timeoutMs: 1000 };
  return new WorldDestination(admission, preparationOf(plan));
}

/** Says the refusal's code, or undefined when it was carried out. */
function ask(destination: WorldDestination, call: DestinationCall, as = epoch): string | undefined {
  const verdict = judgeCall(destination.state, call, as);
  if (verdict.kind === 'no') return verdict.error.code;
  destination.call(call, as);
  return undefined;
}

function armed(): WorldDestination {
  const destination = admitted();
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

describe('the destination', () => {
  test('a destination that is called in order runs the guest once, and is finished', () => {
    const destination = armed();
    assert.equal(destination.hypervisor, 'paused');
    assert.equal(ask(destination, 'commit'), undefined);
    assert.equal(destination.hypervisor, 'running');
    assert.equal(ask(destination, 'finish'), undefined);
    assert.equal(destination.state.stage, 'finished');
  });

  test('a destination that has refused never runs the guest, whatever is called in any order', () => {
    fc.assert(
      fc.property(calls, calls, (before, after) => {
        const destination = admitted();
        for (const call of before) ask(destination, call);
        if (ask(destination, 'refuse') !== undefined) return;
        for (const call of after) ask(destination, call);
        assert.equal(destination.state.right, 'refused');
        assert.notEqual(destination.hypervisor, 'running');
      }),
    );
  });

  test('a destination never runs the guest unless it was armed, and is not torn down once it runs', () => {
    const inOrder = calls.map((some) => ['prepare', 'arm', 'commit', ...some] as const);
    let committed = 0;
    fc.assert(
      fc.property(fc.oneof(calls, inOrder), (some) => {
        const destination = admitted();
        for (const call of some) ask(destination, call);
        const ran = destination.journal.findIndex((event) => event.type === 'committed');
        if (ran < 0) return;
        committed += 1;
        const arms = destination.journal.findIndex((event) => event.type === 'armed');
        assert.ok(arms >= 0 && arms < ran);
        assert.equal(destination.hypervisor, 'running');
        assert.equal(ask(destination, 'release'), 'GODWIT_NOT_ARMED');
        assert.equal(ask(destination, 'refuse'), 'GODWIT_NOT_ARMED');
      }),
    );
    assert.ok(committed > 0);
  });

  test('a destination that gets the same call twice acts once', () => {
    fc.assert(
      fc.property(calls, fc.constantFrom(...CALLS), (some, call) => {
        const destination = admitted();
        for (const one of some) ask(destination, one);
        if (ask(destination, call) !== undefined) return;
        const { state, hypervisor } = destination;
        assert.equal(ask(destination, call), undefined);
        assert.deepEqual([destination.state, destination.hypervisor], [state, hypervisor]);
      }),
    );
  });

  test('a destination refuses every call with another epoch', () => {
    for (const call of CALLS) {
      for (const other of [epoch - 1, epoch + 1]) {
        assert.equal(ask(armed(), call, other), 'GODWIT_NOT_ARMED');
      }
    }
  });

  test('a destination refuses the commit if its hypervisor died before it ran, whatever else arrives', () => {
    fc.assert(
      fc.property(fc.array(anyHypervisorEvent), (late) => {
        const destination = armed();
        destination.dies();
        for (const event of late) destination.report(event);
        assert.equal(ask(destination, 'commit'), 'GODWIT_NOT_ARMED');
      }),
    );
  });

  test('a destination reports missing memory, even if its guest keeps running while the stream is broken', () => {
    const { state } = armed();
    for (const event of [
      { type: 'postcopy-active' },
      { type: 'postcopy-paused', reason: 'the link broke' },
    ] as const) {
      const waiting = destinationAfter(state, { type: 'hypervisor', event });
      const resumed = destinationAfter(waiting, { type: 'hypervisor', event: { type: 'resumed' } });
      assert.equal(resumed.hypervisor, waiting.hypervisor);
      assert.notEqual(resumed.hypervisor, 'running');
    }
  });

  test('a destination considers its hypervisor gone only after its process has ended', () => {
    fc.assert(
      fc.property(calls, fc.array(anyDestinationEvent), (some, events) => {
        const destination = admitted();
        for (const call of some) ask(destination, call);
        let state = destination.state;
        for (const event of events) state = destinationAfter(state, event);
        const hasEnded = events.some(
          (event) => event.type === 'hypervisor' && event.event.type === 'lost',
        );
        if (!hasEnded) assert.notEqual(state.hypervisor, 'gone');
      }),
    );
  });

  test('a destination whose stream failed refuses to be armed and to commit, whatever else arrives', () => {
    fc.assert(
      fc.property(fc.array(anyHypervisorEvent), (late) => {
        let { state } = armed();
        for (const event of [{ type: 'failed', reason: 'reset' } as const, ...late]) {
          state = destinationAfter(state, { type: 'hypervisor', event });
        }
        assert.equal(judgeCall(state, 'commit', epoch).kind, 'no');
        assert.equal(judgeCall({ ...state, right: 'none' }, 'arm', epoch).kind, 'no');
        assert.equal(judgeCall(state, 'refuse', epoch).kind, 'go');
      }),
    );
  });

  test('any event in any destination state gives a state that can be reported to the source', () => {
    fc.assert(
      fc.property(calls, fc.array(anyDestinationEvent), (some, events) => {
        const destination = admitted();
        for (const call of some) ask(destination, call);
        let state = destination.state;
        for (const event of events) {
          const before = state.right;
          state = destinationAfter(state, event);
          if (before === 'refused' || before === 'running') assert.equal(state.right, before);
          destinationStatus.parse(statusOf(state));
        }
      }),
    );
  });
});

describe('a lost guest', () => {
  test('a lost guest is torn down if its memory is incomplete, and kept otherwise', () => {
    const thin = admitted();
    assert.equal(
      judgeCall(thin.state, 'tear-down', plan.epoch).kind,
      'go',
      'as a release would be',
    );
    const state: DestinationState = { ...thin.state, right: 'running', hypervisor: 'postcopy' };
    assert.equal(judgeCall(state, 'tear-down', plan.epoch).kind, 'go');
    assert.equal(judgeCall({ ...state, hypervisor: 'gone' }, 'tear-down', plan.epoch).kind, 'go');
    assert.equal(
      judgeCall({ ...state, hypervisor: 'running' }, 'tear-down', plan.epoch).kind,
      'no',
    );
    assert.equal(
      judgeCall({ ...state, stage: 'finished' }, 'tear-down', plan.epoch).kind,
      'already',
    );
    assert.equal(judgeCall(state, 'tear-down', plan.epoch + 1).kind, 'no');
  });
});

describe('a destination after a takeover', () => {
  test('a destination continues as before after a takeover if its host stayed up', () => {
    fc.assert(
      fc.property(calls, fc.constantFrom(...CALLS), (some, call) => {
        const one = admitted();
        for (const each of some) ask(one, each);
        const other = admitted();
        for (const each of some) ask(other, each);
        other.takeover();
        assert.equal(ask(other, call), ask(one, call));
        assert.deepEqual(other.state, one.state);
      }),
    );
  });

  test('a destination that rebooted while armed neither confirms nor refuses', () => {
    const destination = armed();
    destination.takeover('boot-2');
    assert.equal(destination.state.unsure, true);
    for (const call of ['commit', 'refuse'] as const) {
      assert.equal(ask(destination, call), 'GODWIT_HELD');
    }
    destination.takeover('boot-2');
    assert.equal(destination.state.unsure, true);
  });

  test('a rebooted destination is released by a source that can rule out a valid commit', () => {
    const destination = armed();
    destination.takeover('boot-2');
    assert.equal(ask(destination, 'release'), undefined);
    assert.equal(destination.isClean, true);
    assert.equal(ask(destination, 'commit'), 'GODWIT_NOT_ARMED');
  });

  test('a rebooted destination confirms the run if the record proves it', () => {
    assert.equal(knowsItNeverRan('none', undefined, 'boot-2'), true);
    assert.equal(knowsItNeverRan('refused', 'boot-1', 'boot-2'), true);
    assert.equal(knowsItNeverRan('armed', 'boot-1', 'boot-1'), true);
    assert.equal(knowsItNeverRan('armed', 'boot-1', 'boot-2'), false);
    assert.equal(knowsItNeverRan('armed', undefined, 'boot-2'), false);
    assert.equal(knowsItNeverRan('running', 'boot-1', 'boot-1'), false);
  });
});

test('a destination reports that a guest ended after it ran here, and only that it is gone if it never ran', () => {
  const reason = 'its process has ended';
  const lost = { type: 'hypervisor', event: { type: 'lost', reason, ended: 'shut-down' } } as const;
  const committed = destinationAfter(armed().state, { type: 'committed', epoch });
  const ran = destinationAfter(committed, { type: 'running', epoch, resumeMs: 1 });
  const ended = statusOf(destinationAfter(ran, lost));
  assert.deepEqual([ended.hypervisor, ended.ended], ['gone', 'shut-down']);
  const never = statusOf(destinationAfter(committed, lost));
  assert.deepEqual([never.hypervisor, never.ended], ['gone', undefined]);
});
