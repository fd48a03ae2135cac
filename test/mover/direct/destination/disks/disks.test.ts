import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { before, test, type TestContext } from 'node:test';
import type { DestinationSession } from '../../../../../src/port/direct.ts';
import { hasCode } from '../../../../../src/errors.ts';
import { silentLog } from '../../../../../src/log.ts';
import type { DestinationState } from '../../../../../src/migration/direct/destination/destination.ts';
import { DestinationDisks } from '../../../../../src/mover/direct/destination/disks/disks.ts';
import type { DestinationContext } from '../../../../../src/mover/direct/destination/destination-context.ts';
import { splitAddress } from '../../../../../src/protocol/names.ts';
import { tempDir } from '../../../../rpc/test-contract.ts';
import { untilSo } from '../../../../until.ts';
import { hostsFor, layHost, type Hosts } from '../../lay-host.ts';

const never = new AbortController().signal;
const GRACE_MS = 60_000;

let certificates: Hosts;
before(async (t) => {
  certificates = await hostsFor(t as TestContext);
});

/** A destination to which the disks of these nodes are to be copied. */
function stage(t: TestContext, nodes: readonly string[] = ['vda', 'vdb']) {
  const config = layHost(tempDir(t), 'b', certificates.b);
  const asked: string[] = [];
  const warned: string[] = [];
  const hypervisor: unknown = {
    disks: {
      serve: async (each: readonly string[], socket: string) =>
        void asked.push(`serve ${each.join(' ')} at ${path.relative(config.stateDir, socket)}`),
      end: async () => void asked.push('end'),
      watch: {
        begin: async (each: readonly string[]) => void asked.push(`watch ${each.join(' ')}`),
      },
    },
  };
  const admission = { id: 'm-00000001', guest: 'web1', from: 'a', epoch: 5 };
  const copies = nodes.map((node) => ({ node }));
  const state: unknown = { admission, preparation: { copies } };
  const log = { ...silentLog, warn: (_about: object, what: string) => void warned.push(what) };
  const context: unknown = { config, log };
  const disks = new DestinationDisks(context as DestinationContext);
  t.after(() => disks.abort('the test is over'));
  return {
    disks,
    hypervisor: hypervisor as DestinationSession,
    state: state as DestinationState,
    socket: path.join(config.stateDir, 'guests', 'web1', 'disks.sock'),
    asked,
    warned,
  };
}

/** Whether somebody listens there. */
function isOpen(address: string): Promise<boolean> {
  const { host, port } = splitAddress(address);
  return new Promise((resolve) => {
    const socket = net.connect(port, host);
    const end = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', end(true)).once('error', end(false));
  });
}

test('the hypervisor exports exactly the copied disks, and a session waits for the source', async (t) => {
  const { disks, hypervisor, state, asked } = stage(t);
  const { address, session } = await disks.offer(hypervisor, state, GRACE_MS, never);
  assert.deepEqual(asked, ['serve vda vdb at guests/web1/disks.sock']);
  assert.match(session, /^[0-9a-f]{32}$/);
  assert.ok(await isOpen(address));
});

test('a new export is a new session, and the earlier one is closed without a warning', async (t) => {
  const { disks, hypervisor, state, warned } = stage(t);
  const first = await disks.offer(hypervisor, state, GRACE_MS, never);
  const second = await disks.offer(hypervisor, state, GRACE_MS, never);
  assert.notEqual(first.session, second.session);
  // The new one may have its port.
  await untilSo(async () => first.address === second.address || !(await isOpen(first.address)));
  assert.ok(await isOpen(second.address));
  assert.deepEqual(warned, []);
});

test('unannounced disks are not exported', async (t) => {
  const none = stage(t, []);
  const { hypervisor, state } = stage(t);
  const refused = (error: unknown): boolean => hasCode(error, 'GODWIT_PROTOCOL_INVALID');
  await assert.rejects(none.disks.offer(none.hypervisor, none.state, GRACE_MS, never), refused);
  const bare = {} as DestinationSession;
  await assert.rejects(none.disks.offer(bare, state, GRACE_MS, never), refused);
  const unprepared = { admission: state.admission } as DestinationState;
  await assert.rejects(none.disks.offer(hypervisor, unprepared, GRACE_MS, never), refused);
  assert.deepEqual(none.asked, []);
});

test('no socket listens for a source if the hypervisor does not export its disks', async (t) => {
  const { disks, hypervisor, state } = stage(t);
  const { address } = await disks.offer(hypervisor, state, GRACE_MS, never);
  t.mock.method(hypervisor.disks ?? {}, 'serve' as never, async () => {
    throw new Error('its monitor hangs');
  });
  await assert.rejects(disks.offer(hypervisor, state, GRACE_MS, never), /its monitor hangs/);
  await untilSo(async () => !(await isOpen(address)));
});

test('the end of the copies withdraws the export, and writes are tracked only if requested', async (t) => {
  const { disks, hypervisor, state, socket, asked } = stage(t);
  for (const watched of [false, true]) {
    const { address } = await disks.offer(hypervisor, state, GRACE_MS, never);
    mkdirSync(path.dirname(socket), { recursive: true });
    writeFileSync(socket, '');
    asked.length = 0;
    await disks.end(hypervisor, state, never, watched);
    assert.deepEqual(asked, watched ? ['end', 'watch vda vdb'] : ['end']);
    assert.ok(!existsSync(socket));
    await untilSo(async () => !(await isOpen(address)));
  }
});

test('the end may be requested twice, even if no disk was exported or copied', async (t) => {
  const { disks, hypervisor, state, asked } = stage(t, []);
  await disks.end(hypervisor, state, never, true);
  await disks.end(hypervisor, state, never, true);
  assert.deepEqual(asked, ['end', 'end']);
});
