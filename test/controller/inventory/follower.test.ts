import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import {
  Follower,
  type FollowerDependencies,
  type FollowerListener,
} from '../../../src/controller/inventory/follower.ts';
import type { HostState } from '../../../src/protocol/controller/fleet.ts';
import type { Credentials } from '../../../src/rpc/tls.ts';

const hearing = (state: HostState): FollowerListener => ({
  row: { state },
  all() {},
  info() {},
  event() {},
  exceeds() {},
  lost() {},
});

/** Whether a host that stood so in the database takes its first turn among those that failed. */
async function firstTurn(state: HostState): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const deps: FollowerDependencies = {
    credentials: {} as Credentials,
    clock: systemClock,
    knock: async () => ({ what: 'answer', said: '' }),
    turn: async (_work, hasFailed) => {
      resolve(hasFailed);
      throw new Error('no turn');
    },
  };
  const place = () => ({ address: '127.0.0.1:1', addresses: [] });
  const follower = new Follower('a', place, deps, hearing(state));
  const answer = await promise;
  await follower.end();
  return answer;
}

test('a host that could not be followed before takes no turn of the others, under any follower', async () => {
  for (const state of ['silent', 'untrusted', 'incompatible'] as const)
    assert.equal(await firstTurn(state), true, state);
  for (const state of ['new', 'up', 'unfollowed'] as const)
    assert.equal(await firstTurn(state), false, state);
});
