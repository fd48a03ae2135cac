import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  endWords,
  endsMoveAtOnce,
  haltHint,
  haltWords,
  haltedWords,
  mayBeOwnPause,
} from '../../../src/migration/guest-changes/run-states.ts';
import { halt, HALT_KINDS } from '../../../src/protocol/guest-halt.ts';
import { END_KINDS } from '../../../src/protocol/guest-end.ts';

test("each reason for a stop has a phrase that follows the guest's name, and a hint", () => {
  const words = HALT_KINDS.map((kind) => haltWords({ kind }));
  assert.equal(new Set(words).size, HALT_KINDS.length);
  for (const each of words) assert.match(each, /^(was|shut|panicked|suspended) ?/);
  for (const kind of HALT_KINDS) assert.match(haltHint({ kind }), /\.$/);
  assert.equal(
    haltedWords({ kind: 'io-error', what: 'disk0' }),
    'stopped by an I/O error of disk0',
  );
  for (const kind of HALT_KINDS) assert.doesNotMatch(haltedWords({ kind }), /^(was|is) /);
  assert.equal(
    haltWords({ kind: 'io-error', what: 'disk0 (no space left)' }),
    'was stopped by an I/O error of disk0 (no space left)',
  );
});

test('a guest that may run again before its memory moves may still be moved; one that shut down may not', () => {
  const atOnce = HALT_KINDS.filter((kind) => endsMoveAtOnce({ kind }));
  assert.deepEqual(atOnce, ['shut-down', 'panicked', 'watchdog', 'internal-error']);
});

test('only a pause looks like the stop that Godwit itself orders', () => {
  assert.deepEqual(
    HALT_KINDS.filter((kind) => mayBeOwnPause({ kind })),
    ['paused'],
  );
});

test('a kind of a newer build is read as the mildest one', () => {
  assert.deepEqual(halt.parse({ kind: 'frozen' }), { kind: 'paused' });
  for (const kind of END_KINDS) assert.match(endWords(kind), /hypervisor/);
});
