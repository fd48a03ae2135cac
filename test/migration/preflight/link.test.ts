import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  judgeLink,
  judgeMigrationNetwork,
  judgeRoundTrip,
  MIN_RATE,
  type LinkFacts,
} from '../../../src/migration/preflight/link.ts';

const GIB = 1024 ** 3;

const facts = (given: Partial<LinkFacts> = {}): LinkFacts => ({
  source: { name: 'a' },
  destination: { name: 'b' },
  mayPostcopy: false,
  ...given,
});

const roundTrip = (given: Partial<LinkFacts>) => judgeRoundTrip(facts(given))[0];

test('a round trip causes a warning above 5 ms, a strong one above 150 ms, and none if unmeasured', () => {
  assert.deepEqual(judgeRoundTrip(facts()), []);
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 2000, noNaN: true }), (roundTripMs) => {
      const found = roundTrip({ roundTripMs });
      assert.equal(found?.verdict, roundTripMs > 5 ? 'warn' : 'pass');
      assert.equal(found?.evidence.endsWith(': more than 150 ms'), roundTripMs > 150);
      assert.equal(found?.hint?.startsWith('Use pre-copy alone') ?? false, roundTripMs > 150);
    }),
  );
});

test('the warning about a long route gives its cost in the requested mode', () => {
  const near = roundTrip({ roundTripMs: 6.4 });
  assert.match(near?.evidence ?? '', /a round trip to b takes 6\.4 ms at most$/);
  assert.match(near?.hint ?? '', /^The switch waits for b: the guest is paused for 6 ms longer\./);
  assert.doesNotMatch(near?.hint ?? '', /post-copy|heartbeats|TCP/);
  const far = roundTrip({ roundTripMs: 100, mayPostcopy: true });
  assert.match(far?.hint ?? '', /post-copy .* 100 ms: it goes on at 10 such pages a second/);
  assert.match(far?.hint ?? '', /storage .* 100 ms longer.*heartbeats/s);
});

test("the rate of one TCP stream over the route is reported if it is below the link's rate", () => {
  const hint = (given: Partial<LinkFacts>) => roundTrip(given)?.hint ?? '';
  const windowBytes = 4 * 1024 ** 2;
  assert.match(
    hint({ roundTripMs: 100, windowBytes }),
    /carries 40 MiB\/s at most: a lets it have 4 MiB under way\..*tcp_wmem there .*tcp_rmem on b/,
  );
  assert.doesNotMatch(hint({ roundTripMs: 100 }), /TCP/);
  assert.doesNotMatch(hint({ roundTripMs: 10, windowBytes }), /TCP/);
  const link = { rate: 1.25e9, how: 'measured' } as const;
  assert.match(hint({ roundTripMs: 10, windowBytes, link }), /TCP/);
});

test('a link below the rate of 1 Gbit/s causes a warning with its cost for the guest', () => {
  const rates = fc.integer({ min: 1, max: 12_500_000_000 });
  const hows = fc.constantFrom('measured', 'seen', 'configured');
  fc.assert(
    fc.property(rates, hows, (rate, how) => {
      const [found] = judgeLink(facts({ link: { rate, how }, memoryBytes: GIB }));
      assert.equal(found?.verdict, rate < MIN_RATE ? 'warn' : 'pass');
      assert.equal(found?.hint === undefined, rate >= MIN_RATE);
    }),
  );
  const link = { rate: 50_000_000, how: 'measured', at: '2026-01-02T03:04:05Z' } as const;
  const [slow] = judgeLink(facts({ link, memoryBytes: 8 * GIB }));
  assert.equal(
    slow?.evidence,
    'the link to b carries 47.7 MiB/s (400 Mbit/s), measured between the agents at 03:04 UTC: less than 1 Gbit/s',
  );
  assert.match(
    slow?.hint ?? '',
    /^One pass over the guest’s 8 GiB of memory takes up to 2 min 52 s\./,
  );
});

test('an Ethernet link of 1 Gbit/s causes no warning for its header overhead', () => {
  for (const rate of [MIN_RATE, 117_000_000])
    assert.equal(judgeLink(facts({ link: { rate, how: 'measured' } }))[0]?.verdict, 'pass');
});

test('a link is not called slow if the slow hosts that measured it may be the reason', () => {
  for (const how of ['measured', 'seen'] as const) {
    const link = { rate: 50_000_000, how, isLeast: true };
    const [found] = judgeLink(facts({ link }));
    assert.equal(found?.verdict, 'pass');
    assert.match(found?.evidence ?? '', /at the least: .* may have been slower than it$/);
  }
});

test('a device that reports a low rate counts more than hosts that may have been slow', () => {
  const routeOut = { device: 'eth0', hasGuests: false, isDefault: true, bytesPerS: 12_500_000 };
  const link = { rate: 11_000_000, how: 'seen', isLeast: true } as const;
  const [found] = judgeLink(facts({ link, routeOut }));
  assert.equal(found?.verdict, 'warn');
  assert.match(found?.evidence ?? '', /\(100 Mbit\/s\), as eth0 says of itself/);
});

test('an unknown link is reported as unknown, unless the device reports a low rate', () => {
  const judged = (bytesPerS?: number) => {
    const routeOut = { device: 'eth0', hasGuests: false, isDefault: true, bytesPerS };
    return judgeLink(facts({ routeOut }))[0];
  };
  assert.match(
    judgeLink(facts())[0]?.evidence ?? '',
    /^nobody has measured yet .*godwit migrate --dry-run/,
  );
  assert.equal(judged()?.verdict, 'pass');
  assert.equal(judged(125_000_000)?.verdict, 'pass');
  const slow = judged(12_500_000);
  assert.equal(slow?.verdict, 'warn');
  assert.match(slow?.evidence ?? '', /\(100 Mbit\/s\), as eth0 says of itself/);
});

test('a separate network for migrations is reported and never causes a warning', () => {
  const said = (hasGuests: boolean | undefined, isDefault: boolean) => {
    const routeOut = { device: 'eth1', hasGuests, isDefault };
    const [found] = judgeMigrationNetwork(facts({ routeOut }));
    assert.equal(found?.verdict, 'pass');
    return found?.evidence ?? '';
  };
  assert.match(said(false, false), /^memory goes to b over eth1, a network of its own/);
  for (const isDefault of [true, false])
    assert.match(said(true, isDefault), /over eth1, which networks of guests use as well$/);
  assert.match(said(false, true), /over eth1, which has the host’s default route; no network/);
  for (const isDefault of [true, false])
    assert.match(
      said(undefined, isDefault),
      /; what the host routes for guests may use it as well$/,
    );
  assert.deepEqual(judgeMigrationNetwork(facts()), []);
});
