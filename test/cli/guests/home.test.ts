import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askAtHome } from '../../../src/cli/guests/home.ts';
import type { AgentSet, Endpoint } from '../../../src/cli/connection/agent-set.ts';
import { godwitError } from '../../../src/errors.ts';
import type { GuestInfo } from '../../../src/protocol/public/hosts/host.ts';
import type { SilentHost } from '../../../src/protocol/public/resolve.ts';
import { endpoint, godwit, guest, host, report } from '../fake.ts';
import { world } from '../migrating.ts';

const off: SilentHost[] = [{ host: 'a', why: 'a at x does not answer: off' }];

/** An agent that has these guests, and reports those of its peers. */
function agent(
  label: string,
  own: GuestInfo[],
  peers: GuestInfo[] = [],
  missing: SilentHost[] = [],
): Endpoint {
  return endpoint(label, {
    hosts: async () => ({ hosts: ['a', 'b', 'c'].map((name) => host(name)) }),
    guest: async ({ params }) => {
      const found = own.find(({ name }) => name === params.guest);
      if (found !== undefined) return found;
      throw godwitError('GODWIT_GUEST_UNKNOWN', { guest: params.guest, host: label });
    },
    guests: async (input) => {
      const isAll = input?.query?.scope === 'all';
      return { guests: isAll ? [...own, ...peers] : own, ...(isAll ? { missing } : {}) };
    },
  });
}

/** The set of agents of somebody at `first`, who may reach the others; and who was asked to act. */
function at(first: Endpoint, ...others: Endpoint[]) {
  const acted: string[] = [];
  const set: AgentSet = {
    endpoints: [first, ...others],
    reach: (label) => endpoint(label, {}),
    close: () => {},
  };
  const ask = async ({ label, api }: Endpoint): Promise<string> => {
    // Only the agent that has it takes it.
    if (label === first.label && others.length === 0) await api.guest({ params: { guest: 'web' } });
    acted.push(label);
    return label;
  };
  return { acted, run: (to?: string) => askAtHome(set, 'web', ask, to) };
}

describe('commands for a guest of another host', () => {
  test('a command reaches the host that has the guest if all hosts answered', async () => {
    assert.equal(await at(agent('c', [], [guest('web', 'b')])).run(), 'b');
  });

  test("a command reaches the guest's host even if a controller still names the previous one", async () => {
    const left = agent('c', [], [guest('web', 'b')]);
    const set: AgentSet = {
      endpoints: [left],
      reach: (label) => endpoint(label, {}),
      directory: {
        homes: async () => [left],
        source: async () => undefined,
        underWay: async () => undefined,
      },
      close: () => {},
    };
    assert.equal(await askAtHome(set, 'web', async ({ label }) => label), 'b');
  });

  test('a command is refused while a silent host may have another copy, with the flag that names a host', async () => {
    const { acted, run } = at(agent('c', [], [guest('web', 'b')], off));
    await assert.rejects(run(), {
      code: 'GODWIT_INCOMPLETE',
      message: /search for web, which b has, is incomplete: no answer from a \(/,
      hint: /--agent https:\/\/b:PORT with a certificate, in a lab --host b\./,
    });
    assert.deepEqual(acted, []);
  });

  test('a move to a host whose agent is down names it as the destination, with the program to start there', async () => {
    const { acted, run } = at(agent('c', [], [guest('web', 'b')], off));
    await assert.rejects(run('a'), {
      code: 'GODWIT_INCOMPLETE',
      hint: /^a is the destination, and its agent does not answer\. Start it there: `systemctl start godwit-agent`/,
    });
    assert.deepEqual(acted, []);
  });

  test('a command is refused if several hosts have a guest of that name', async () => {
    const { acted, run } = at(agent('c', [], [guest('web', 'b'), guest('web', 'a')]));
    await assert.rejects(run(), {
      code: 'GODWIT_USAGE',
      message: 'which web is meant is not certain: a, b have one',
      hint: /--agent https:\/\/HOST:PORT/,
    });
    assert.deepEqual(acted, []);
  });

  test('a command is refused in the same way if several agents are reached directly', async () => {
    const both = at(agent('a', [guest('web', 'a')]), agent('b', [guest('web', 'b')]));
    await assert.rejects(both.run(), { code: 'GODWIT_USAGE' });
    const silent = (): Promise<never> =>
      Promise.reject(godwitError('GODWIT_UNREACHABLE', { peer: 'a', address: 'x', reason: 'off' }));
    const one = at(
      endpoint('a', { guest: silent, guests: silent }),
      agent('b', [guest('web', 'b')]),
    );
    await assert.rejects(one.run(), { code: 'GODWIT_INCOMPLETE' });
    assert.deepEqual([...both.acted, ...one.acted], []);
  });

  test("the other end of the guest's migration, or a copy that waits for memory, does not stop a command", async () => {
    const migration = 'm-0123456789ab';
    const moving = { from: 'b', to: 'a', runsAt: 'source' } as const;
    for (const [one, other] of [
      [guest('web', 'b'), guest('web', 'a', { state: 'incoming' })],
      [guest('web', 'b', { migration, moving }), guest('web', 'a', { migration, moving })],
      // Builds that report no `moving`.
      [guest('web', 'b', { migration }), guest('web', 'a', { migration })],
    ] as const) {
      assert.equal(await at(agent('c', [], [one, other])).run(), 'b');
    }
  });

  test("a destination's prepared copy, and one kept after the migration, does not stop a command", async () => {
    const migration = 'm-0123456789ab';
    const left = (runsAt: 'unknown' | 'destination', from = 'b') =>
      guest('web', 'a', { state: 'paused', migration, moving: { from, to: 'a', runsAt } });
    for (const rows of [
      [guest('web', 'b'), left('unknown')],
      [left('unknown'), guest('web', 'b')],
    ])
      assert.equal(await at(agent('c', [], rows)).run(), 'b');
    for (const rows of [
      [guest('web', 'b'), left('destination')],
      [guest('web', 'b'), left('unknown', 'c')],
      [guest('web', 'b', { state: 'paused' }), left('unknown')],
    ])
      await assert.rejects(at(agent('c', [], rows)).run(), { code: 'GODWIT_USAGE' });
  });

  test("a host that is asked directly is the guest's host, whatever the others have or answer", async () => {
    const { acted, run } = at(agent('b', [guest('web', 'b')], [guest('web', 'a')], off));
    assert.equal(await run(), 'b');
    assert.deepEqual(acted, ['b']);
  });
});

test('godwit migrate moves no guest of another host while a possible host of it is off', async () => {
  const unknown = async (): Promise<never> => {
    throw godwitError('GODWIT_GUEST_UNKNOWN', { guest: 'web1', host: 'c' });
  };
  const guests = async () => ({ guests: [guest('web1', 'b')], missing: off });
  const { context, asked } = world({ more: { migrate: unknown, guest: unknown, guests } });
  assert.equal(await godwit(context, 'migrate web1 --to c'), 8);
  assert.match(context.err.text, /no answer from a/);
  assert.deepEqual(asked, []);
});

test('a report whose hosts differ on where the guest runs names the host that reported it', async () => {
  const reported = (otherwise: 'source' | 'unknown') =>
    report({ side: 'source', runsAtTold: { by: 'b', otherwise } });
  for (const [ending, words] of [
    [reported('source'), /runs +on b, as b says; a says: on a \(the source\)/],
    [reported('unknown'), /runs +on b, as b says; a does not know/],
  ] as const) {
    const { context } = world({ ending });
    await godwit(context, 'migrate web1 --to b');
    assert.match(context.out.text, words);
  }
});
