import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askAny, findGuest, findMigration, listMigrations } from '../../src/cli/agent-set.ts';
import type { Endpoint, AgentSet } from '../../src/cli/agent-set.ts';
import { godwitError, hasCode } from '../../src/errors.ts';
import type { GuestInfo } from '../../src/protocol/public/host.ts';
import { endpoint, guest, ID, summary } from './fake.ts';

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
  test('goes on to the next agent when one is silent', async () => {
    const both = fleet(
      endpoint('a', { hosts: silent }),
      endpoint('b', { hosts: async () => ({ hosts: [] }) }),
    );
    assert.deepEqual(await askAny(both, ({ api }) => api.hosts()), { hosts: [] });
  });

  test('takes a refusal for an answer', async () => {
    const both = fleet(endpoint('a', { hosts: refusing }), endpoint('b', {}));
    await assert.rejects(
      askAny(both, ({ api }) => api.hosts()),
      (error) => hasCode(error, 'GODWIT_ROLE_FORBIDDEN'),
    );
  });

  test('tells why when nobody answers', async () => {
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
  function agent(label: string, own: GuestInfo[], peers: GuestInfo[]): Endpoint {
    return endpoint(label, {
      guest: async ({ params }) => {
        const found = own.find(({ name }) => name === params.guest);
        if (found !== undefined) return found;
        throw godwitError('GODWIT_GUEST_UNKNOWN', { guest: params.guest, host: label });
      },
      guests: async () => ({ guests: [...own, ...peers] }),
    });
  }
  const both = fleet(agent('a', onA, onB), agent('b', onB, onA));

  test("finds the agent of the guest's own host", async () => {
    const { endpoint: found, home } = await findGuest(both, 'db');
    assert.deepEqual([found.label, home], ['b', true]);
  });

  test('takes the source for the home of a guest that is on its way', async () => {
    assert.equal((await findGuest(both, 'web1')).guest.host, 'a');
  });

  test('finds it although another agent is silent', async () => {
    const one = fleet(endpoint('a', { guest: silent, guests: silent }), agent('b', onB, []));
    assert.equal((await findGuest(one, 'db')).endpoint.label, 'b');
  });

  test('finds the guest of a host whose agent is not at hand', async () => {
    const {
      guest: found,
      endpoint: asked,
      home,
    } = await findGuest(fleet(agent('a', onA, onB)), 'db');
    assert.deepEqual([found.host, asked.label, home], ['b', 'a', false]);
  });

  test('suggests the nearest name for an unknown guest', async () => {
    await assert.rejects(findGuest(both, 'wbe1'), (error: Error & { hint?: string }) => {
      assert.ok(hasCode(error, 'GODWIT_GUEST_UNKNOWN'));
      assert.match(error.hint, /Did you mean web1\?/);
      return true;
    });
  });

  test('asks no agent for a guest whose name cannot be one', async () => {
    const error = await findGuest(both, '../etc').catch((thrown: unknown) => thrown);
    assert.ok(hasCode(error, 'GODWIT_GUEST_UNKNOWN'));
  });
});

describe('migrations of several agents', () => {
  const older = summary({ id: 'm-aaaaaaaa', startedAt: '2026-01-01T00:00:00.000Z' });
  const lists = fleet(
    endpoint('a', { migrations: async () => ({ migrations: [older] }) }),
    endpoint('b', {
      migrations: async () => ({ migrations: [summary(), { ...older, side: 'destination' }] }),
    }),
    endpoint('c', { migrations: silent }),
  );

  test('are listed once, newest first, as the source tells them', async () => {
    const found = await listMigrations(lists, 10);
    assert.deepEqual(
      found.map((each) => [each.summary.id, each.summary.side, each.endpoint.label]),
      [
        [ID, 'source', 'b'],
        ['m-aaaaaaaa', 'source', 'a'],
      ],
    );
  });

  test('are cut at the limit', async () => {
    assert.equal((await listMigrations(lists, 1)).length, 1);
  });

  test('are found by their id, and the nearest is suggested otherwise', async () => {
    assert.equal((await findMigration(lists, ID)).endpoint.label, 'b');
    await assert.rejects(findMigration(lists, 'm-aaaaaaab'), (error: Error & { hint?: string }) => {
      assert.ok(hasCode(error, 'GODWIT_MIGRATION_UNKNOWN'));
      assert.match(error.hint, /Did you mean m-aaaaaaaa\?/);
      return true;
    });
  });

  test('are asked for by their id where agents know that question', async () => {
    const unknown = async (): Promise<never> => {
      throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id: ID, host: 'a' });
    };
    const found = await findMigration(
      fleet(
        endpoint('a', { migration: unknown }),
        endpoint('b', { migration: async () => summary({ side: 'destination' }) }),
        endpoint('c', { migration: async () => summary() }),
      ),
      ID,
    );
    assert.equal(found.endpoint.label, 'c', 'the source tells most');
  });

  test('say why when no agent answers', async () => {
    await assert.rejects(listMigrations(fleet(endpoint('c', { migrations: silent })), 1), (error) =>
      hasCode(error, 'GODWIT_UNREACHABLE'),
    );
  });
});
