import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import {
  askManager,
  managerOf,
  measureByManager,
  type ManagerAsked,
} from '../../../src/mover/look/managed.ts';
import { systemClock } from '../../../src/clock.ts';
import { managedHandle } from '../../../sim/fake/managed-handle.ts';
import { HONEST } from '../../../sim/fake/manager-options.ts';
import { FakeManager } from '../../../sim/fake/managed.ts';
import type { Driver } from '../../../src/drivers/registry.ts';
import type { CopiedDisk } from '../../../src/migration/managed/task-sight.ts';
import { migrationRequest, type Check } from '../../../src/protocol/public/migration.ts';
import type { ReceiverOffer } from '../../../src/protocol/peer/receiver.ts';
import { WIRE_VERSION } from '../../../src/protocol/wire.ts';
import { tempDir } from '../../rpc/test-contract.ts';

function managerWith(behaves = HONEST, copies: readonly CopiedDisk[] = []): FakeManager {
  const options = { clock: systemClock, random: () => 0.5, hosts: ['a', 'b'], behaves, copies };
  const manager = new FakeManager(options);
  manager.guests.set('web1', 'a');
  return manager;
}

async function ask(
  manager: FakeManager,
  to: string,
  changed: (driver: ReturnType<FakeManager['driver']>) => Driver = (driver) => driver,
): Promise<Check[]> {
  const handle = managedHandle('web1');
  const driver = managerOf([changed(manager.driver('a'))], { handle });
  assert.ok(driver !== undefined);
  const request = migrationRequest.parse({ guest: 'web1', to });
  const asked = { id: 'c-0000000000000000', request, handle, seen: {} };
  const { signal } = new AbortController();
  const none = (): never => assert.fail('no agent of another host is asked');
  const peers = { preflight: none, address: () => undefined, linkProbe: none };
  const parts = { here: 'a', withinMs: 5000, peers, lookAtPath: none };
  return (await askManager(driver, asked, parts, signal)).checks;
}

/** The check `path` of a move over the wire, where the agent of b answers that. */
async function pathOf(t: TestContext, manager: FakeManager, offer: ReceiverOffer): Promise<string> {
  const plain = manager.driver('a');
  const memorySockets = { place: '/run/manager', directory: tempDir(t) };
  const driver = Object.assign(plain, { memorySockets });
  const request = migrationRequest.parse({ guest: 'web1', to: 'b', path: 'wire' });
  const asked = { id: 'c-0000000000000000', request, handle: managedHandle('web1'), seen: {} };
  const { signal } = new AbortController();
  const answers = { preflight: () => ({ offerReceiver: async () => offer }) };
  const peers = { ...answers, address: () => undefined } as unknown as ManagerAsked['peers'];
  const parts = { here: 'a', withinMs: 5000, peers, lookAtPath: async () => ({}) };
  const { checks } = await askManager(driver, asked, parts, signal);
  return checks.find(({ name }) => name === 'path')?.evidence ?? '';
}

describe('a check of a managed guest', () => {
  test('a check of a managed guest asks the manager, and starts no task', async () => {
    const manager = managerWith();
    const found = await ask(manager, 'b');
    assert.ok(found.length > 0);
    assert.ok(found.every(({ verdict }) => verdict === 'pass'));
    const link = found.find(({ name }) => name === 'link');
    assert.deepEqual(
      [link?.notTried, link?.evidence],
      [true, 'not looked at: a knows no agent of Godwit at b'],
    );
    assert.equal(manager.tasks.length, 0);
  });

  test("a check of a managed guest has the manager's refusal", async () => {
    const found = await ask(managerWith(), 'nowhere');
    const codes = found.flatMap(({ error }) => error?.code ?? []);
    assert.deepEqual(codes, ['GODWIT_HOST_UNKNOWN']);
  });

  test('a check of a managed guest is refused if the manager does not answer, and reports that', async () => {
    const [found] = await ask(managerWith({ ...HONEST, lost: 1 }), 'b');
    assert.deepEqual([found?.verdict, found?.error?.code], ['refuse', 'GODWIT_UNREACHABLE']);
  });

  test('a check of a managed guest asks the other agent for a disk path if disks use the wire', async (t) => {
    const disk = { name: 'vda', file: '/i/x', format: 'raw', sizeBytes: 1, place: 'd' };
    const wire = { version: WIRE_VERSION, cores: 1, knowsGuest: false };
    const old = { wire, place: '/run/manager' };
    assert.match(await pathOf(t, managerWith(HONEST, [disk]), old), /memory alone/);
    assert.match(await pathOf(t, managerWith(), old), /^b opens a receiver/);
    const offer = { ...old, disks: true };
    assert.match(await pathOf(t, managerWith(HONEST, [disk]), offer), /^b opens a receiver/);
  });

  test('a check of a managed guest explains why the other host was not checked for block devices', async () => {
    const manager = managerWith();
    const open = (driver: ReturnType<FakeManager['driver']>) => {
      const plain = driver.openManaged.bind(driver);
      driver.openManaged = async (handle, signal) => {
        const session = await plain(handle, signal);
        const inspect = session.inspect.bind(session);
        const devices = [{ name: 'vda', file: '/dev/vg0/web1', isWritten: true }];
        session.inspect = async (inner) => ({ ...(await inspect(inner)), devices });
        return session;
      };
      return driver;
    };
    const found = await ask(manager, 'b', open);
    const disks = found.find(({ name }) => name === 'disks');
    assert.equal(disks?.verdict, 'warn');
    assert.match(
      disks.evidence,
      /\/dev\/vg0\/web1: nobody looked .*a knows no agent of Godwit at b$/,
    );
  });

  test('a check of an unmanaged guest is made by Godwit itself', () => {
    assert.equal(managerOf([], { handle: managedHandle('web1') }), undefined);
  });
});

test("a guest's write rate is reported by its manager, or the reason why it is unknown", async () => {
  const manager = managerWith();
  const request = migrationRequest.parse({ guest: 'web1', to: 'b' });
  const asked = { handle: managedHandle('web1'), request };
  const { signal } = new AbortController();
  const driver = manager.driver('a');
  const found = await measureByManager(driver, asked, 5000, signal);
  assert.deepEqual(found.measured?.how, 'hypervisor');
  const noMeasures = 'its manager has no figure of that';
  const without = { ...driver.capabilities, measures: false, noMeasures };
  const silent = Object.assign(manager.driver('a'), { capabilities: without });
  const { unmeasured, measured } = await measureByManager(silent, asked, 5000, signal);
  assert.equal(measured, undefined);
  assert.match(unmeasured ?? '', /its manager moves it, and its manager has no figure of that/);
  const lost = managerWith({ ...HONEST, lost: 1 });
  const unheard = await measureByManager(lost.driver('a'), asked, 5000, signal);
  assert.match(unheard.unmeasured ?? '', /the manager/);
});
