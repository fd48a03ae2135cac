import assert from 'node:assert/strict';
import { test } from 'node:test';
import { godwitError } from '../../../../src/errors.ts';
import {
  initialSource,
  type SourceEvent,
  type SourceState,
} from '../../../../src/migration/direct/source/source-state.ts';
import { effectsOf, transition } from '../../../../src/migration/direct/source/transition.ts';
import { planned, sampleOf } from '../samples.ts';

function inMemory(): SourceState {
  const { state } = initialSource(planned({ steering: 'standard', mode: 'hybrid' }));
  return { ...state, doing: { kind: 'do', step: 'memory' } };
}
const raised: SourceEvent = {
  type: 'decided',
  what: 'downtime',
  why: 'it stalled',
  rule: 'stalled',
  change: { of: 'downtimeMs', from: 25, to: 100 },
};

test('a longer downtime is set on the stream, and again by a mover that takes over', () => {
  const { state, effects } = transition(inMemory(), raised);
  assert.deepEqual(effects, [{ type: 'steer' }]);
  assert.equal(state.steering?.downtimeMs, 100);
  assert.deepEqual(effectsOf(state), [{ type: 'do', step: 'memory' }, { type: 'steer' }]);
  assert.deepEqual(effectsOf(inMemory()), [{ type: 'do', step: 'memory' }]);
});

test('a strategy that gives up rolls back with the figures and the possible remedies', () => {
  const why = 'round 5: the guest dirties 2 bytes/s';
  const hint = 'Use a faster link.';
  const { state } = transition(inMemory(), { type: 'decided', what: 'give-up', why, hint });
  assert.equal(state.doing.kind, 'undo');
  assert.equal(state.because?.code, 'GODWIT_GIVEN_UP');
  assert.match(
    state.because.message,
    /strategy standard gave up: round 5: the guest dirties 2 bytes\/s/,
  );
  assert.equal(state.because.hint, hint);
});

test('a decision that arrives after the switch changes nothing', () => {
  const state: SourceState = { ...inMemory(), doing: { kind: 'do', step: 'commit' } };
  assert.deepEqual(transition(state, raised), { state, effects: [] });
});

test('a decision that arrives after the guest has stopped changes nothing: pre-copy has won', () => {
  const state: SourceState = { ...inMemory(), stopped: true };
  for (const what of ['postcopy', 'give-up', 'downtime'] as const) {
    assert.deepEqual(transition(state, { ...raised, what }), { state, effects: [] }, what);
  }
});

test('a setting that failed does not count as set, and is decided again', () => {
  const { state } = transition(inMemory(), raised);
  const error = godwitError('GODWIT_DEADLINE', { what: 'it', deadlineMs: 1 }).toJSON();
  const { steering } = transition(state, { type: 'unset', error }).state;
  assert.equal(steering?.downtimeMs, 25);
  assert.match(steering.last ?? '', /could not be set/);
});

test('rounds are recorded while memory moves, and the final sample is not a round', () => {
  const sample = sampleOf({ round: 2 });
  const seen = transition(inMemory(), { type: 'measured', sample, final: false }).state;
  assert.equal(seen.steering?.round, 2);
  const last = sampleOf({ round: 9 });
  const { state } = transition(seen, { type: 'measured', sample: last, final: true });
  assert.equal(state.steering?.round, 2);
  assert.equal(state.sample, last);
});
