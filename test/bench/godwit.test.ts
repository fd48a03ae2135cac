import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isUnmoved } from '../../bench/godwit.ts';
import { godwitError } from '../../src/errors.ts';

const ENDED = '`godwit migrate web1 --to b --json` ended with 5: error: ';

test('a move that did not converge is told from a fault by the words of the command', () => {
  const late = godwitError('GODWIT_NOT_CONVERGED', {
    guest: 'web1',
    allowed: '40.0 s',
    why: 'it dirties 9.39 MiB/s, and the link takes 9.37 MiB/s',
  });
  const given = godwitError('GODWIT_GIVEN_UP', {
    guest: 'web1',
    strategy: 'standard',
    reason: 'round 4',
  });
  const broken = godwitError('GODWIT_LAB', { what: 'the link is down' });
  const judged = [late, given, broken].map(({ message }) =>
    isUnmoved(godwitError('GODWIT_LAB', { what: `${ENDED}${message}` })),
  );
  assert.deepEqual(judged, [true, true, false]);
});
