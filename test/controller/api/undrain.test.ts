import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  requestHandlers,
  type RequestHandlerDependencies,
} from '../../../src/controller/api/requests.ts';
import { silentLog } from '../../../src/log.ts';

const REQUEST = 'r-0123456789abcdef';

test('the end of a drain is answered before the host has confirmed it, without a read of the fleet', async () => {
  const done: string[] = [];
  const waits: number[] = [];
  const request = { ask: { hosts: ['a'] }, phase: 'done' };
  const deps = {
    config: { programs: {} },
    log: silentLog,
    clock: { sleep: (ms: number) => Promise.resolve(void waits.push(ms)) },
    requests: {
      world: () => Promise.resolve({ marks: new Map([['a', { drainingFor: REQUEST }]]) }),
      get: () => Promise.resolve({ request, moves: [] }),
      undrain: (host: string) => Promise.resolve(void done.push(`open ${host}`)),
    },
    fleet: { look: () => Promise.reject(new Error('the fleet was read')) },
    hosts: { open: () => new Promise<boolean>(() => {}) },
  } as unknown as RequestHandlerDependencies;
  const call = { params: { host: 'a' }, caller: { name: 'ann' } };
  const { undrain } = requestHandlers(deps);
  assert.deepEqual(await undrain(call as Parameters<typeof undrain>[0]), { ok: true });
  assert.deepEqual(done, ['open a']);
  assert.ok(waits.every((ms) => ms < 1000));
});
