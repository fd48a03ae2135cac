import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AgentConfig } from '../../../src/config.ts';
import { godwitError } from '../../../src/errors.ts';
import { refusal } from '../../../src/migration/preflight/check.ts';
import { deviceProver } from '../../../src/mover/managed/device-prover.ts';
import { LIFECYCLE } from '../../../src/mover/managed/lifecycle.ts';
import type { ManagedContext } from '../../../src/mover/managed/context.ts';
import { ORDER } from '../../drivers/libvirt/support/order.ts';
import { migrationRequest } from '../../../src/protocol/public/migration.ts';
import type { ManagedMoverRequest } from '../../../src/protocol/mover/request.ts';

const signal = AbortSignal.timeout(10_000);
const devices = [{ name: 'vda', file: '/dev/vg0/web1', isWritten: true }];
const order = ORDER;

describe('block devices of a guest', () => {
  test('block devices are not checked without an agent at the destination, or away from the source', async () => {
    const connect = (): never => assert.fail('nobody is asked');
    for (const [host, why] of [
      ['a', /a knows no agent of Godwit at b$/],
      ['c', /the guest is at a, and this mover at c$/],
    ] as const) {
      const config = { name: host } as AgentConfig;
      const asked = { request: migrationRequest.parse({ guest: 'web1', to: 'b' }) };
      const request = asked as ManagedMoverRequest;
      const prove = deviceProver({ config, request, connect });
      const [found] = await prove({ devices, memoryBytes: 4096 }, order, signal);
      assert.equal(found?.verdict, 'warn');
      assert.match(found.evidence, why);
    }
  });

  test('differing block devices at the destination end a migration before any order', async () => {
    const facts = { device: 'vda', guest: 'web1', file: '/dev/vg0/web1', reason: 'another' };
    const session = { inspect: async () => ({ memoryBytes: 4096, checks: [], devices }) };
    const context = {
      order,
      state: () => assert.fail('nothing is known yet'),
      ask: (question: (of: typeof session, inner: AbortSignal) => unknown) =>
        question(session, signal),
      proveDevices: async (found: { readonly devices?: unknown }) => {
        assert.deepEqual(found.devices, devices);
        return [refusal('disks', godwitError('GODWIT_DISK_LOCAL', facts), 'both')];
      },
    } as unknown as ManagedContext;
    await assert.rejects(LIFECYCLE.inspect.do(context, signal), /another/);
  });
});
