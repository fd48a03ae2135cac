import assert from 'node:assert/strict';
import { test } from 'node:test';
import { END_PHASES, isEnd } from '../../../src/protocol/public/end-phases.ts';
import { phase } from '../../../src/protocol/public/migration.ts';

test('every end is a phase, and no other phase is an end', () => {
  assert.deepEqual(
    phase.options.filter((each) => isEnd(each)).toSorted(),
    [...END_PHASES].toSorted(),
  );
});
