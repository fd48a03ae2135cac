import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AgentConfig } from '../../../src/config.ts';
import { godwitError, type GodwitError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { arrivalNotice } from '../../../src/mover/managed/arrival-notice.ts';
import type { Connect } from '../../../src/mover/shared/surroundings.ts';
import { MAX_EXPECTED_MS } from '../../../src/protocol/peer/arrival.ts';
import { migrationRequest } from '../../../src/protocol/public/migration.ts';
import type { ManagedMoverRequest } from '../../../src/protocol/mover/request.ts';
import { runTrial } from './trial.ts';

const { signal } = new AbortController();
const closed = godwitError('GODWIT_HOST_CLOSED', { host: 'b', request: 'r-00000001' });

function noticeAt(host: string, answer: GodwitError | undefined, isKnown = true) {
  const calls: unknown[] = [];
  const asked = (name: string) => async (given: object) => {
    calls.push([name, given]);
    if (answer !== undefined) throw answer;
    return {};
  };
  const api = { expectArrival: asked('expect'), dropArrival: asked('drop') };
  const connect = (() => ({ api, close: () => {} })) as unknown as Connect;
  const request = {
    id: 'm-00000001',
    fromHost: 'a',
    request: migrationRequest.parse({ guest: 'web1', to: 'b' }),
    ...(isKnown ? { peer: { name: 'b', address: 'b:7001' } } : {}),
  } as ManagedMoverRequest;
  const config = { name: host } as AgentConfig;
  return { calls, notice: arrivalNotice({ config, request, connect, log: silentLog }) };
}

describe('an arrival notice', () => {
  const params = { id: 'm-00000001' };

  test('an arrival notice names the guest to the agent of its destination, and is withdrawn', async () => {
    const { calls, notice } = noticeAt('a', undefined);
    await notice?.announce(signal);
    await notice?.withdraw();
    const body = { guest: 'web1', from: 'a', forMs: MAX_EXPECTED_MS };
    assert.deepEqual(calls, [
      ['expect', { params, body }],
      ['drop', { params, query: { from: 'a' } }],
    ]);
  });

  test('an arrival notice is omitted without an agent there, or without the guest at this host', () => {
    assert.equal(noticeAt('a', undefined, false).notice, undefined);
    assert.equal(noticeAt('c', undefined).notice, undefined);
  });

  test('an arrival notice is refused by a closed host, skipped for an older build, and fails no end', async () => {
    const refused = noticeAt('a', closed);
    assert.ok(refused.notice !== undefined);
    await assert.rejects(refused.notice.announce(signal), closed);
    await refused.notice.withdraw();
    const older = godwitError('GODWIT_ROUTE_UNKNOWN', { method: 'PUT', path: '/v1/arrivals/x' });
    await noticeAt('a', older).notice?.announce(signal);
  });
});

describe('a managed migration', () => {
  const copied = ['/d/a'];

  test('a managed migration to a host that is being drained creates and orders nothing', async () => {
    const notice = { announce: () => Promise.reject(closed) };
    const found = await runTrial({ seed: 1, copied, notice });
    assert.deepEqual([found.outcome, found.tasks, found.at], ['failed', 0, 'a']);
    assert.equal(found.report.error?.code, 'GODWIT_HOST_CLOSED');
    assert.ok(found.calls.every(({ name }) => name !== 'prepare' && name !== 'start'));
  });

  test('a managed migration repeats the notice before the order, and orders nothing if the host was closed', async () => {
    let announced = 0;
    const open = { announce: async () => void (announced += 1) };
    const done = await runTrial({ seed: 1, copied, notice: open });
    assert.deepEqual([done.outcome, announced], ['done', 2]);
    announced = 0;
    const late = {
      announce: async () => {
        announced += 1;
        if (announced > 1) throw closed;
      },
    };
    const found = await runTrial({ seed: 1, copied, notice: late });
    assert.deepEqual([found.outcome, found.tasks, found.at], ['failed', 0, 'a']);
    assert.equal(found.report.error?.code, 'GODWIT_HOST_CLOSED');
  });
});
