import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sql } from 'kysely';
import { SIGN_IN_ATTEMPTS, sessionHandlers } from '../../../src/controller/api/session.ts';
import { openStore, type StorePlace } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { bringForward } from '../../../src/controller/store/schema.ts';
import { Recognition } from '../../../src/controller/who/recognition.ts';
import { hashOf } from '../../../src/controller/who/secrets.ts';
import { Sessions } from '../../../src/controller/who/sessions.ts';
import { Tokens } from '../../../src/controller/who/tokens.ts';
import { silentLog } from '../../../src/log.ts';
import { TokenBuckets } from '../../../src/token-buckets.ts';
import { dropAll } from './suite.ts';

/** The version that gave sessions the hash of their token. */
const BY_HASH = 17;
const SECRET = `gds_${'s'.repeat(43)}`;

/** Sessions and tokens in a database. `make` gives an empty one to each test. */
export function sessionsSuite(name: string, make: () => Promise<StorePlace>): void {
  const opened = async (
    work: (store: Store, tokens: Tokens, sessions: Sessions) => Promise<void>,
  ) => {
    const store = await openStore(await make(), silentLog);
    try {
      await work(store, new Tokens(store), new Sessions(store));
    } finally {
      await store.close();
    }
  };

  describe(`sessions in ${name}`, () => {
    test('a sign-in under way while its token is revoked begins no session', () =>
      opened(async (_store, tokens, sessions) => {
        const { token } = await tokens.create({ name: 'ci', role: 'viewer', by: 'ann' });
        const cookies: string[] = [];
        const handlers = sessionHandlers({
          tokens,
          sessions,
          recognition: new Recognition(
            () => 0,
            () => Promise.resolve([]),
          ),
          attempts: new TokenBuckets(SIGN_IN_ATTEMPTS, () => 0),
          // The token was found valid; it is revoked before the session begins.
          audit: { sessionChanges: () => tokens.revoke('ci') },
          methods: { token: true },
          log: silentLog,
        });
        const asked = { params: {}, query: {}, body: { token }, calledFrom: '192.0.2.7' };
        const header = (_name: string, value: string) => void cookies.push(value);
        const signIn = handlers.signIn as unknown as (input: object) => Promise<unknown>;
        await assert.rejects(signIn({ ...asked, header }), { code: 'GODWIT_TOKEN_REFUSED' });
        assert.deepEqual(cookies, []);
        await tokens.create({ name: 'ci', role: 'admin', by: 'ann' });
        assert.deepEqual(await sessions.list({ limit: 10 }), []);
      }));

    test('a row that a revocation missed never counts with a later token of that name', () =>
      opened(async (store, tokens, sessions) => {
        const { token } = await tokens.create({ name: 'ci', role: 'viewer', by: 'ann' });
        const { secret } = await sessions.begin({ token });
        const missed = await store.db.selectFrom('sessions').selectAll().executeTakeFirstOrThrow();
        await tokens.revoke('ci');
        await store.db.insertInto('sessions').values(missed).execute();
        await tokens.create({ name: 'ci', role: 'admin', by: 'ann' });
        assert.equal(await sessions.find(secret), undefined);
        assert.deepEqual(await sessions.list({ limit: 10 }), []);
      }));

    test('a session has the role and the name of its token, ends no later, and ends with it', () =>
      opened(async (_store, tokens, sessions) => {
        const asked = { name: 'ci', role: 'operator', expiresInMs: 60_000, by: 'ann' } as const;
        const { token, entry } = await tokens.create(asked);
        const { secret, ...owner } = await sessions.begin({ token });
        const expiresAtMs = Date.parse(entry.expiresAt ?? '');
        assert.deepEqual(owner, { name: 'ci', role: 'operator', expiresAtMs });
        assert.deepEqual(await sessions.find(secret), owner);
        const [listed] = await sessions.list({ limit: 10 });
        assert.equal(listed?.token, 'ci');
        await tokens.revoke('ci');
        assert.equal(await sessions.find(secret), undefined);
      }));

    test('sessions of an earlier build end if they began with a token, and stay if they began with a provider', async () => {
      const place = await make();
      const earlier = await openStore(place, silentLog);
      await dropAll(earlier);
      await bringForward(earlier.db, earlier.kind, 'here', BY_HASH - 1);
      const end = Date.now() + 3_600_000;
      const add = (secret: string, token: string | null, issuer: string | null) =>
        sql`insert into sessions (hash, token, name, role, created_at, expires_at, issuer, subject)
          values (${hashOf(secret)}, ${token}, 'ann', 'viewer', 0, ${end}, ${issuer}, ${issuer})`;
      await add(SECRET, null, 'https://provider').execute(earlier.db);
      await add(SECRET.toUpperCase(), 'ci', null).execute(earlier.db);
      await earlier.close();
      const store = await openStore(place, silentLog);
      const sessions = new Sessions(store);
      assert.equal((await sessions.find(SECRET))?.name, 'ann');
      assert.equal(await sessions.find(SECRET.toUpperCase()), undefined);
      assert.equal((await store.db.selectFrom('sessions').selectAll().execute()).length, 1);
      await store.close();
    });
  });
}
