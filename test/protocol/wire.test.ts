import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wireFigures, wireOffer, wireSession, wireTerms } from '../../src/protocol/wire.ts';
import { testThroughJson } from './through-json.ts';

testThroughJson({ wireFigures, wireOffer, wireSession, wireTerms });

test('a session is named by 128 bits without any character of a path', () => {
  assert.ok(wireSession.safeParse({ session: '0123456789abcdef0123456789abcdef' }).success);
  for (const session of ['', '../etc', '0'.repeat(31), 'G'.repeat(32)]) {
    assert.equal(wireSession.safeParse({ session }).success, false);
  }
});
