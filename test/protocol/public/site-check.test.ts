import assert from 'node:assert/strict';
import { test } from 'node:test';
import { returnIfUnhealthy, siteCheckName } from '../../../src/protocol/public/site-check.ts';

test("a site check's name leads to no other file", () => {
  for (const name of ['check-web', 'check-1', `check-${'a'.repeat(57)}`])
    assert.ok(siteCheckName.safeParse(name).success, name);
  const wrong = ['web', 'check-', 'check-../sh', 'check-a/b', 'check-A', 'check-a b', 'notice'];
  for (const name of [...wrong, `check-${'a'.repeat(58)}`, 'check-a\n'])
    assert.equal(siteCheckName.safeParse(name).success, false, name);
});

test('a guest is watched for at least ten seconds and at most a day', () => {
  const takes = (withinMs: number): boolean =>
    returnIfUnhealthy.safeParse({ check: 'check-web', withinMs }).success;
  assert.deepEqual([9999, 10_000, 86_400_000, 86_400_001].map(takes), [false, true, true, false]);
});
