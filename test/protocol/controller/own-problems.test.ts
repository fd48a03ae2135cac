import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownProblemRoutes } from '../../../src/protocol/controller/own-problems.ts';

const problem = { about: 'disk', severity: 'bad', words: 'it is full', hint: 'Free room.' };

test('problems of a controller are bounded, of a known kind, and readable for a viewer', () => {
  const { response, access } = ownProblemRoutes.ownProblems;
  const answer = (problems: readonly object[]) =>
    response.safeParse({ controller: 'one', problems });
  assert.equal(access, 'viewer');
  assert.ok(answer([problem]).success);
  assert.equal(answer(Array.from({ length: 17 }, () => problem)).success, false);
  assert.equal(answer([{ ...problem, about: 'weather' }]).success, false);
  assert.equal(answer([{ ...problem, words: 'x'.repeat(100_000) }]).success, false);
});
