import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { godwitError } from '../../src/errors.ts';
import type { ShownCertificate } from '../../src/protocol/peer/fleet.ts';
import { authority, calling, serving } from './test-contract.ts';

const params = { name: 'x' };
const body = { text: 't' };

test('a stream ends when its reader has lost the right to it', async (t) => {
  const { issue } = await authority(t);
  let isRevoked = false;
  const refuses = ({ name: peer }: ShownCertificate) =>
    isRevoked ? godwitError('GODWIT_CERT_REVOKED', { peer, date: 'today' }) : undefined;
  const handlers = {
    async *repeat({ signal }: { signal: AbortSignal }) {
      yield { said: 'x', by: 'b' };
      await once(signal, 'abort');
    },
  };
  const { address } = await serving(
    t,
    { ...(await issue('b', 'agent')), refuses },
    { handlers, limits: { heartbeatMs: 5 } },
  );
  const { api } = calling(t, address, await issue('a', 'viewer'));
  const lines = api.repeat({ params, body })[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value?.said, 'x');
  isRevoked = true;
  await assert.rejects(lines.next(), { code: 'GODWIT_CERT_REVOKED' });
});
