import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { pathInPool, proofName } from '../../src/protocol/disk.ts';

test('a path in a pool never leaves it', () => {
  const part = fc.oneof(
    fc.constantFrom('..', '.', '', 'a', 'b.qcow2'),
    fc.string({ maxLength: 6 }),
  );
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
      const parsed = pathInPool.safeParse(parts.join('/'));
      if (!parsed.success) return;
      const full = path.join('/pool', parsed.data);
      assert.ok(full.startsWith('/pool/'), full);
      assert.equal(full, `/pool/${parsed.data}`);
    }),
  );
  for (const bad of ['', '/etc/passwd', '../a', 'a/../b', 'a//b', 'a/', '.', 'a\0b']) {
    assert.equal(pathInPool.safeParse(bad).success, false, bad);
  }
  assert.ok(pathInPool.safeParse('vm/web1.qcow2').success);
});

test('a proof is a file with a separate name, in no other directory', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const parsed = proofName.safeParse(text);
      if (parsed.success) assert.match(text, /^\.godwit-[A-Za-z0-9-]+$/);
    }),
  );
  assert.equal(proofName.safeParse('.godwit-a/../../b').success, false);
  assert.equal(proofName.safeParse('web1.qcow2').success, false);
});
