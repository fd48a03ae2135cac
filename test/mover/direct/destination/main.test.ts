import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { parseAgentConfig } from '../../../../src/config.ts';
import { hasCode } from '../../../../src/errors.ts';
import { silentLog } from '../../../../src/log.ts';
import { openDestination } from '../../../../src/mover/direct/destination/main.ts';
import { DestinationMover } from '../../../../src/mover/direct/destination/mover.ts';
import { surroundingsOf } from '../../../../src/mover/shared/surroundings.ts';
import { destinationMoverRequest } from '../../../../src/protocol/mover/request.ts';
import type { peerContract } from '../../../../src/protocol/peer/contract.ts';
import type { Role } from '../../../../src/protocol/route.ts';
import type { Handlers } from '../../../../src/rpc/server.ts';
import { tempDir } from '../../../rpc/test-contract.ts';
import { TwoHosts } from '../two-hosts.ts';

const EPOCH = 5;
const ID = 'm-00000001';

/** What a mover serves: its handlers, and who may call them. */
interface MoverService {
  readonly handlers: Handlers<typeof peerContract>;
  readonly authorise: (caller: { readonly name: string; readonly role: Role }) => void;
}

/** The destination's mover of a guest that comes from host a, in this process, with its calls. */
async function opened(t: TestContext) {
  const dir = tempDir(t);
  const hosts = await TwoHosts.boot('precopy');
  const text = { name: 'b', address: '127.0.0.1:7001', stateDir: dir };
  const config = parseAgentConfig('agent.json', JSON.stringify(text));
  const admission = {
    id: ID,
    guest: 'web1',
    from: 'a',
    epoch: EPOCH,
    timeoutMs: 60_000,
    memoryBytes: hosts.source.guest.memoryBytes,
  };
  const request = destinationMoverRequest.parse({
    version: 1,
    id: ID,
    side: 'destination',
    fromHost: 'a',
    toHost: 'b',
    createdAt: '2026-01-01T00:00:00.000Z',
    peer: { name: 'a', address: '127.0.0.1:7000' },
    admission,
  });
  let served: MoverService | undefined;
  const listen = async (_contract: unknown, handlers: unknown, authorise: unknown) => {
    served = { handlers, authorise } as MoverService;
    return { address: '127.0.0.1:49152', close: async () => undefined };
  };
  const around = { ...surroundingsOf(config, silentLog), listen: listen as never };
  const driver = hosts.driver('b', { dead: false, silent: false });
  const { mover, progress } = await openDestination(dir, config, request, driver, around);
  t.after(async () => {
    await mover.close();
    hosts.close();
  });
  assert.ok(served !== undefined);
  /** Calls a route as the source would. */
  const call = (route: keyof MoverService['handlers'], body: object): unknown => {
    const handler = served?.handlers[route] as (asked: object) => unknown;
    return handler({ body, signal: new AbortController().signal });
  };
  return { ...served, mover, progress, call };
}

test('calls are accepted only from the source host, whatever the role of another one', async (t) => {
  const { authorise } = await opened(t);
  authorise({ name: 'a', role: 'agent' });
  const roles: readonly Role[] = ['viewer', 'operator', 'agent'];
  for (const role of roles) {
    assert.throws(
      () => authorise({ name: 'c', role }),
      (error) => hasCode(error, 'GODWIT_ROLE_FORBIDDEN') && /certificate of a/.test(error.message),
    );
  }
});

test("a guest that is lost is torn down, and any other is released with the source's reason", async (t) => {
  const done: unknown[] = [];
  t.mock.method(DestinationMover.prototype, 'tearDown', async (epoch: number) => {
    done.push(['tearDown', epoch]);
  });
  const release = async (
    epoch: number,
    _signal: AbortSignal,
    how: { because?: unknown } = {},
  ): Promise<void> => {
    done.push(['release', epoch, how.because]);
  };
  t.mock.method(DestinationMover.prototype, 'release', release);
  const { call } = await opened(t);
  const because = { code: 'GODWIT_CANCELLED', message: 'cancelled' };
  assert.deepEqual(await call('release', { epoch: EPOCH, lost: true }), { ok: true });
  assert.deepEqual(await call('release', { epoch: EPOCH, because }), { ok: true });
  assert.deepEqual(done, [
    ['tearDown', EPOCH],
    ['release', EPOCH, because],
  ]);
});

test('a refused migration is reported by its epoch, and a released one is over', async (t) => {
  const { call, progress, mover } = await opened(t);
  assert.deepEqual([progress().phase, progress().percent], ['checking', 0]);
  const refused = await call('refuse', { epoch: EPOCH });
  assert.deepEqual(refused, { epoch: EPOCH, refused: true });
  assert.equal(mover.state.right, 'refused');
  await call('release', { epoch: EPOCH });
  await mover.ended;
  const { phase, percent, from, to } = progress();
  assert.deepEqual(
    { phase, percent, from, to },
    { phase: 'failed', percent: 0, from: 'a', to: 'b' },
  );
});

test('hello reports the host and its protocol versions', async (t) => {
  const { call } = await opened(t);
  const { name, versions } = (await call('hello', {})) as { name: string; versions: number[] };
  assert.equal(name, 'b');
  assert.ok(versions.length > 0);
});
