import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { silentLog } from '../../src/log.ts';
import { agentContract } from '../../src/protocol/contract.ts';
import { listenTls } from '../../src/rpc/listen.ts';
import { serve } from '../../src/rpc/server.ts';
import { fleet, guest } from '../agent/samples.ts';
import { askingOf } from '../cli/asking.ts';
import { hello } from '../rpc/test-contract.ts';
import { until } from '../until.ts';
import { controllerOf } from './test-controller.ts';

const { hello: greeting, host, guests, hostEvents } = agentContract;
const loose = {
  hello: greeting,
  host,
  guests,
  hostEvents: { ...hostEvents, response: z.record(z.string(), z.unknown()) },
};

/** Events that a thief of a host's certificate sends: guests of 0.9 MiB, without end. */
async function* flood(): AsyncGenerator<Record<string, unknown>> {
  yield { id: '1', type: 'ready' };
  const file = 'x'.repeat(3600);
  const disks = Array.from({ length: 256 }, (_none, nth) => {
    return { name: `disk${nth}`, file, format: 'raw', bytes: 1 };
  });
  for (let nth = 0; ; nth += 1) {
    const { info } = guest(`web${nth % 2000}`, { host: 'z', memoryBytes: nth });
    yield { id: '1', type: 'guest', guest: { ...info, disks } };
  }
}

test('a controller keeps serving the other hosts while one of them floods it, and shows which one does', async (t) => {
  const { host: made, caDir, certificate } = await fleet(t);
  const a = await made('a', { guests: () => [guest('db1')] });
  const info = { ...(await a.api.host()), name: 'z' };
  const listener = serve(
    loose,
    {
      hello: () => ({ ...hello, name: 'z' }),
      host: () => info,
      guests: () => ({ guests: [] }),
      hostEvents: flood,
    },
    { name: 'z', log: silentLog },
  );
  const log = { log: silentLog };
  const flooding = await listenTls(
    listener,
    { address: '127.0.0.1:0' },
    await certificate('z', 'agent'),
    log,
  );
  t.after(() => flooding.close());
  const hosts = {
    a: { address: a.agent.address, addresses: [] },
    z: { address: flooding.address, addresses: [] },
  };
  const { api, controller } = await controllerOf(t, caDir, { hosts });
  const over = await until('the host to be marked', 60_000, async () =>
    (await api.hosts()).hosts.find(({ excess }) => excess !== undefined),
  );
  assert.equal(over.name, 'z');
  assert.match((await askingOf(controller)('hosts')).out, /^z: over its limit since /m);
  const { hosts: all } = await api.hosts();
  assert.equal(all.find(({ name }) => name === 'a')?.state, 'up');
  assert.equal((await api.guest({ params: { guest: 'db1' } })).guests.length, 1);
  const [first] = (await api.guest({ params: { guest: 'web0' } })).guests;
  assert.match(first?.info.unmovable.join() ?? '', /a controller keeps 131072/);
  assert.match(await api.metrics(), /^godwit_hosts_over_limit 1$/m);
});
