import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { ExpectedArrivals } from '../../src/agent/expected-arrivals.ts';
import { MAX_EXPECTED_MS } from '../../src/protocol/peer/arrival.ts';
import { tempDir } from '../rpc/test-contract.ts';
import { fleet, guest } from './samples.ts';

const peers = { a: { address: '127.0.0.1:1' }, c: { address: '127.0.0.1:2' } };
const id = 'm-00000001';
const params = { id };
const announced = { params, body: { guest: 'web1', from: 'a', forMs: 60_000 } };
const closed = { params: { host: 'b' }, body: { request: 'r-00000001', forMs: 60_000 } };
const coming = { guest: 'web1', migration: id, from: 'a', to: 'b' };

describe('hosts with announced guests', () => {
  test('a host with an announced guest does not report itself empty until the source withdraws the announcement', async (t) => {
    const { host, as } = await fleet(t);
    const b = await host('b', { peers });
    const [controller, a] = [await as('control', 'controller', b), await as('a', 'agent', b)];
    const occupancy = () => controller.occupancy({ params: { host: 'b' } });
    await a.expectArrival(announced);
    await controller.closeHost(closed);
    assert.deepEqual(await occupancy(), { guests: [], underWay: [coming] });
    // Another host announces and withdraws its own guests alone.
    const c = await as('c', 'agent', b);
    const forbidden = { code: 'GODWIT_ROLE_FORBIDDEN' };
    await assert.rejects(c.dropArrival({ params, query: { from: 'a' } }), forbidden);
    await assert.rejects(c.expectArrival(announced), forbidden);
    await c.dropArrival({ params, query: { from: 'c' } });
    assert.deepEqual((await occupancy()).underWay, [coming]);
    await a.dropArrival({ params, query: { from: 'a' } });
    assert.deepEqual(await occupancy(), { guests: [], underWay: [] });
  });

  test('a host that a request empties refuses an announcement', async (t) => {
    const { host, as } = await fleet(t);
    const b = await host('b', { peers, guests: () => [guest('db1', { host: 'b' })] });
    const [controller, a] = [await as('control', 'controller', b), await as('a', 'agent', b)];
    await controller.closeHost(closed);
    await assert.rejects(a.expectArrival(announced), { code: 'GODWIT_HOST_CLOSED' });
    assert.deepEqual((await controller.occupancy({ params: { host: 'b' } })).underWay, []);
  });
});

describe('announcements of guests', () => {
  const open = { requestFor: () => undefined };
  let nowMs = 1_000_000_000;
  const at = (stateDir: string) =>
    new ExpectedArrivals({ stateDir, name: 'b' }, { wallMs: () => nowMs }, open);
  const web1 = { guest: 'web1', from: 'a', forMs: MAX_EXPECTED_MS };

  test('announcements outlive the agent, expire, and are not prolonged when the clock is set back', (t) => {
    const stateDir = tempDir(t);
    at(stateDir).expect(id, web1);
    const again = at(stateDir);
    assert.deepEqual(again.underWay(), [coming]);
    nowMs += MAX_EXPECTED_MS;
    assert.deepEqual(again.underWay(), []);
    nowMs -= 2 * MAX_EXPECTED_MS;
    assert.deepEqual(again.underWay(), []);
  });

  test('the announcements are unknown if a damaged file may have held some', (t) => {
    const stateDir = tempDir(t);
    writeFileSync(path.join(stateDir, 'expected.json'), '{"version":1,"exp');
    const damaged = at(stateDir);
    assert.throws(() => damaged.underWay(), /are not known/);
    nowMs += MAX_EXPECTED_MS;
    assert.deepEqual(damaged.underWay(), []);
  });

  test('the announcements of one host are bounded and do not count against another host', (t) => {
    const all = at(tempDir(t));
    const nth = (count: number) => `m-${String(count).padStart(8, '0')}`;
    for (let count = 0; count < 64; count += 1) all.expect(nth(count), web1);
    assert.throws(() => all.expect(nth(64), web1), { code: 'GODWIT_OVERLOADED' });
    all.expect(nth(0), web1);
    all.expect(nth(64), { ...web1, from: 'c' });
    all.drop(nth(0), 'a');
    all.expect(nth(64), web1);
    assert.equal(all.underWay().length, 65);
  });
});
