import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { linkChecks, type LinkAsked } from '../../../src/mover/look/managed.ts';
import type { PathLook } from '../../../src/host/machine/path-look.ts';

const GIB = 1024 ** 3;
const routeOut = { device: 'eth1', hasGuests: false, isDefault: false } as const;

function asked(change: Partial<LinkAsked> = {}, seen: PathLook = {}): LinkAsked {
  return {
    here: 'a',
    order: { from: 'a', to: 'b', mode: 'precopy' },
    memoryBytes: GIB,
    link: undefined,
    peers: {
      address: (name) => (name === 'b' ? '192.0.2.2:7878' : undefined),
      linkProbe: () => assert.fail('the path is looked at by who looks'),
    },
    lookAtPath: async () => seen,
    ...change,
  };
}

async function said(of: LinkAsked): Promise<string[]> {
  const checks = await linkChecks(of, AbortSignal.timeout(5000));
  return checks.map(({ name, verdict, evidence, notTried = false }) =>
    [name, notTried ? 'not tried' : verdict, evidence].join(': '),
  );
}

describe("a manager's link", () => {
  test("a manager's link is checked like any guest's, by the agents' measurements", async () => {
    const link = { rate: 11e6, how: 'seen' } as const;
    const found = await said(asked({ link }, { roundTripMs: 20, routeOut }));
    assert.deepEqual(
      found.map((each) => each.split(': ').slice(0, 2).join(' ')),
      ['round-trip warn', 'link warn', 'migration-network pass'],
    );
    assert.match(found[0] ?? '', /a round trip to b takes 20 ms/);
    assert.match(found[1] ?? '', /the link to b carries .*less than 1 Gbit/);
    assert.match(found[2] ?? '', /memory goes to b over eth1, a network of its own/);
    for (const each of found) assert.match(each, /its manager may take another path\)$/);
  });

  test("a manager's link is the agents' link if memory uses the wire between them", async () => {
    const order = { from: 'a', to: 'b', mode: 'precopy', wire: true } as const;
    const [trip] = await said(asked({ order }, { roundTripMs: 20, routeOut }));
    assert.equal(trip, 'round-trip: warn: a round trip to b takes 20 ms at most');
  });

  test("a manager's link is not checked without an agent at its other end, or this agent at one end", async () => {
    const lookAtPath = (): never => assert.fail('nobody is there to look at');
    const to = { from: 'a', to: 'c', mode: 'precopy' } as const;
    const from = { from: 'x', to: 'b', mode: 'precopy' } as const;
    for (const [order, why] of [
      [to, 'a knows no agent of Godwit at c'],
      [from, 'the guest is at x, and this agent at a'],
    ] as const)
      assert.deepEqual(await said(asked({ order, lookAtPath })), [
        `round-trip: not tried: not looked at: ${why}`,
        `link: not tried: not looked at: ${why}`,
        `migration-network: not tried: not looked at: ${why}`,
      ]);
  });

  test("a manager's link without a known route or round trip is reported as unmeasured", async () => {
    const [trip, link, network] = await said(asked());
    assert.match(trip ?? '', /^round-trip: not tried: not looked at: the path does not show it/);
    assert.match(link ?? '', /^link: pass: nobody has measured yet what the link to b carries/);
    assert.match(network ?? '', /^migration-network: not tried/);
  });
});
