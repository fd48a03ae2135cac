import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, test } from 'node:test';
import { silentLog } from '../../src/log.ts';
import { splitAddress, withHost } from '../../src/protocol/names.ts';
import { listenTls } from '../../src/rpc/listen.ts';
import { serve } from '../../src/rpc/server.ts';
import { authority, calling, contract, echoes } from './test-contract.ts';

const PORTS = { from: 42_300, to: 42_499 };

describe('a server with further addresses', () => {
  test('a server with further addresses is the same on each, and can tell which one was called', async (t) => {
    const { issue } = await authority(t);
    const credentials = await issue('b', 'agent');
    const calledAt: (string | undefined)[] = [];
    const handlers: ReturnType<typeof echoes> = {
      ...echoes(),
      say: ({ body, caller, calledAt: at }) => {
        calledAt.push(at);
        return { said: body.text, by: caller.name };
      },
    };
    const listener = serve(contract, handlers, { name: 'b', log: silentLog });
    const where = { host: '127.0.0.1', ports: PORTS, furtherHosts: ['127.0.0.2'] };
    const listening = await listenTls(listener, where, credentials, { log: silentLog });
    t.after(() => listening.close());
    for (const host of ['127.0.0.1', '127.0.0.2']) {
      const { api } = calling(t, withHost(listening.address, host), credentials);
      const said = await api.say({ params: { name: 'x' }, query: {}, body: { text: host } });
      assert.deepEqual(said, { said: host, by: 'b' });
    }
    assert.deepEqual(calledAt, ['127.0.0.1', '127.0.0.2']);
  });

  test('a server with further addresses uses a port that is free on all of them', async (t) => {
    const { issue } = await authority(t);
    const credentials = await issue('b', 'agent');
    const listener = serve(contract, echoes(), { name: 'b', log: silentLog });
    // The first port that it tries is taken on the second address only.
    const count = PORTS.to - PORTS.from + 1;
    const first = PORTS.from + (process.pid % count);
    const taken = net.createServer().listen(first, '127.0.0.3');
    await once(taken, 'listening');
    t.after(() => taken.close());
    const where = { host: '127.0.0.4', ports: PORTS, furtherHosts: ['127.0.0.3'] };
    const listening = await listenTls(listener, where, credentials, { log: silentLog });
    t.after(() => listening.close());
    assert.notEqual(splitAddress(listening.address).port, first);
    const { api } = calling(t, withHost(listening.address, '127.0.0.3'), credentials);
    assert.equal((await api.hello()).name, 'b');
  });

  test('a server serves without an address that the host does not have', async (t) => {
    const { issue } = await authority(t);
    const credentials = await issue('b', 'agent');
    const listener = serve(contract, echoes(), { name: 'b', log: silentLog });
    const where = { address: '127.0.0.1:0', further: ['192.0.2.1:7443'] };
    const listening = await listenTls(listener, where, credentials, { log: silentLog });
    t.after(() => listening.close());
    const { api } = calling(t, listening.address, credentials);
    assert.equal((await api.hello()).name, 'b');
  });

  test('a server does not start if another program uses one of its addresses', async (t) => {
    const { issue } = await authority(t);
    const credentials = await issue('b', 'agent');
    const listener = serve(contract, echoes(), { name: 'b', log: silentLog });
    const taken = net.createServer().listen(0, '127.0.0.5');
    await once(taken, 'listening');
    t.after(() => taken.close());
    const { port } = taken.address() as net.AddressInfo;
    const where = { address: '127.0.0.1:0', further: [`127.0.0.5:${port}`] };
    await assert.rejects(listenTls(listener, where, credentials, { log: silentLog }), {
      code: 'GODWIT_CONFIG',
    });
  });
});
