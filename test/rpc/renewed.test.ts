import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import type { Pair } from '../../src/rpc/tls.ts';
import type { ShownCertificate } from '../../src/protocol/peer/fleet.ts';
import { authority, calling, serving } from './test-contract.ts';

const params = { name: 'x' };
const body = { text: 't' };

const serialOf = ({ cert }: Pair): string => new X509Certificate(cert).serialNumber;

test('a server and a client with a renewed certificate use it at once, without a restart', async (t) => {
  const { issue } = await authority(t);
  const server = { now: await issue('b', 'agent') };
  const caller = { now: await issue('a', 'agent') };
  const callers: string[] = [];
  const servers: string[] = [];
  const noting = (into: string[]) => (shown: ShownCertificate) => {
    into.push(shown.serial);
    return undefined;
  };
  const { address } = await serving(t, {
    ...server.now,
    current: () => server.now,
    refuses: noting(callers),
  });
  const { api } = calling(t, address, {
    ...caller.now,
    current: () => caller.now,
    refuses: noting(servers),
  });
  await api.report({ params, body });
  const first = [serialOf(caller.now), serialOf(server.now)];
  assert.deepEqual([callers.at(-1), servers.at(-1)], first);
  server.now = await issue('b', 'agent');
  caller.now = await issue('a', 'agent');
  await api.report({ params, body });
  const second = [serialOf(caller.now), serialOf(server.now)];
  assert.deepEqual([callers.at(-1), servers.at(-1)], second);
  assert.notDeepEqual(first, second);
});

test('requests under way continue when the certificate changes', async (t) => {
  const { issue } = await authority(t);
  const caller = { now: await issue('a', 'agent') };
  const { address } = await serving(t, await issue('b', 'agent'));
  const { api } = calling(t, address, { ...caller.now, current: () => caller.now });
  const stream = api.repeat({ params, query: { times: 3 }, body });
  const iterator = stream[Symbol.asyncIterator]();
  assert.equal((await iterator.next()).value?.by, 'a');
  caller.now = await issue('a', 'agent');
  await api.report({ params, body });
  assert.equal((await iterator.next()).value?.by, 'a');
  assert.equal((await iterator.next()).value?.by, 'a');
  assert.equal((await iterator.next()).done, true);
});
