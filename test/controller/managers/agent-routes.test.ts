import assert from 'node:assert/strict';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  managerAgentContract,
  managerAgentHandlers,
} from '../../../src/controller/managers/agent-routes.ts';
import { silentLog } from '../../../src/log.ts';
import { agentContract } from '../../../src/protocol/contract.ts';
import type { WebRole } from '../../../src/protocol/controller/session.ts';
import { client } from '../../../src/rpc/client.ts';
import { listenUnix } from '../../../src/rpc/listen.ts';
import { serve } from '../../../src/rpc/server.ts';
import { authority, tempDir } from '../../rpc/test-contract.ts';
import { Browser } from '../browser.ts';
import { controllerOf } from '../test-controller.ts';

const ROUTES = Object.entries(managerAgentContract).map(
  ([key, { method, path: place, access }]) => {
    const id = place.includes('/moves/') ? 'd-abcdefgh' : 'm-abcdefgh';
    const filled = { ':manager': 'nope', ':id': id, ':guest': 'web' };
    const at = place.replaceAll(/:\w+/g, (name) => filled[name as keyof typeof filled] ?? 'x');
    return { key, method, access, at };
  },
);
const BODY = { guest: 'web', to: 'b' };

async function face(t: TestContext) {
  const { caDir } = await authority(t);
  const { controller, api } = await controllerOf(t, caDir, { web: { address: '127.0.0.1:0' } });
  const browser = new Browser(t, controller.web ?? '', caDir);
  const askAs = async (role: WebRole) => {
    const { token } = await api.createToken({ body: { name: role, role } });
    const headers = { authorization: `Bearer ${token}` };
    return ({ method, at }: (typeof ROUTES)[number]) =>
      browser.ask(at, { method, headers, ...(method === 'GET' ? {} : { body: BODY }) });
  };
  return { api, askAs };
}

test('an unknown manager is reported as unknown by each route to its agent', async (t) => {
  const { askAs } = await face(t);
  const ask = await askAs('operator');
  const codes = new Map<string, string>();
  for (const route of ROUTES) {
    const { status, json } = await ask(route);
    const { code, detail } = json as { code: string; detail: string };
    codes.set(route.key, code);
    // A body that is not of its route is refused first.
    assert.ok([400, 404].includes(status), `${route.key}: ${status} ${detail}`);
  }
  for (const key of ['manager.migrations', 'manager.guest', 'manager.migrate', 'manager.cancel'])
    assert.equal(codes.get(key), 'GODWIT_MANAGER_UNKNOWN', key);
});

test("a viewer reads from a manager's agent and cannot order, and the audit log has the attempts", async (t) => {
  const { api, askAs } = await face(t);
  const ask = await askAs('viewer');
  for (const route of ROUTES) {
    const { status } = await ask(route);
    assert.equal(status === 403, route.access !== 'viewer', `${route.key}: ${status}`);
  }
  const { entries } = await api.audit({ query: { who: 'viewer' } });
  const refused = entries.find(({ what }) => what === 'manager.migrate');
  assert.deepEqual(
    [refused?.result, refused?.role, refused?.by],
    ['GODWIT_ROLE_FORBIDDEN', 'viewer', 'token'],
  );
  const operator = await askAs('operator');
  await operator(ROUTES.find(({ key }) => key === 'manager.migrate')!);
  const [kept] = (await api.audit({ query: { who: 'operator' } })).entries;
  assert.deepEqual([kept?.what, kept?.result], ['manager.migrate', 'GODWIT_MANAGER_UNKNOWN']);
  assert.match(kept?.arguments ?? '', /"guest":"web"/);
});

test("no route to a manager's agent is for controllers: all are for operators or viewers", () => {
  const accesses = new Set(ROUTES.map(({ access }) => access));
  assert.deepEqual([...accesses].toSorted(), ['operator', 'viewer']);
});

test('an agent of a manager that does not answer is reported as unreachable', async (t) => {
  const directory = tempDir(t);
  const agentOf = () =>
    client(agentContract, { unix: path.join(directory, 'none.sock'), peer: 'the agent of vc1' });
  const listener = serve(managerAgentContract, managerAgentHandlers(agentOf), {
    name: 'control',
    log: silentLog,
  });
  const listening = await listenUnix(listener, path.join(directory, 'control.sock'), {
    log: silentLog,
  });
  const { api, close } = client(managerAgentContract, { unix: listening.address });
  t.after(async () => {
    close();
    await listening.close();
  });
  for (const key of ['manager.migrations', 'manager.guests', 'manager.trust']) {
    const asked = api[key]!({ params: { manager: 'vc1' } });
    await assert.rejects(asked, { code: 'GODWIT_UNREACHABLE' }, key);
  }
});
