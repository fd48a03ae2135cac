import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { hasCode } from '../../../../src/errors.ts';
import { QemuDiskWatch } from '../../../../src/drivers/qemu/mirror/watch.ts';
import { tempDir } from '../../../rpc/test-contract.ts';
import { fakeMonitor, Refusal } from '../fake-monitor.ts';

const soon = (): AbortSignal => AbortSignal.timeout(20_000);

interface Export {
  readonly id: string;
  readonly node: string;
}

/** A QEMU with exports and dirty bitmaps, as far as a watch of disks uses them. */
function qemu(bitmaps: Readonly<Record<string, readonly string[]>> = {}) {
  const exported: Export[] = [];
  const held = new Map(Object.entries(bitmaps).map(([node, names]) => [node, new Set(names)]));
  const state = { serves: false, lingers: 0 };
  const { client, said } = fakeMonitor((command, args) => {
    const node = String(args['node-name'] ?? args['node']);
    switch (command) {
      case 'nbd-server-start':
        if (state.serves) return new Refusal('NBD server already running');
        state.serves = true;
        return undefined;
      case 'nbd-server-stop':
        state.serves = false;
        return undefined;
      case 'block-export-add':
        exported.push({ id: String(args['id']), node });
        return undefined;
      case 'block-export-del':
        state.lingers = 2;
        return undefined;
      case 'query-block-exports': {
        // It goes a moment after the order.
        if (state.lingers > 0 && --state.lingers === 0) exported.length = 0;
        return exported.map(({ id }) => ({ id, 'shutting-down': state.lingers > 0 }));
      }
      case 'query-named-block-nodes':
        return [...held].map(([name, names]) => ({
          'node-name': name,
          'dirty-bitmaps': [...names].map((each) => ({ name: each })),
        }));
      case 'block-dirty-bitmap-remove':
        held.get(node)?.delete(String(args['name']));
        return undefined;
      default:
        return undefined;
    }
  });
  const watch = new QemuDiskWatch('web1', async () => client);
  return { watch, said, exported, held, state };
}

const count = (said: readonly string[], command: string): number =>
  said.filter((each) => each === command).length;

describe('disks of an arrived guest', () => {
  test('disks are not watched if the hypervisor cannot be reached, and the guest does not wait', async () => {
    const refusing = fakeMonitor(() => new Refusal('no such node'));
    await new QemuDiskWatch('web1', async () => refusing.client).begin(['vda', 'vdb'], soon());
    assert.deepEqual(refusing.said, ['block-dirty-bitmap-add', 'block-dirty-bitmap-add']);
    await new QemuDiskWatch('web1', async () => undefined).begin(['vda'], soon());
    const hangs = async () => Promise.reject(new Error('its monitor hangs'));
    await new QemuDiskWatch('web1', hangs).begin(['vda'], soon());
  });

  test('disks are offered for reading, each once, even by the next mover', async (t: TestContext) => {
    const { watch, exported } = qemu();
    const socket = path.join(tempDir(t), 'compare.sock');
    await watch.view(['vda', 'vdb'], socket, soon());
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    t.after(() => server.close());
    await watch.view(['vda', 'vdb'], socket, soon());
    assert.deepEqual(
      exported.map(({ node }) => node),
      ['vda', 'vdb'],
    );
    assert.equal(new Set(exported.map(({ id }) => id)).size, 2);
  });

  test("disks are not offered over another program's server", async (t) => {
    const { watch, state, exported } = qemu();
    state.serves = true;
    const socket = path.join(tempDir(t), 'compare.sock');
    await assert.rejects(watch.view(['vda'], socket, soon()), /already running/);
    assert.deepEqual(exported, []);
  });

  test('disks are counted again by an export that replaces the previous one', async () => {
    const { watch, said, exported } = qemu();
    const first = await watch.account('vda', soon());
    assert.equal(count(said, 'block-export-del'), 0);
    const second = await watch.account('vda', soon());
    assert.deepEqual(first, second);
    assert.equal(exported.length, 1);
    assert.equal(count(said, 'block-export-del'), 1, 'one that is closing is closed again');
    assert.equal(count(said, 'transaction'), 2);
  });

  test('disks cannot be read once the hypervisor has ended, and nothing is left to end', async (t) => {
    const watch = new QemuDiskWatch('web1', async () => undefined);
    const lost = (error: unknown): boolean => hasCode(error, 'GODWIT_HYPERVISOR_LOST');
    await assert.rejects(watch.view(['vda'], path.join(tempDir(t), 's'), soon()), lost);
    await assert.rejects(watch.account('vda', soon()), lost);
    await watch.end(soon());
  });

  test('the end of a comparison removes its exports and bitmaps, and keeps foreign ones', async (t) => {
    const own = ['godwit-written', 'godwit-until-now'];
    const { watch, held, exported, state, said } = qemu({ vda: [...own, 'backup'], vdb: ['x'] });
    await watch.view(['vda'], path.join(tempDir(t), 'compare.sock'), soon());
    await watch.end(soon());
    assert.deepEqual(exported, []);
    assert.equal(state.serves, false);
    assert.deepEqual([...(held.get('vda') ?? [])], ['backup']);
    assert.deepEqual([...(held.get('vdb') ?? [])], ['x']);
    await watch.end(soon());
    assert.equal(count(said, 'nbd-server-stop'), 1, 'the server of somebody else is stopped');
  });
});
