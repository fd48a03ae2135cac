import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askManager, managerOf } from '../../../src/agent/preflight/managed.ts';
import { systemClock } from '../../../src/clock.ts';
import { managedHandle } from '../../../src/drivers/fake/managed-handle.ts';
import { HONEST } from '../../../src/drivers/fake/manager-options.ts';
import type { FakeManager } from '../../../src/drivers/fake/managed.ts';
import { fakeManager } from '../../../src/drivers/registry.ts';
import { migrationRequest } from '../../../src/protocol/public/migration.ts';
import type { Check } from '../../../src/protocol/public/migration.ts';

async function managerWith(behaves = HONEST): Promise<FakeManager> {
  const options = { clock: systemClock, random: () => 0.5, hosts: ['a', 'b'], behaves };
  const manager = await fakeManager(options);
  manager.guests.set('web1', 'a');
  return manager;
}

function ask(manager: FakeManager, to: string): Promise<Check[]> {
  const handle = managedHandle('web1');
  const driver = managerOf([manager.driver('a')], { handle });
  assert.ok(driver !== undefined);
  const request = migrationRequest.parse({ guest: 'web1', to });
  const asked = { id: 'c-0000000000000000', request, handle };
  const { signal } = new AbortController();
  const peers = {
    preflight: (): never => assert.fail('no agent of another host is asked'),
  };
  return askManager(driver, asked, { here: 'a', withinMs: 5000, peers }, signal);
}

describe('a check of a guest that a manager moves', () => {
  test('asks the manager, and starts no task', async () => {
    const manager = await managerWith();
    const found = await ask(manager, 'b');
    assert.ok(found.length > 0);
    assert.ok(found.every(({ verdict }) => verdict === 'pass'));
    assert.equal(manager.tasks.length, 0);
  });

  test('has the manager’s refusal', async () => {
    const found = await ask(await managerWith(), 'nowhere');
    const codes = found.flatMap(({ error }) => error?.code ?? []);
    assert.deepEqual(codes, ['GODWIT_HOST_UNKNOWN']);
  });

  test('is refused where the manager does not answer, and says so', async () => {
    const [found] = await ask(await managerWith({ ...HONEST, lost: 1 }), 'b');
    assert.deepEqual([found?.verdict, found?.error?.code], ['refuse', 'GODWIT_UNREACHABLE']);
  });

  test('is made by Godwit itself where no manager has the guest', () => {
    assert.equal(managerOf([], { handle: managedHandle('web1') }), undefined);
  });
});
