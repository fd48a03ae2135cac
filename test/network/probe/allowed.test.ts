import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { wrongWatch } from '../../../src/network/probe/allowed.ts';
import { probing, watchOrder } from '../../../src/protocol/peer/probe.ts';

const MACS = ['52:54:00:00:00:01', '52:54:00:00:00:02', '52:54:00:00:00:03'] as const;
const ADDRESSES = ['10.0.0.1', '10.0.0.2', '10.9.0.5', 'fd00::5', 'fd00:0:0::5', '::ffff:10.9.0.5'];
const attachment = { kind: 'bridge', bridge: 'br0', mtu: 1500 } as const;

const nics = fc.uniqueArray(
  fc.record({
    mac: fc.constantFrom(...MACS),
    addresses: fc.uniqueArray(fc.constantFrom(...ADDRESSES), { maxLength: 3 }),
  }),
  { maxLength: 3, selector: ({ mac }) => mac },
);

test("only the guest's addresses on its NICs are probed, and no host's, whatever the two ends report", () => {
  const same = (left: string, right: string): boolean =>
    left === right || (left.startsWith('fd00') && right.startsWith('fd00'));
  fc.assert(
    fc.property(nics, nics, fc.subarray(ADDRESSES), (asked, admitted, configured) => {
      const order = watchOrder.safeParse({
        id: 'm-11111111',
        guest: 'web1',
        to: 'b',
        nics: asked.map((nic) => ({ ...nic, id: 'n', port: 'tap0', attachment })),
        probing: probing.parse({}),
        leaseMs: 10_000,
      });
      // The schema knows no mapped addresses: nobody can ask for one.
      if (!order.success) return;
      const reported = { guest: 'web1', from: 'a', nics: admitted };
      const own = { configured, hosts: ['10.0.0.1', 'a-name'] };
      const wrong = wrongWatch('a', order.data, reported, own);
      const isFine = asked.every(({ mac, addresses }) => {
        const known = admitted.find((nic) => nic.mac === mac);
        const may = [...(known?.addresses ?? []), ...configured];
        return (
          known !== undefined &&
          addresses.every(
            (each) => each !== '10.0.0.1' && may.some((allowed) => same(allowed, each)),
          )
        );
      });
      const mapped = [...configured, ...admitted.flatMap(({ addresses }) => addresses)].some(
        (each) => each.startsWith('::ffff'),
      );
      if (!mapped) assert.equal(wrong === undefined, isFine, String(wrong));
      assert.equal(wrongWatch('c', order.data, reported, own)?.code, 'GODWIT_PROTOCOL_INVALID');
      const other = { ...reported, guest: 'web2' };
      assert.equal(wrongWatch('a', order.data, other, own)?.code, 'GODWIT_PROTOCOL_INVALID');
    }),
  );
});
