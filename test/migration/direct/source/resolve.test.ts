import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { godwitError } from '../../../../src/errors.ts';
import {
  destinationAfter,
  initialDestination,
  type DestinationEvent,
} from '../../../../src/migration/direct/destination/destination.ts';
import { replaySource } from '../../../../src/migration/direct/journal.ts';
import { reportOf } from '../../../../src/migration/report/report.ts';
import {
  whyNotHere,
  whyNotResolved,
  type ResolvedEvent,
} from '../../../../src/migration/direct/source/resolve.ts';
import type {
  SourceEvent,
  SourceState,
} from '../../../../src/migration/direct/source/source-state.ts';
import { effectsOf, transition } from '../../../../src/migration/direct/source/transition.ts';
import { ADMISSION, RECORDS } from '../../../model/events.ts';
import { anyEvent } from '../events.ts';
import { planned } from '../samples.ts';

const unreachable = godwitError('GODWIT_UNREACHABLE', {
  peer: 'b',
  address: 'b:1',
  reason: 'dark',
}).toJSON();
const held = godwitError('GODWIT_HELD', { guest: 'web1', reason: 'no word' }).toJSON();

const launch = { binary: '/usr/bin/qemu-system-x86_64', argv: ['-m', '64'], cwd: '/' };
const did = (step: string, facts = {}): SourceEvent =>
  ({ type: 'did', step, facts }) as unknown as SourceEvent;
const says = (type: string): SourceEvent =>
  ({ type: 'hypervisor', event: { type, reason: 'so' } }) as unknown as SourceEvent;

const toMemory: SourceEvent[] = [
  did('admit', { moverAddress: 'b:7001' }),
  did('inspect', { launch }),
  did('assess'),
  did('prepare', { memoryAddress: 'b:49152', tlsHostname: 'b' }),
  did('configure'),
  did('arm'),
  says('active'),
];
const committed = [...toMemory, says('device'), says('completed')];
const commitHeld: SourceEvent[] = [
  ...committed,
  { type: 'failed', step: 'commit', error: unreachable },
];
const takenBackHeld: SourceEvent[] = [
  ...toMemory,
  { type: 'timeout', afterMs: 1 },
  { type: 'undo-failed', step: 'memory', error: held },
];

function stateAfter(events: readonly SourceEvent[], settings = {}): SourceState {
  const state = replaySource([planned(settings), ...events]);
  assert.ok(state !== undefined);
  return state;
}

const order = (
  runAt: ResolvedEvent['runAt'],
  proof: ResolvedEvent['proof'] = 'ask',
  here: ResolvedEvent['here'] = 'handed-over',
): ResolvedEvent => ({ type: 'resolved', runAt, proof, by: 'ann', here });

describe('orders of an operator', () => {
  test('an order for the destination sends the commit again, and the destination decides', () => {
    const { state } = transition(stateAfter(commitHeld), order('destination'));
    assert.deepEqual(state.doing, { kind: 'do', step: 'commit' });
    assert.equal(state.right, 'committing');
  });

  test("an order for the destination passes the operator's word for third hosts, never for the destination", () => {
    const doubts = ['no answer'];
    const answersFor = ['b', 'c'].map((host) => ({ host, doubts }));
    const asked = {
      ...order('destination', 'operator'),
      answersFor,
      bootId: 'boot-1',
      uptimeMs: 7,
    };
    const { state } = transition(stateAfter(commitHeld), asked);
    const at = { bootId: 'boot-1', uptimeMs: 7 };
    const word = [{ host: 'c', doubts }];
    assert.deepEqual(state.decision, { proof: 'none', answersFor: word, at });
  });

  test("an order for the source asks for the destination's refusal, as always", () => {
    const { state } = transition(stateAfter(commitHeld), order('source'));
    assert.deepEqual(state.doing, { kind: 'undo', step: 'switchover' });
    assert.equal(state.right, 'committing');
    assert.equal(state.decision.proof, 'none');
  });

  test("an order for the source with a proof closes the epoch without the destination's word", () => {
    for (const proof of ['fenced', 'observed', 'operator'] as const) {
      const { state } = transition(stateAfter(commitHeld), order('source', proof));
      assert.deepEqual(state.doing, { kind: 'undo', step: 'switchover' });
      assert.equal(state.right, 'abandoned');
      assert.equal(state.decision.proof, proof);
    }
  });

  test('a destination that comes back and reports that it never ran no longer holds the source', () => {
    const ran = godwitError('GODWIT_NOT_ARMED', {
      host: 'b',
      guest: 'web1',
      epoch: 17,
      reason: 'it ran here',
    }).toJSON();
    const back = [...commitHeld, order('source', 'fenced')];
    const undone: SourceEvent[] = [
      { type: 'undid', step: 'switchover' },
      { type: 'undid', step: 'memory' },
      { type: 'undo-failed', step: 'arm', error: ran },
      { type: 'undid', step: 'configure' },
      { type: 'undo-failed', step: 'admit', error: ran },
    ];
    const state = stateAfter([...back, ...undone]);
    assert.deepEqual(state.doing, { kind: 'end', outcome: 'failed' });
    assert.equal(state.because?.code, 'GODWIT_TAKEN_BACK');
    assert.equal(state.leftovers.length, 2);
  });

  test('an order for a third host ends the copy here, without passing the right or closing the epoch', () => {
    const third = { host: 'c', why: 'c has web1 (running, by its UUID)' };
    const given = { ...order('elsewhere', 'observed'), elsewhere: third };
    const before = transition(stateAfter(commitHeld), given);
    assert.deepEqual(before.effects, [{ type: 'give-up' }]);
    assert.deepEqual(effectsOf(before.state), [{ type: 'give-up' }]);
    const events: SourceEvent[] = [planned(), ...commitHeld, given, { type: 'gave-up' }];
    const state = replaySource(events);
    assert.deepEqual(state?.doing, { kind: 'end', outcome: 'failed' });
    // A destination that runs the guest after all is not told to end it.
    assert.equal(state?.right, 'committing');
    const report = reportOf(
      events.map((event, seq) => ({ v: 1 as const, seq, at: seq, mono: seq, event })),
      99,
    );
    assert.equal(report?.runsAt, 'unknown');
    assert.equal(report?.error?.code, 'GODWIT_RUNS_ELSEWHERE');
    assert.match(report?.error?.message ?? '', /not started at a: c has it: c has web1/);
  });

  test('an order for a third host stays held if the copy here cannot be ended', () => {
    const failure = { type: 'give-up-failed', error: unreachable } as const;
    const state = stateAfter([...commitHeld, order('elsewhere', 'operator'), failure]);
    assert.deepEqual(state.doing, { kind: 'end', outcome: 'held' });
    for (const here of ['running', 'unknown'] as const) {
      assert.match(
        whyNotResolved(state, order('elsewhere', 'operator', here)) ?? '',
        /its copy at a runs, or cannot be asked/,
      );
    }
  });

  test('an order to run at the source is refused once the destination has reported that it runs', () => {
    const passed: SourceEvent[] = [
      ...committed,
      did('commit'),
      { type: 'failed', step: 'verify', error: unreachable },
      { type: 'failed', step: 'verify', error: unreachable },
      { type: 'failed', step: 'verify', error: unreachable },
    ];
    const state = stateAfter(passed);
    assert.deepEqual(state.doing, { kind: 'end', outcome: 'held' });
    for (const proof of ['ask', 'fenced', 'operator'] as const) {
      assert.match(whyNotResolved(state, order('source', proof)) ?? '', /older/);
      assert.equal(transition(state, order('source', proof)).state, state);
    }
    const on = transition(state, order('destination')).state;
    assert.deepEqual(on.doing, { kind: 'do', step: 'verify' });
  });

  test('an order to run at the destination is refused before the complete handover', () => {
    const state = stateAfter(takenBackHeld);
    assert.match(whyNotResolved(state, order('destination', 'ask', 'running')) ?? '', /handed/);
    assert.equal(whyNotResolved(state, order('destination')), undefined);
  });

  test('a migration that is not held is not resolved, whatever is ordered', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 30 }), fc.boolean(), (events, there) => {
        const state = stateAfter(events);
        const asked = order(there ? 'destination' : 'source', 'operator');
        const { doing } = state;
        const isHeld = doing.kind === 'end' && doing.outcome === 'held';
        if (!isHeld) assert.equal(transition(state, asked).state, state);
        const after = transition(state, asked).state;
        if (state.right === 'passed') assert.notEqual(after.right, 'abandoned');
        if (after !== state) assert.notEqual(after.doing.kind, 'end');
      }),
    );
  });
});

describe('a proof that the destination is off', () => {
  const fenced: SourceEvent = { type: 'fenced', host: 'b', by: 'the hook' };

  test('a proof that the destination is off takes back a guest whose commit got no answer', () => {
    const { state, effects } = transition(stateAfter(committed), fenced);
    assert.equal(state.right, 'abandoned');
    assert.deepEqual(effects.at(-1), { type: 'undo', step: 'switchover' });
  });

  test('a proof that the destination is off replaces the refusal while the guest is taken back', () => {
    const undoing = stateAfter([...toMemory, { type: 'timeout', afterMs: 1 }]);
    const { state, effects } = transition(undoing, fenced);
    assert.equal(state.decision.proof, 'fenced');
    assert.deepEqual(state.doing, undoing.doing);
    assert.deepEqual(effects, []);
  });

  test('a proof that the destination is off means in post-copy that the guest is lost', () => {
    const draining = [...toMemory, says('postcopy-active'), did('commit')];
    const { state } = transition(stateAfter(draining, { mode: 'postcopy' }), fenced);
    assert.deepEqual(state.doing, { kind: 'end', outcome: 'lost' });
  });

  test('a proof that the destination is off starts the guest afresh if requested, and the report shows it', () => {
    const draining = [...toMemory, says('postcopy-active'), did('commit')];
    const settings = { mode: 'postcopy', onLost: 'restart' } as const;
    const before = stateAfter([...draining, fenced], settings);
    assert.deepEqual(effectsOf(before), [{ type: 'restart' }]);
    const handle = { driver: 'fake', name: 'web1', pid: 7, startTicks: 1, monitor: 'm' };
    const events: SourceEvent[] = [
      planned(settings),
      ...draining,
      fenced,
      { type: 'restarted', handle },
    ];
    const records = events.map((event, seq) => ({ v: 1 as const, seq, at: seq, mono: seq, event }));
    const report = reportOf(records, 99);
    assert.equal(report?.outcome, 'lost');
    assert.equal(report?.runsAt, 'source');
    assert.equal(report?.error?.code, 'GODWIT_LOST');
    assert.ok(report?.restartedAt !== undefined);
  });

  test('a lost guest with copied disks is not started afresh: the images here lack its last writes', () => {
    const copies = [{ node: 'vda0', pool: 'p', path: 'web1.raw' }];
    const before = [...toMemory.slice(0, 2), did('assess', { copies }), ...toMemory.slice(3, 6)];
    const copied = [...before, did('mirror'), ...toMemory.slice(6)];
    const draining = [...copied, says('postcopy-active'), did('commit')];
    const state = stateAfter([...draining, fenced], { mode: 'postcopy', onLost: 'restart' });
    assert.deepEqual(state.doing, { kind: 'end', outcome: 'lost' });
  });

  test('a new start that fails ends as lost, with the reason', () => {
    const draining = [...toMemory, says('postcopy-active'), did('commit')];
    const error = godwitError('GODWIT_RESTART', { guest: 'web1', host: 'a', reason: 'x' }).toJSON();
    const state = stateAfter([...draining, fenced, { type: 'restart-failed', error }], {
      mode: 'postcopy',
      onLost: 'restart',
    });
    assert.deepEqual(state.doing, { kind: 'end', outcome: 'lost' });
    assert.deepEqual(state.leftovers, [error]);
    assert.equal(state.restarted, false);
  });
});

describe('a third host that has the guest', () => {
  const elsewhere = godwitError('GODWIT_RUNS_ELSEWHERE', {
    guest: 'web1',
    host: 'a',
    other: 'c',
    reason: 'has it',
  }).toJSON();

  test('a third host that has the guest ends a cold move without the destination or a closed epoch', () => {
    const cold = { mode: 'cold' } as const;
    const failed = { type: 'failed', step: 'commit', error: elsewhere } as const;
    const down = [...toMemory.slice(0, -1), did('switchover')];
    const given = stateAfter([...down, failed], cold);
    assert.deepEqual(effectsOf(given), [{ type: 'give-up' }]);
    // The undo of a source that was restarted: no refusal is to be had from the destination either.
    const rebooted: SourceEvent = { type: 'taken-over', pid: 2, rebooted: true };
    const undoing = stateAfter(
      [
        ...toMemory.slice(0, -1),
        rebooted,
        { type: 'failed', step: 'switchover', error: unreachable },
        { type: 'undo-failed', step: 'switchover', error: elsewhere },
        { type: 'undid', step: 'mirror' },
        { type: 'undo-failed', step: 'arm', error: unreachable },
        { type: 'undo-failed', step: 'admit', error: unreachable },
      ],
      cold,
    );
    assert.deepEqual(undoing.doing, { kind: 'end', outcome: 'failed' });
    assert.equal(undoing.because?.code, 'GODWIT_RUNS_ELSEWHERE');
    assert.equal(undoing.right, 'committing');
  });

  test('a third host that has the guest leaves memory at the source to an operator', () => {
    const state = stateAfter([
      ...toMemory,
      { type: 'timeout', afterMs: 1 },
      { type: 'undo-failed', step: 'memory', error: elsewhere },
    ]);
    assert.deepEqual(state.doing, { kind: 'end', outcome: 'held' });
    assert.match(state.because?.message ?? '', /c has it/);
  });
});

describe('a destination without its source', () => {
  const first = { type: 'admitted', admission: ADMISSION, host: 'b' } as const;
  const after = (...events: DestinationEvent[]) =>
    events.reduce(destinationAfter, initialDestination(first));
  const armed = [RECORDS.preparing, RECORDS.prepared, RECORDS.armed0];
  const complete = { type: 'hypervisor', event: { type: 'completed' } } as const;

  test('a destination without its source may be ordered to run the guest only if armed and complete', () => {
    assert.match(whyNotHere(after()) ?? '', /never armed/);
    assert.match(whyNotHere(after(...armed)) ?? '', /not all here/);
    assert.equal(whyNotHere(after(...armed, complete)), undefined);
    assert.match(whyNotHere(after(...armed, complete, RECORDS.refused)) ?? '', /refused/);
    assert.match(whyNotHere(after(...armed, complete, RECORDS.lost)) ?? '', /gone/);
    assert.equal(after(...armed, complete, RECORDS.resolved).right, 'running');
  });

  test('a destination that has refused is not brought back by an order', () => {
    const state = after(...armed, complete, RECORDS.refused, RECORDS.resolved);
    assert.equal(state.right, 'refused');
  });

  test('a destination that was overruled has refused, even if it ran', () => {
    const state = after(...armed, complete, RECORDS.committed, RECORDS.running, RECORDS.overruled);
    assert.equal(state.right, 'refused');
  });
});

test('a post-copy migration whose destination copy is gone is lost, since half a guest cannot be restored', () => {
  const postcopyHeld: SourceEvent[] = [
    ...toMemory,
    says('pre-switchover'),
    says('postcopy-active'),
    { type: 'failed', step: 'commit', error: unreachable },
  ];
  const before = stateAfter(postcopyHeld, { mode: 'postcopy' });
  assert.deepEqual([before.doing, before.via], [{ kind: 'end', outcome: 'held' }, 'postcopy']);
  const { state, effects } = transition(before, order('source', 'observed'));
  assert.deepEqual(effects, [{ type: 'end', outcome: 'lost' }]);
  assert.equal(state.because?.code, 'GODWIT_LOST');
  // With the destination's own refusal the source has all of it.
  const asked = transition(before, order('source', 'ask'));
  assert.deepEqual(asked.state.doing, { kind: 'undo', step: 'switchover' });
});
