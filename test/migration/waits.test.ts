import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { initialSource } from '../../src/migration/direct/source/source-state.ts';
import type { ManagedEvent } from '../../src/migration/managed/events.ts';
import {
  initialManaged,
  managedPhase,
  managedTransition,
} from '../../src/migration/managed/lifecycle.ts';
import { managedRunsAt, type ManagedState } from '../../src/migration/managed/state.ts';
import { isToWait, waitWords } from '../../src/migration/waits.ts';
import { planned as plannedDirect } from './direct/samples.ts';
import { error, planned } from './managed/samples.ts';

const doingOf = ({ doing }: Pick<ManagedState, 'doing'>): string => {
  if (doing.kind === 'undo') return 'undo';
  return doing.kind === 'end' ? doing.outcome : doing.step;
};

const waits = fc.record(
  {
    notBefore: fc.constant('2026-05-01T01:00:00.000Z'),
    whenQuiet: fc.constant({ withinMs: 60_000 }),
    noticeMs: fc.constant(30_000),
  },
  { requiredKeys: [] },
);

test('a migration waits first for everything that it must wait for, and its text names all of it', () => {
  fc.assert(
    fc.property(waits, (settings) => {
      const asked = Object.keys(settings).length > 0;
      assert.equal(isToWait(settings), asked);
      const { doing } = initialManaged(planned(settings)).state;
      assert.equal(doing.kind === 'do' && doing.step === 'wait', asked);
      const direct = initialSource(plannedDirect(settings)).state.doing;
      assert.equal(direct.kind === 'do' && direct.step === 'wait', asked);
      const words = waitWords(settings);
      assert.equal(words.includes('2026-05-01T01'), settings.notBefore !== undefined, words);
      assert.equal(words.includes('quiet moment'), settings.whenQuiet !== undefined, words);
      assert.equal(words.includes('notice'), settings.noticeMs !== undefined, words);
    }),
  );
});

test('a managed migration that begins later waits first, for as long as needed, and a new mover continues', () => {
  const first = planned({ notBefore: '2026-05-01T01:00:00.000Z' });
  const { state, effects } = initialManaged(first);
  assert.deepEqual(effects, [{ type: 'do', step: 'wait' }]);
  assert.deepEqual([managedPhase(state), managedRunsAt(state)], ['planned', 'source']);
  assert.deepEqual(managedTransition(state, { type: 'taken-over', pid: 7 }).effects, effects);
  const began = { type: 'did', step: 'wait', facts: { beganAtMs: 5, waited: 'it is quiet' } };
  const next = managedTransition(state, began as ManagedEvent).state;
  assert.deepEqual([doingOf(next), next.beganAtMs], ['inspect', 5]);
  const no = { ...error, retryable: false };
  const refused: ManagedEvent = { type: 'failed', step: 'wait', error: no };
  assert.equal(doingOf(managedTransition(state, refused).state), 'failed');
  assert.equal(doingOf(managedTransition(state, { type: 'cancel' }).state), 'cancelled');
  assert.equal(doingOf(initialManaged(planned()).state), 'inspect');
});
