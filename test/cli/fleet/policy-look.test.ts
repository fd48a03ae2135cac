import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptEach } from '../../../src/cli/fleet/policy-look.ts';
import { godwitError } from '../../../src/errors.ts';

const ids = ['p-00000001', 'p-00000002', 'p-00000003'];

/** A controller that answers the second one with `second`, and accepts the others. */
async function accepting(second: Error) {
  const result = await acceptEach(ids, async (id) => {
    if (id === ids[1]) throw second;
    return { accepted: [id], requests: [id.replace('p-', 'r-')] };
  });
  return { ...result, refused: result.refused.map(({ id, error }) => [id, error]) };
}

test('a refused proposal hides no accepted one, and the rest are accepted too', async () => {
  const open = godwitError('GODWIT_REQUEST_OPEN', { subject: 'g1', request: 'r-00000009' });
  assert.deepEqual(await accepting(open), {
    accepted: ['p-00000001', 'p-00000003'],
    requests: ['r-00000001', 'r-00000003'],
    refused: [['p-00000002', open]],
  });
});

test('a proposal that was decided meanwhile is not a refusal', async () => {
  const closed = godwitError('GODWIT_PROPOSAL_CLOSED', { proposal: 'p', state: 'accepted' });
  assert.deepEqual((await accepting(closed)).refused, []);
});

test('a controller that fails is asked no more, and its earlier acceptances are reported', async () => {
  const lost = new Error('the connection broke');
  assert.deepEqual(await accepting(lost), {
    accepted: ['p-00000001'],
    requests: ['r-00000001'],
    refused: [['p-00000002', lost]],
  });
});
