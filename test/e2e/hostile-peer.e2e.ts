import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCases } from '../../hostile/run.ts';

/** `npm run hostile` does many more. */
const CASES = 150;

test('a hostile host with a valid certificate gains nothing by its messages, and leaves nothing behind', async () => {
  const numbers = Array.from({ length: CASES }, (_, index) => index);
  const outcome = await runCases({ seed: 1, numbers });
  assert.deepEqual(outcome.violations, []);
  assert.equal(outcome.cases, CASES);
  // A witness that sees nothing would find nothing.
  assert.ok(outcome.seenCalls > 10_000, `${outcome.seenCalls} calls were seen`);
});
