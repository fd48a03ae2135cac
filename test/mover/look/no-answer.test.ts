import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNoAnswer } from '../../../src/mover/look/direct.ts';
import { godwitError } from '../../../src/errors.ts';

const never = new AbortController().signal;
const LATE = godwitError('GODWIT_DEADLINE', { what: 'an answer of b', deadlineMs: 8000 });
const b = { to: 'b', address: '10.0.0.2:7000' };
const yes = (): Promise<boolean> => Promise.resolve(true);
const asked = (): never => assert.fail('its path was tried');

test('a destination whose path loses full packets is refused with an MTU hint', async () => {
  const why = await whyNoAnswer(LATE, b, never, yes);
  assert.equal(why.code, 'GODWIT_UNREACHABLE');
  assert.match(why.message, /b at 10\.0\.0\.2:7000 .*small packets come back/);
  assert.match(why.hint, /MTU/);
});

test('a destination with a sound path, a relay or a refusal keeps its error', async () => {
  const sound = await whyNoAnswer(LATE, b, never, () => Promise.resolve(false));
  assert.equal(sound.code, 'GODWIT_DEADLINE');
  for (const address of [undefined, 'b.relay:7000'])
    assert.equal((await whyNoAnswer(LATE, { to: 'b', address }, never, asked)).code, LATE.code);
  const facts = { peer: 'a', role: 'agent', action: 'it', needs: 'operator' };
  const refused = godwitError('GODWIT_ROLE_FORBIDDEN', facts);
  assert.equal((await whyNoAnswer(refused, b, never, asked)).code, 'GODWIT_ROLE_FORBIDDEN');
});
