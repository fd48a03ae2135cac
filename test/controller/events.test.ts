import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { RequestWatch } from '../../src/controller/engine/request-watch.ts';
import { openStore } from '../../src/controller/store/open.ts';
import { Requests } from '../../src/controller/store/requests.ts';
import { systemClock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import type { FleetNews } from '../../src/protocol/controller/events.ts';
import { newRequest, requestAsk } from '../../src/protocol/controller/fleet-request.ts';
import { authority } from '../rpc/test-contract.ts';
import { until } from '../until.ts';
import { controllerOf } from './test-controller.ts';

interface Following {
  readonly response: IncomingMessage;
  text: string;
}

/** Follows the events of a web listener as a browser does. */
async function follow(
  t: TestContext,
  { address, token, ca, last }: { address: string; token: string; ca: Buffer; last?: string },
): Promise<Following> {
  const [host, port] = address.split(':');
  const headers = {
    authorization: `Bearer ${token}`,
    ...(last === undefined ? {} : { 'last-event-id': last }),
  };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = https.get(
      { host, port, path: '/v1/events', headers, ca, agent: false },
      resolve,
    );
    request.on('error', reject);
    t.after(() => request.destroy());
  });
  const following: Following = { response, text: '' };
  response.setEncoding('utf8');
  response.on('error', () => {});
  response.on('data', (chunk: string) => (following.text += chunk));
  return following;
}

test("events resume after the client's last one, and a client too far behind is told to reset", async (t) => {
  const { caDir } = await authority(t);
  const { controller, api } = await controllerOf(t, caDir, { web: { address: '127.0.0.1:0' } });
  const ca = readFileSync(path.join(caDir, 'ca.crt'));
  const { token } = await api.createToken({ body: { name: 'ann', role: 'viewer' } });
  const reach = { address: controller.web ?? '', token, ca };
  const first = await follow(t, reach);
  const id = await until('the first event', 10_000, async () => {
    return /^id: (\S+)\ndata: \{"id":"\S+","type":"ready"\}\n\n/.exec(first.text)?.[1];
  });
  const [, count = ''] = id.split('-');
  const back = await follow(t, { ...reach, last: id });
  const lost = await follow(t, { ...reach, last: `000000000000-${count}` });
  await until('the reset', 10_000, async () => {
    return lost.text.includes('event: reset\nid: ') ? true : undefined;
  });
  await until('a heartbeat', 10_000, async () => (back.text.includes(':\n\n') ? true : undefined));
  // Nothing is reported twice.
  assert.ok(!back.text.includes('data:'), back.text);
});

test('a stream ends once its token is revoked', async (t) => {
  const { caDir } = await authority(t);
  const { controller, api } = await controllerOf(t, caDir, { web: { address: '127.0.0.1:0' } });
  const ca = readFileSync(path.join(caDir, 'ca.crt'));
  const { token } = await api.createToken({ body: { name: 'ann', role: 'viewer' } });
  const following = await follow(t, { address: controller.web ?? '', token, ca });
  await until('the first event', 10_000, async () => (following.text === '' ? undefined : true));
  await api.revokeToken({ params: { name: 'ann' } });
  await until('the end', 20_000, async () => (following.response.complete ? true : undefined));
  assert.match(following.text, /event: error\ndata: .*GODWIT_TOKEN_REFUSED/);
});

test('a request is reported when it is new and when it changed, and not again', async (t) => {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const requests = new Requests(store);
  const reported: FleetNews[] = [];
  const hostsOf = (news: FleetNews) => (news.type === 'request' ? news.request.ask.hosts : []);
  const watch = new RequestWatch({
    store,
    clock: systemClock,
    log: silentLog,
    publish: (news) => reported.push(news),
  });
  const ask = requestAsk.parse({ kind: 'drain', hosts: ['a'] });
  await requests.add(newRequest('r-aaaaaaaa', ask, { nowMs: 1, by: 'ann' }));
  await watch.look();
  assert.equal(reported.length, 0, 'what was there before is in the lists');
  const other = requestAsk.parse({ kind: 'drain', hosts: ['b'] });
  await requests.add(newRequest('r-bbbbbbbb', other, { nowMs: 1, by: 'ann' }));
  await watch.look();
  await watch.look();
  await requests.cancel('r-bbbbbbbb', 'let-run');
  await watch.look();
  assert.deepEqual(reported.map(hostsOf), [['b'], ['b']]);
});
