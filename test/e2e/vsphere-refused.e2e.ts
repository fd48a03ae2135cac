import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Vcsim } from '../drivers/vsphere/support/vcsim.ts';
import { AgentHost } from './support/agent-host.ts';
import type { CommandResult } from './support/cli.ts';

const THERE = 'dc0-c0-h1';
/** Nothing of a guest is changed by a read. */
const CHANGES = ['RelocateVM_Task', 'SetField', 'ReconfigVM_Task', 'EnterMaintenanceMode_Task'];

let vcenter: Vcsim;
let host: AgentHost;
let guest = '';
let count = 0;

const ask = (key: string, value: string): Promise<unknown> =>
  vcenter.ask({ do: 'guest', name: guest, key, value });
const move = (...more: readonly string[]): Promise<CommandResult> =>
  host.godwit('migrate', guest, '--to', THERE, ...more);

/** What a person who asks for something impossible is told; the vCenter is asked to change nothing. */
describe('a move that a vCenter refuses', () => {
  before(async () => {
    vcenter = await Vcsim.open({ guests: 8 });
    host = await AgentHost.start('steers', { qemu: { programs: [] }, vsphere: vcenter.section });
  });
  after(async () => {
    await host?.close();
    await vcenter?.close();
  });
  beforeEach(async () => {
    guest = `DC0_C0_RP0_VM${count}`;
    count += 1;
    await vcenter.ask({ do: 'move', name: guest, value: 'DC0_C0_H0' });
    await vcenter.calls();
  });

  async function isUntouched(): Promise<void> {
    const found = (await vcenter.guests())[guest];
    assert.deepEqual([found?.host, found?.tasks, found?.moving], ['DC0_C0_H0', 0, false]);
  }

  async function isUnasked(): Promise<void> {
    const calls = await vcenter.calls();
    assert.deepEqual(
      calls.filter((each) => CHANGES.includes(each)),
      [],
    );
    await isUntouched();
  }

  const states = [
    ['is off', 'runtime.powerState', 'poweredOff', 'poweredOn', /stopped/],
    ['cannot be reached', 'runtime.connectionState', 'inaccessible', 'connected', /unknown/],
  ] as const;
  for (const [what, key, value, before_, words] of states) {
    test(`a move of a guest that ${what} is refused with its state`, async () => {
      await ask(key, value);
      const refused = await move();
      await ask(key, before_);
      assert.equal(refused.exit, 4, refused.err + refused.out);
      assert.match(refused.err, words);
      assert.match(refused.err, /only a running guest can be moved\nhint: /);
      await isUnasked();
    });
  }

  test('a move to an unknown host is refused with the nearest name', async () => {
    const refused = await host.godwit('migrate', guest, '--to', 'dc0-c0-h11');
    assert.equal(refused.exit, 3, refused.err + refused.out);
    assert.match(refused.err, /Did you mean dc0-c0-h1\?/);
    await isUnasked();
  });

  test('a move to an unknown datastore is refused with the nearest name', async () => {
    const refused = await move('--datastore', 'LocalDS_11');
    assert.equal(refused.exit, 4, refused.err + refused.out);
    assert.match(refused.err, /Did you mean LocalDS_1\?/);
    await isUnasked();
  });

  test('a move whose check lacks a permission is refused with the permission and its purpose', async () => {
    const fields = { privilegeId: 'Resource.QueryVMotion' };
    await vcenter.ask({ do: 'check', faults: [{ type: 'NoPermission', fields, text: 'denied' }] });
    const refused = await move();
    await vcenter.ask({ do: 'check', faults: [] });
    assert.equal(refused.exit, 9, refused.err + refused.out);
    assert.match(refused.err, /Resource\.QueryVMotion \(to have vSphere judge a move\)/);
    await isUnasked();
  });

  test('a move whose order lacks a permission is refused in the same words, and its mark is removed', async () => {
    await vcenter.ask({ do: 'lack', name: 'Resource.HotMigrate' });
    const refused = await move();
    await vcenter.ask({ do: 'lack', name: '' });
    assert.notEqual(refused.exit, 0, refused.out);
    assert.match(refused.err, /Resource\.HotMigrate \(to move a guest that runs\)/);
    await isUntouched();
    const moved = await move();
    assert.equal(moved.exit, 0, moved.err + moved.out);
  });

  test('a move by a vCenter of an unknown version is refused with the known versions', async () => {
    await vcenter.ask({ do: 'version', value: '9.7' });
    await vcenter.ask({ do: 'expire' });
    await vcenter.calls();
    const refused = await move();
    await vcenter.ask({ do: 'version', value: '6.5.0' });
    assert.notEqual(refused.exit, 0, refused.out);
    assert.match(refused.err, /version 9\.7, not one of 6\.5/);
    await isUnasked();
  });
});
