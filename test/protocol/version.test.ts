import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PRODUCT_VERSION, PROTOCOL_VERSIONS, selectVersion } from '../../src/protocol/version.ts';

const versions = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 6 });

test('both sides select the same version: the highest one that both support', () => {
  fc.assert(
    fc.property(versions, versions, (ours, theirs) => {
      const here = selectVersion('b', theirs, ours);
      const there = selectVersion('a', ours, theirs);
      assert.equal(here.ok, there.ok);
      const shared = ours.filter((version) => theirs.includes(version));
      assert.equal(here.ok, shared.length > 0);
      if (here.ok && there.ok) {
        assert.equal(here.version, there.version);
        assert.equal(here.version, Math.max(...shared));
      }
    }),
  );
});

test('a refusal names the peer and the versions of both sides', () => {
  const choice = selectVersion('b', [7, 8], [1, 2]);
  assert.ok(!choice.ok);
  assert.equal(choice.error.code, 'GODWIT_PROTOCOL_VERSION');
  assert.match(choice.error.message, /^b speaks protocol 7, 8; this side speaks 1, 2$/);
  const none = selectVersion('b', []);
  assert.ok(!none.ok);
  assert.match(none.error.message, /protocol none;/);
});

test('this build is compatible with itself', () => {
  const choice = selectVersion('b', PROTOCOL_VERSIONS);
  assert.deepEqual(choice, { ok: true, version: Math.max(...PROTOCOL_VERSIONS) });
  assert.match(PRODUCT_VERSION, /^\d+\.\d+\.\d+$/);
});
