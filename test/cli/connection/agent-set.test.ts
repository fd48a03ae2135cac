import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askAny, type Endpoint, type AgentSet } from '../../../src/cli/connection/agent-set.ts';
import { findGuest } from '../../../src/cli/guests/fleet-guests.ts';
import { findMigration, listMigrations } from '../../../src/cli/migrate/fleet-migrations.ts';
import { godwitError, hasCode } from '../../../src/errors.ts';
import type { SilentHost } from '../../../src/protocol/public/resolve.ts';
import type { GuestInfo } from '../../../src/protocol/public/hosts/host.ts';
import { endpoint, guest, ID, summary } from '../fake.ts';

function fleet(first: Endpoint, ...others: Endpoint[]): AgentSet {
  return { endpoints: [first, ...others], close: () => {} };
}

const silent = (): Promise<never> =>
  Promise.reject(godwitError('GODWIT_UNREACHABLE', { peer: 'a', address: 'x', reason: 'off' }));
const refusing = (): Promise<never> =>
  Promise.reject(
    godwitError('GODWIT_ROLE_FORBIDDEN', {
      peer: 'me',
      role: 'viewer',
      action: 'x',
      needs: 'operator',
    }),
  );

describe('askAny', () => {
  test('askAny continues with the next agent when one is silent', async () => {
    const both = fleet(
      endpoint('a', { hosts: silent }),
      endpoint('b', { hosts: async () => ({ hosts: [] }) }),
    );
    assert.deepEqual(await askAny(both, ({ api }) => api.hosts()), { hosts: [] });
  });

  test('askAny takes a refusal for an answer', async () => {
    const both = fleet(endpoint('a', { hosts: refusing }), endpoint('b', {}));
    await assert.rejects(
      askAny(both, ({ api }) => api.hosts()),
      (error) => hasCode(error, 'GODWIT_ROLE_FORBIDDEN'),
    );
  });

  test('askAny reports the reason when no agent answers', async () => {
    await assert.rejects(
      askAny(fleet(endpoint('a', { hosts: silent })), ({ api }) => api.hosts()),
      (error) => hasCode(error, 'GODWIT_UNREACHABLE'),
    );
  });
});

describe('findGuest', () => {
  const onA = [guest('web1', 'a')];
  const onB = [guest('web1', 'b', { state: 'incoming' }), guest('db', 'b')];

  /** The agent of a host that has these guests, and those of its peers. */
  function agent(
    label: string,
    own: GuestInfo[],
    peers: GuestInfo[],
    missing: SilentHost[] = [],
  ): Endpoint {
    return endpoint(label, {
      guest: async ({ params }) => {
        const found = own.find(({ name }) => name === params.guest);
        if (found !== undefined) return found;
        throw godwitError('GODWIT_GUEST_UNKNOWN', { guest: params.guest, host: label });
      },
      guests: async (input) => {
        const { scope, name } = input?.query ?? {};
        const all = scope === 'all' ? [...own, ...peers] : own;
        const guests = all.filter((each) => (name ?? each.name) === each.name);
        return { guests, ...(scope === 'all' ? { missing } : {}) };
      },
    });
  }
  const both = fleet(agent('a', onA, onB), agent('b', onB, onA));

  test("findGuest finds the agent of the guest's host", async () => {
    const { home } = await findGuest(both, 'db');
    assert.equal(home?.label, 'b');
  });

  test('findGuest takes the source as the host of a guest on its way', async () => {
    assert.equal((await findGuest(both, 'web1')).guest.host, 'a');
  });

  test('findGuest finds the guest although another agent is silent', async () => {
    const one = fleet(endpoint('a', { guest: silent, guests: silent }), agent('b', onB, []));
    const { home, missing } = await findGuest(one, 'db');
    assert.equal(home?.label, 'b');
    assert.deepEqual(
      missing.map(({ host }) => host),
      ['a'],
    );
  });

  test('findGuest does not report a missing guest while a host that may have it does not answer', async () => {
    const off = [{ host: 'c', why: 'c at x does not answer: off' }];
    const one = fleet(agent('a', onA, onB, off));
    await assert.rejects(findGuest(one, 'db9'), {
      code: 'GODWIT_INCOMPLETE',
      message: 'the search for db9 is incomplete: no answer from c (c at x does not answer: off)',
    });
    assert.deepEqual((await findGuest(one, 'db')).missing, off);
  });

  test('findGuest finds the guest of a host whose agent is not reached directly', async () => {
    const { guest: found, home } = await findGuest(fleet(agent('a', onA, onB)), 'db');
    assert.deepEqual([found.host, home], ['b', undefined]);
  });

  test('findGuest suggests the nearest name for an unknown guest', async () => {
    await assert.rejects(findGuest(both, 'wbe1'), (error: Error & { hint?: string }) => {
      assert.ok(hasCode(error, 'GODWIT_GUEST_UNKNOWN'));
      assert.match(error.hint, /Did you mean web1\?/);
      return true;
    });
  });

  test('findGuest asks no agent for a name that no guest can have', async () => {
    const error = await findGuest(both, '../etc').catch((thrown: unknown) => thrown);
    assert.ok(hasCode(error, 'GODWIT_GUEST_UNKNOWN'));
  });
});

const unknownMigration = async (): Promise<never> => {
  throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id: ID, host: 'a' });
};

describe('migrations of several agents', () => {
  const older = summary({ id: 'm-aaaaaaaa', startedAt: '2026-01-01T00:00:00.000Z' });
  const onA = endpoint('a', { migrations: async () => ({ migrations: [older] }) });
  const onB = endpoint('b', {
    migrations: async () => ({
      migrations: [summary({ from: 'b', to: 'a' }), { ...older, side: 'destination' }],
    }),
  });
  const lists = fleet(onA, onB, endpoint('c', { migrations: silent }));
  const answering = fleet(onA, onB);

  test('migrations are listed once, newest first, as the source reports them', async () => {
    const { items } = await listMigrations(lists, 10);
    assert.deepEqual(
      items.map((each) => [each.id, each.side]),
      [
        [ID, 'source'],
        ['m-aaaaaaaa', 'source'],
      ],
    );
  });

  test('migrations are listed with the agents that did not answer and the peers that one agent could not ask', async () => {
    const hosts = (missing: readonly SilentHost[]): string[] => missing.map(({ host }) => host);
    assert.deepEqual(hosts((await listMigrations(lists, 10)).missing), ['c']);
    const one = fleet(
      endpoint('a', {
        migrations: async (input) => {
          assert.equal(input?.query?.scope, 'all');
          return { migrations: [older], missing: [{ host: 'd', why: 'off' }] };
        },
        migration: unknownMigration,
      }),
    );
    assert.deepEqual(hosts((await listMigrations(one, 10)).missing), ['d']);
    await assert.rejects(findMigration(one, 'm-elsewhere'), { code: 'GODWIT_INCOMPLETE' });
  });

  test('migrations are cut at the limit', async () => {
    assert.equal((await listMigrations(lists, 1)).items.length, 1);
  });

  test('migrations are found by their id, and the nearest id is suggested for an unknown one', async () => {
    assert.equal((await findMigration(answering, ID)).endpoint.label, 'b');
    await assert.rejects(
      findMigration(answering, 'm-aaaaaaab'),
      (error: Error & { hint?: string }) => {
        assert.ok(hasCode(error, 'GODWIT_MIGRATION_UNKNOWN'));
        assert.match(error.hint, /Did you mean m-aaaaaaaa\?/);
        return true;
      },
    );
  });

  test('migrations are requested by their id if the agents support that question', async () => {
    const found = await findMigration(
      fleet(
        endpoint('a', { migration: unknownMigration }),
        endpoint('b', { migration: async () => summary({ side: 'destination' }) }),
        endpoint('c', { migration: async () => summary() }),
      ),
      ID,
    );
    assert.equal(found.endpoint.label, 'c', 'the source knows most');
  });

  test('migrations are listed with the reason when no agent answers', async () => {
    await assert.rejects(listMigrations(fleet(endpoint('c', { migrations: silent })), 1), (error) =>
      hasCode(error, 'GODWIT_UNREACHABLE'),
    );
  });
});
