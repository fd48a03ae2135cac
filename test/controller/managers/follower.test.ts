import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import {
  MAX_MANAGER_BYTES,
  ManagerFollower,
  type ManagerFollowerDependencies,
  type ManagerHeard,
} from '../../../src/controller/managers/follower.ts';
import { godwitError } from '../../../src/errors.ts';
import type { CallOptions } from '../../../src/rpc/client.ts';

test('a manager whose lists exceed the byte limit is silent for that reason, and none of them is used', async () => {
  const silent = Promise.withResolvers<string>();
  let pages = 0;
  // As the client of the agent reads them: what a page takes is gone for the next one.
  const page = (_asked: unknown, { allowance }: CallOptions) => {
    assert.ok(allowance !== undefined);
    const limit = allowance.bytes;
    allowance.bytes -= MAX_MANAGER_BYTES / 4;
    if (allowance.bytes < 0) throw godwitError('GODWIT_TOO_LARGE', { what: 'a list', limit });
    pages += 1;
    return Promise.resolve({ hosts: [], guests: [], next: `${pages}` });
  };
  async function* hostEvents() {
    yield { type: 'ready' };
    await silent.promise;
  }
  const api = { hostEvents, managedHosts: page, guests: page };
  const speak = () => ({ api, close: () => {} });
  const heard = { all: () => assert.fail('it was taken'), silent: silent.resolve };
  const follower = new ManagerFollower({
    speak: speak as unknown as ManagerFollowerDependencies['speak'],
    heard: heard as unknown as ManagerHeard,
    clock: systemClock,
  });
  assert.match(await silent.promise, /a list/);
  assert.equal(pages, 4);
  await follower.end();
});
