import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { freePageHints } from '../../../src/drivers/qemu/free-pages.ts';
import type { QmpClient } from '../../../src/drivers/qemu/qmp/client.ts';

const signal = AbortSignal.timeout(20_000);
const HINT = 'VIRTIO_BALLOON_F_FREE_PAGE_HINT: VQ reporting free pages enabled';
const STATS = 'VIRTIO_BALLOON_F_STATS_VQ: Guest memory stats VQ available';

/** `status`: QEMU's answer to `x-query-virtio-status`. `none`: it has no such property or command. */
function machine({
  balloon = true,
  property = true as boolean | 'none',
  status = {} as object | 'none',
}) {
  const asked: string[] = [];
  const answers = ({ path }: { path: string }, command: string): unknown => {
    if (command === 'qom-list') {
      const listed = path.endsWith('anon') || !balloon ? [] : ['virtio-balloon-pci'];
      return listed.map((type) => ({ name: 'balloon0', type: `child<${type}>` }));
    }
    const value = command === 'qom-get' ? property : status;
    return value === 'none' ? undefined : value;
  };
  const client = {
    request: async (command: string, args: { path: string }) => {
      asked.push(`${command} ${args.path}`);
      const value = answers(args, command);
      return value === undefined ? { ok: false, reason: 'none' } : { ok: true, value };
    },
  };
  return { asked, hints: () => freePageHints(client as unknown as QmpClient, signal) };
}

const agreed = (...features: string[]) => ({ 'guest-features': { 'dev-features': features } });

describe('hints of free pages', () => {
  test("hints are given if the device requests them and the guest's driver has agreed", async () => {
    const { hints, asked } = machine({ status: agreed(STATS, HINT) });
    assert.equal(await hints(), 'given');
    assert.equal(asked.at(-1), 'x-query-virtio-status /machine/peripheral/balloon0/virtio-backend');
    assert.equal(await machine({ status: agreed(STATS) }).hints(), 'not-given');
  });

  test('hints are unknown if QEMU does not report what the driver agreed to', async () => {
    assert.equal(await machine({ status: 'none' }).hints(), 'unknown');
    assert.equal(await machine({ status: { 'guest-features': 7 } }).hints(), 'unknown');
  });

  test('hints are absent without a balloon, or if it does not request them', async () => {
    assert.equal(await machine({ balloon: false }).hints(), undefined);
    assert.equal(await machine({ property: false }).hints(), undefined);
    assert.equal(await machine({ property: 'none' }).hints(), undefined);
  });
});
