import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SegmentQuota } from '../../../src/network/segment/quota.ts';
import type { NicNetwork } from '../../../src/protocol/network.ts';

const MAX = 1024;

function nic(count: number): NicNetwork {
  const attachment = { kind: 'bridge', bridge: 'br0', mtu: 1500 } as const;
  const addresses = Array.from({ length: count }, (_each, index) => `10.0.0.${index + 1}`);
  return { id: 'net0', mac: '52:54:00:00:00:01', port: 'tap0', addresses, attachment };
}

const refused = (work: () => void): boolean => {
  try {
    work();
    return false;
  } catch (thrown) {
    assert.equal((thrown as { code?: string }).code, 'GODWIT_OVERLOADED');
    return true;
  }
};

test('a host can never ask for more addresses in any time than the limit plus one per second', () => {
  const step = fc.record({
    from: fc.constantFrom('a', 'c'),
    waitMs: fc.nat(60_000),
    nics: fc.array(fc.nat(12), { maxLength: 64 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let nowMs = 0;
      const quota = new SegmentQuota('b', () => nowMs);
      const taken: { from: string; atMs: number; count: number }[] = [];
      for (const { from, waitMs, nics } of steps) {
        nowMs += waitMs;
        // Of each NIC eight at most are asked for.
        const count = nics.reduce((sum, each) => sum + Math.min(each, 8), 0);
        const had = taken.filter((each) => each.from === from);
        if (!refused(() => quota.take(from, nics.map(nic)))) {
          taken.push({ from, atMs: nowMs, count });
          had.push({ from, atMs: nowMs, count });
        } else {
          // Whoever asked for nothing before is refused nothing that a guest may have.
          assert.ok(had.length > 0);
        }
        for (const [first, { atMs }] of had.entries()) {
          const sum = had.slice(first).reduce((total, each) => total + each.count, 0);
          assert.ok(sum <= MAX + (nowMs - atMs) / 1000, `${sum} in ${nowMs - atMs} ms`);
        }
      }
    }),
  );
});

test('a refusal uses nothing, costs other hosts nothing, and names the time to try again', () => {
  let nowMs = 0;
  const quota = new SegmentQuota('b', () => nowMs);
  const most = Array.from({ length: 64 }, () => nic(8));
  quota.take('a', most);
  quota.take('a', most);
  assert.throws(() => quota.take('a', [nic(8)]), {
    code: 'GODWIT_OVERLOADED',
    hint: /^Try again in 8 s\./,
  });
  quota.take('c', most);
  nowMs += 8000;
  quota.take('a', [nic(8)]);
});

test('a routed guest is in no segment, and the number of remembered hosts is bounded', () => {
  const quota = new SegmentQuota('b', () => 0);
  const routed = { ...nic(8), attachment: { kind: 'routed' } as never };
  quota.take('a', [routed, nic(0)]);
  assert.equal(quota.size, 0);
  for (let each = 0; each < 1100; each += 1) quota.take(`h${each}`, [nic(1)]);
  assert.equal(quota.size, 1024);
});
