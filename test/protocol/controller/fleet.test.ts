import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fleetGuest, fleetHost } from '../../../src/protocol/controller/fleet.ts';

const SINCE = '2026-11-23T06:00:00.000Z';

test('a host that was never reached is reported with known facts only', () => {
  const host = { name: 'a', address: 'a:7443', state: 'new', since: SINCE, guests: 0 } as const;
  assert.deepEqual(fleetHost.parse(host), host);
  assert.equal(fleetHost.safeParse({ ...host, state: 'down' }).success, false);
});

test('a guest is reported with the state of its host, so that old facts do not look current', () => {
  const guest = { name: 'web1', host: 'a', state: 'running', driver: 'qemu' } as const;
  assert.equal(fleetGuest.safeParse(guest).success, false);
  const reported = { ...guest, hostState: 'silent', hostSince: SINCE };
  assert.deepEqual(fleetGuest.parse(reported), reported);
});
