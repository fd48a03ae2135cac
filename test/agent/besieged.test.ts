import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import type { Socket } from 'node:net';
import { connect } from 'node:tls';
import { test } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_LIMITS } from '../../src/rpc/limits.ts';
import type { Credentials } from '../../src/rpc/tls.ts';
import { openSockets } from '../rpc/sockets.ts';
import { post } from '../rpc/wire.ts';
import { fleet } from './samples.ts';

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: b\r\n\r\n`;

/** What somebody does on one connection who wants to keep others from theirs. None of them reads an answer. */
const HARM = {
  'floods with requests': get('/v1/guests?scope=all').repeat(8),
  'floods with admissions': post('/v1/incoming', '{}').repeat(8),
  'sends half a header': get('/v1/hosts').slice(0, -2),
  'sends half a body': post('/v1/incoming', `"${'x'.repeat(100_000)}"`).slice(0, -1),
  'tries to join': post('/v1/pki/join', '{"token":"x","request":""}').repeat(4),
  'sends half a join': post('/v1/pki/join', '{"token":"x"}').slice(0, -1),
  'says nothing': '',
} as const;
type Harm = keyof typeof HARM;
const who = fc.constantFrom('greedy', 'stranger');
const harms = fc.array(
  fc.record({ who, harm: fc.constantFrom(...(Object.keys(HARM) as Harm[])), times: fc.nat(30) }),
  { minLength: 1, maxLength: 4 },
);

async function pester(
  address: string,
  credentials: Credentials | undefined,
  harm: Harm,
): Promise<Socket> {
  const [host = '', port] = address.split(':');
  const from = credentials === undefined ? { localAddress: '127.0.0.66' } : {};
  const to = { host, port: Number(port), ...from };
  // Without a certificate it is a stranger after the handshake; `says nothing` does not even begin one.
  const isPlain = credentials === undefined && harm === 'says nothing';
  const tls = { ...credentials, ...to, rejectUnauthorized: false };
  const socket = isPlain ? net.connect(to) : connect(tls);
  socket.on('error', () => {});
  const begun = once(socket, isPlain ? 'connect' : 'secureConnect');
  // One that is refused at once was no harm.
  await Promise.race([begun.catch(() => []), once(socket, 'close').catch(() => [])]);
  if (HARM[harm] !== '') socket.write(HARM[harm]);
  socket.pause();
  return socket;
}

test('an operator and another host get answers, however a greedy host and strangers flood the agent', async (t) => {
  const { host, as, certificate } = await fleet(t);
  const peers = { greedy: { address: '127.0.0.1:1' }, c: { address: '127.0.0.1:2' } };
  const b = await host('b', { peers });
  const greedy = await certificate('greedy', 'agent');
  const { agent, stranger } = DEFAULT_LIMITS.shares;
  const before = openSockets();
  await fc.assert(
    fc.asyncProperty(harms, async (list) => {
      const open: Socket[] = [];
      try {
        for (const { who: by, harm, times } of list) {
          const credentials = by === 'greedy' ? greedy : undefined;
          const all = Array.from({ length: times + 1 }, () =>
            pester(b.agent.address, credentials, harm),
          );
          open.push(...(await Promise.all(all)));
        }
        const operator = await as('ann', 'operator', b);
        assert.deepEqual(await operator.health(), { ok: true });
        assert.deepEqual((await operator.migrations()).migrations, []);
        const other = await as('c', 'agent', b);
        await assert.rejects(other.incoming({ params: { id: 'm-11111111' } }), {
          code: 'GODWIT_MIGRATION_UNKNOWN',
        });
        assert.deepEqual(await b.api.health(), { ok: true });
        const most = 2 * (agent.connections.each + stranger.connections.each);
        assert.ok(openSockets() - before <= most + 100, `${openSockets()} sockets`);
      } finally {
        for (const socket of open) socket.destroy();
      }
    }),
    { numRuns: 5 },
  );
});
