import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManagedEvent } from '../../../src/migration/managed/events.ts';
import { replayManaged } from '../../../src/migration/managed/journal.ts';
import { managedReport } from '../../../src/migration/managed/report.ts';
import type { ManagedState } from '../../../src/migration/managed/state.ts';
import { sampleOf } from '../direct/samples.ts';
import { error, planned } from './samples.ts';

const running = (round: number, remainingBytes: number): ManagedEvent => ({
  type: 'saw',
  task: { state: 'running', memory: sampleOf({ round, remainingBytes, rate: 100, dirtyRate: 90 }) },
});
const inputs = {
  round: 3,
  remainingBytes: 80,
  rate: 100,
  dirtyRate: 90,
  expectedDowntimeMs: 800,
  stalledRounds: 1,
  leftMs: 1000,
};
const LONGER: ManagedEvent = {
  type: 'decided',
  what: 'downtime',
  why: '25 ms to 100 ms: round 3',
  rule: 'stalled',
  inputs,
  change: { of: 'downtimeMs', from: 25, to: 100 },
};
const POSTCOPY: ManagedEvent = {
  type: 'decided',
  what: 'postcopy',
  why: 'round 4',
  rule: 'stalled',
};
const GIVEN_UP: ManagedEvent = {
  type: 'decided',
  what: 'give-up',
  why: 'no end',
  hint: 'Use more.',
};
const MOVING: readonly ManagedEvent[] = [
  { type: 'did', step: 'inspect', facts: {} },
  { type: 'did', step: 'check', facts: {} },
  { type: 'ordered' },
  { type: 'accepted' },
];

function after(...events: readonly ManagedEvent[]): ManagedState {
  const state = replayManaged([planned(), ...MOVING, ...events]);
  assert.ok(state !== undefined);
  return state;
}

test('the remaining memory of each round is recorded, and a round seen twice counts once', () => {
  const { steering, sample } = after(
    running(1, 1000),
    running(2, 90),
    running(2, 40),
    running(3, 89),
  );
  assert.deepEqual(
    [steering?.round, steering?.leastBytes, steering?.stalledRounds, sample?.remainingBytes],
    [3, 89, 1, 89],
  );
});

test('a longer downtime counts from its record on, and not after the manager has refused it', () => {
  const longer = after(running(2, 90), LONGER);
  assert.equal(longer.steering?.downtimeMs, 100);
  const unset = after(running(2, 90), LONGER, { type: 'unset', error });
  assert.deepEqual([unset.steering?.downtimeMs, unset.steering?.failed], [25, ['downtimeMs']]);
  assert.match(unset.steering?.last ?? '', /its manager did not/);
});

test('a switch to post-copy is requested until the manager refuses it', () => {
  assert.equal(after(running(2, 90), POSTCOPY).via, 'postcopy');
  const unset = after(running(2, 90), POSTCOPY, { type: 'unset', error });
  assert.deepEqual([unset.via, unset.steering?.failed], [undefined, ['postcopy']]);
});

test('giving up asks the manager to end the task, and a guest that stayed has failed by that error', () => {
  const asked = after(running(2, 90), GIVEN_UP);
  assert.deepEqual([asked.cancelling, asked.because?.code], [true, 'GODWIT_GIVEN_UP']);
  const rest = { type: 'found', where: { at: 'source', busy: false } } as const;
  const ended = after(
    running(2, 90),
    GIVEN_UP,
    { type: 'saw', task: { state: 'cancelled' } },
    rest,
    rest,
  );
  assert.deepEqual(ended.doing, { kind: 'end', outcome: 'failed' });
  assert.deepEqual([ended.because?.code, ended.because?.hint], ['GODWIT_GIVEN_UP', 'Use more.']);
});

test('a decision changes nothing once the task is ending, or is in post-copy', () => {
  const cancelled = after(running(2, 90), { type: 'cancel' });
  assert.equal(after(running(2, 90), { type: 'cancel' }, LONGER).steering?.downtimeMs, undefined);
  assert.equal(
    after(running(2, 90), { type: 'cancel' }, GIVEN_UP).because?.code,
    cancelled.because?.code,
  );
  const switched: ManagedEvent = { type: 'saw', task: { state: 'running', postcopy: true } };
  assert.equal(after(running(2, 90), switched, LONGER).steering?.downtimeMs, undefined);
});

test('the report has the rounds and each decision with its figures', () => {
  const events = [planned(), ...MOVING, running(1, 1000), running(2, 90), running(3, 89), LONGER];
  const records = events.map((event, seq) => ({
    v: 1 as const,
    seq,
    at: 1000 + seq,
    mono: seq,
    event,
  }));
  const report = managedReport(records, 5000);
  assert.deepEqual(
    report?.roundList.map(({ round, remainingBytes }) => [round, remainingBytes]),
    [
      [1, 90],
      [2, 89],
    ],
  );
  const decision = report?.decisions.at(-1);
  assert.match(decision?.what ?? '', /^downtime: 25 ms to 100 ms/);
  assert.deepEqual(
    [decision?.rule, decision?.inputs, decision?.change?.to],
    ['stalled', inputs, 100],
  );
});
