import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeFreePages } from '../../../src/migration/preflight/free-pages.ts';

describe('free pages of a guest', () => {
  const said = (...asked: Parameters<typeof judgeFreePages>) =>
    judgeFreePages(...asked).map(({ verdict, evidence }) => `${verdict}: ${evidence}`);

  test('free pages are reported to stay behind if the guest gives hints of them', () => {
    assert.match(said('given', 'precopy')[0] ?? '', /^pass: .* those are not sent$/);
  });

  test("free pages are reported to move if the guest's driver gives no hints, or post-copy may follow", () => {
    assert.match(said('not-given', 'precopy')[0] ?? '', /^pass: .* gives none: .* are sent$/);
    for (const mode of ['hybrid', 'postcopy'] as const)
      assert.match(said('given', mode)[0] ?? '', /^pass: .*post-copy may follow: .* are sent$/);
    assert.match(said('unknown', 'precopy')[0] ?? '', /is not known$/);
  });

  test('free pages are not mentioned if the hypervisor requests no hints', () => {
    assert.deepEqual(said(undefined, 'precopy'), []);
    assert.deepEqual(said(undefined, 'hybrid'), []);
  });
});
