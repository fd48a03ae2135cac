import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askAny, findGuest, findMigration, listMigrations } from '../../src/cli/fleet.ts';
import type { Endpoint, Fleet } from '../../src/cli/fleet.ts';
import { godwitError, hasCode } from '../../src/errors.ts';
import { endpoint, guest, ID, summary } from './fake.ts';

function fleet(first: Endpoint, ...others: Endpoint[]): Fleet {
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
  const all = async (): Promise<{ guests: ReturnType<typeof guest>[] }> => ({
    guests: [guest('web1', 'b', { state: 'incoming' }), guest('web1', 'a'), guest('db', 'b')],
  });

  test("finds the agent of the guest's own host", async () => {
    const both = fleet(endpoint('a', { guests: all }), endpoint('b', { guests: all }));
    assert.equal((await findGuest(both, 'db')).endpoint.label, 'b');
  });

  test('takes the source for the home of a guest that is on its way', async () => {
    const both = fleet(endpoint('a', { guests: all }), endpoint('b', { guests: all }));
    assert.equal((await findGuest(both, 'web1')).guest.host, 'a');
  });

  test('asks the one agent there is about a guest of its peers', async () => {
    const only = fleet(endpoint('this host', { guests: all }));
    assert.equal((await findGuest(only, 'db')).endpoint.label, 'this host');
  });

  test('suggests the nearest name for an unknown guest', async () => {
    const only = fleet(endpoint('this host', { guests: all }));
    await assert.rejects(findGuest(only, 'wbe1'), (error: Error & { hint?: string }) => {
      assert.ok(hasCode(error, 'GODWIT_GUEST_UNKNOWN'));
      assert.match(error.hint, /Did you mean web1\?/);
      return true;
    });
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

  test('say why when no agent answers', async () => {
    await assert.rejects(listMigrations(fleet(endpoint('c', { migrations: silent })), 1), (error) =>
      hasCode(error, 'GODWIT_UNREACHABLE'),
    );
  });
});
