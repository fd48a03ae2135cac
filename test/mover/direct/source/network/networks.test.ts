import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { SourceNic } from '../../../../../src/network/attachment.ts';
import { hasCode } from '../../../../../src/errors.ts';
import { initialSource } from '../../../../../src/migration/direct/source/source-state.ts';
import { networksOf, routesTo } from '../../../../../src/mover/direct/source/network/networks.ts';
import type { LookDependencies } from '../../../../../src/mover/direct/source/source-base.ts';
import { MAX_NICS, type NicNetwork } from '../../../../../src/protocol/network.ts';
import { planned } from '../../../../migration/direct/samples.ts';

const signal = AbortSignal.timeout(20_000);

const nic = (number: number, port: string): SourceNic => ({
  id: `net${number}`,
  mac: `52:54:00:00:00:${number.toString(16).padStart(2, '0')}`,
  port,
});
const inBridge = (bridge: string, number = 0): NicNetwork => ({
  ...nic(number, `tap${number}`),
  addresses: [],
  attachment: { kind: 'bridge', bridge, mtu: 1500 },
});

/** A guest that is found in these networks, and is to be mapped by `map`. */
function partsOf(networks: NicNetwork[], map?: Record<string, string>, nics?: SourceNic[]) {
  const context: unknown = {
    config: { name: 'a' },
    request: { request: { guest: 'web1' } },
    state: () => initialSource(planned(map === undefined ? {} : { networks: map })).state,
    connections: { learn: async () => networks },
    guest: { inspect: async () => (nics === undefined ? {} : { nics }) },
  };
  return context as LookDependencies;
}

describe('networks of a guest', () => {
  test('the networks of a guest are unknown if its driver supports no NICs', async () => {
    assert.equal(await networksOf(partsOf([]), undefined, signal), undefined);
    assert.deepEqual(await routesTo(partsOf([]), signal), []);
  });

  test("a mapped network must be one of the guest's; another is refused with the list", async () => {
    const name = fc.constantFrom<string[]>('br0', 'br1', 'br-lan', 'vlan7');
    const mapped = fc.dictionary(name, fc.constant('br0'));
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(name), mapped, async (bridges, map) => {
        const networks = bridges.map((bridge, at) => inBridge(bridge, at));
        const found = networksOf(partsOf(networks, map), [], signal);
        const unknown = Object.keys(map).find((one) => !bridges.includes(one));
        if (unknown === undefined) {
          assert.equal(await found, networks);
          return;
        }
        await assert.rejects(found, (thrown) => {
          assert.ok(hasCode(thrown, 'GODWIT_USAGE') && thrown.message.includes(unknown));
          for (const bridge of bridges) assert.ok(thrown.hint?.includes(bridge));
          return true;
        });
      }),
    );
  });

  test('the networks are looked up for no more NICs than may be sent to a peer', async () => {
    const many = Array.from({ length: MAX_NICS + 1 }, (_, at) => nic(at, `tap${at}`));
    const found = networksOf(partsOf([]), many, signal);
    await assert.rejects(found, (thrown) => hasCode(thrown, 'GODWIT_TOO_MANY'));
  });

  test('the networks are refused by the name of a NIC whose port is in none', async () => {
    const found = networksOf(partsOf([]), [nic(1, 'godwit-none')], signal);
    await assert.rejects(found, (thrown) => {
      assert.ok(hasCode(thrown, 'GODWIT_DEVICE_UNMAPPED'));
      assert.match(thrown.message, /net1.*godwit-none/);
      return true;
    });
  });
});
