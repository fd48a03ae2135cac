import assert from 'node:assert/strict';
import { BlockList, isIP } from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { covers, networkPrefix, parsePrefix, type Prefix } from '../../src/protocol/prefix.ts';

const read = (text: string): Prefix => {
  const found = parsePrefix(text);
  assert.ok(found !== undefined, text);
  return found;
};

/** Addresses near each other, so that prefixes cover some of them. */
const v4 = fc
  .tuple(fc.constantFrom(10, 172, 192), fc.constantFrom(0, 1, 168), fc.nat(3), fc.nat(255))
  .map((bytes) => bytes.join('.'));
const group = fc.constantFrom(0, 1, 0xfd00, 0xffff).map((each) => each.toString(16));
const v6 = fc.oneof(
  fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(':')),
  fc
    .tuple(fc.array(group, { maxLength: 3 }), fc.array(group, { maxLength: 3 }))
    .map(([head, tail]) => `${head.join(':')}::${tail.join(':')}`),
);
const v4Prefix = fc.tuple(v4, fc.integer({ min: 0, max: 32 }));
const v6Prefix = fc.tuple(v6, fc.integer({ min: 0, max: 128 }));

/** Text that is nearly an address. */
const dense = fc
  .array(fc.constantFrom('0', '1', '00', '256', 'f', 'fffff', ':', '::', '.', '%'), {
    maxLength: 12,
  })
  .map((parts) => parts.join(''));

/** What the runtime's own list of networks says: it shares no code with ours. */
function witness(network: string, length: number, address: string): boolean {
  const family = (text: string) => (isIP(text) === 4 ? 'ipv4' : 'ipv6');
  const list = new BlockList();
  list.addSubnet(network, length, family(network));
  return list.check(address, family(address));
}

describe('a prefix', () => {
  test('a prefix covers the addresses that the runtime finds in it, and no others', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.tuple(v4Prefix, v4), fc.tuple(v6Prefix, v6)),
        ([[network, length], address]) => {
          const found = covers(read(`${network}/${length}`), read(address));
          assert.equal(found, witness(network, length, address), `${network}/${length} ${address}`);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('a prefix covers a network if and only if it covers its first and last address', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.tuple(v4Prefix, v4Prefix), fc.tuple(v6Prefix, v6Prefix)),
        ([[outer, length], [inner, innerLength]]) => {
          const wide = read(`${outer}/${length}`);
          const other = read(`${inner}/${innerLength}`);
          const rest = BigInt(other.width - other.length);
          const first = (other.bits >> rest) << rest;
          const last = first | ((1n << rest) - 1n);
          const has = (bits: bigint): boolean =>
            covers(wide, { width: other.width, bits, length: other.width });
          assert.equal(covers(wide, other), has(first) && has(last));
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('a prefix of one family covers no address of the other', () => {
    assert.ok(!covers(read('0.0.0.0/0'), read('::1')));
    assert.ok(!covers(read('::/0'), read('10.0.0.1')));
  });

  test('a prefix is read exactly if the runtime reads an address', () => {
    fc.assert(
      fc.property(fc.oneof(v4, v6, fc.string({ maxLength: 40 }), dense), (text) => {
        // What the runtime takes besides: zones, and IPv4 inside IPv6.
        const expected = isIP(text) !== 0 && !/%|:.*\./.test(text);
        assert.equal(!text.includes('/') && parsePrefix(text) !== undefined, expected, text);
      }),
      { numRuns: 5000 },
    );
  });

  test('a prefix has a length that its family allows', () => {
    for (const text of [
      '10.0.0.0/33',
      '::/129',
      '10.0.0.0/',
      '10.0.0.0/-1',
      '10.0.0.0/8/8',
      '::/08',
    ]) {
      assert.equal(parsePrefix(text), undefined, text);
    }
  });
});

test('a configured network has a length, and no host bits', () => {
  for (const text of ['10.88.0.0/24', '0.0.0.0/0', 'fd00:88::/64', '169.254.1.1/32']) {
    assert.ok(networkPrefix.safeParse(text).success, text);
  }
  for (const text of ['10.88.0.1/24', '10.88.0.0', 'fd00::1/64', 'db.example/32', '']) {
    assert.ok(!networkPrefix.safeParse(text).success, text);
  }
});
