import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exploreThirdHosts } from './explore.ts';
import { PRODUCT, THIRD_HOST_MUTANTS } from './rules.ts';

const MAX_STATES = 1_000_000;
/** Found among the nearest states; `npm run model` looks for all. */
const NEAR = new Set([
  'ask the destination alone',
  'believe the peer',
  'source or destination',
  'an old proof',
  'a refusal is an empty host',
  'an id is a proof',
  'a recovery has a partner',
  'safe beside a third host',
]);

describe('recovery by third hosts', () => {
  test('recoveries by third hosts never cause two running copies or a hold without an answer', (t) => {
    const explored = exploreThirdHosts(PRODUCT, { faults: 1, mostStates: MAX_STATES });
    t.diagnostic(`${explored.states} states`);
    assert.deepEqual(explored.violation, undefined);
    assert.equal(explored.exhaustive, true);
  });

  for (const { name, breaks, rules } of THIRD_HOST_MUTANTS.filter((each) => NEAR.has(each.name))) {
    test(`a broken recovery rule causes two copies or no answer: ${name} (${breaks})`, () => {
      const explored = exploreThirdHosts(rules, { faults: 2, mostStates: MAX_STATES });
      assert.ok(explored.violation !== undefined, 'not found');
    });
  }
});
