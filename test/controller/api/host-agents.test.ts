import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostAgentContract } from '../../../src/controller/api/host-agents.ts';
import { hasCode } from '../../../src/errors.ts';
import { agentContract } from '../../../src/protocol/contract.ts';
import { client } from '../../../src/rpc/client.ts';
import { controllerOfTwo } from '../test-controller.ts';

test('a controller passes reads and orders on to a host, each order under a new number', async (t) => {
  const { a, controller } = await controllerOfTwo(t);
  const at = (host: string) => {
    const speaking = client(agentContract, {
      unix: controller.socket,
      peer: 'the controller',
      under: `/v1/hosts/${host}/agent`,
    });
    t.after(() => speaking.close());
    return speaking.api;
  };
  const api = at('a');
  assert.equal((await api.guest({ params: { guest: 'web1' } })).host, 'a');
  const { id } = await api.migrate({ body: { guest: 'web1', to: 'b' } });
  assert.deepEqual(a.movers.started, [id]);
  assert.equal((await api.migration({ params: { id } })).guest, 'web1');
  await assert.rejects(api.cancel({ params: { id }, query: { order: 'r-00000001' } }), (thrown) =>
    hasCode(thrown, 'GODWIT_USAGE'),
  );
  await assert.rejects(at('zz').guests(), (thrown) => hasCode(thrown, 'GODWIT_HOST_UNKNOWN'));
});

test("no route to a host's agent is for controllers, and none reloads or closes the host", () => {
  const routes = Object.entries(hostAgentContract);
  assert.deepEqual(
    new Set(routes.map(([, { access }]) => access)),
    new Set(['viewer', 'operator']),
  );
  const orders = routes.filter(([, { access }]) => access === 'operator').map(([key]) => key);
  assert.deepEqual(orders.toSorted(), [
    'host.cancel',
    'host.cancelDiskMove',
    'host.check',
    'host.labelGuest',
    'host.migrate',
    'host.moveDisk',
    'host.plan',
    'host.resolve',
  ]);
});
