import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fleet } from '../samples.ts';

const PAGE = 4096;

test("a host's cache is shown, seeded for a guest, and pruned", async (t) => {
  const { host } = await fleet(t);
  const a = await host('a');
  const empty = await a.api.cache();
  assert.deepEqual([empty.bytes, empty.seeds, empty.unusable], [0, [], undefined]);
  assert.equal(empty.scope, 'guest');
  const file = path.join(a.config.stateDir, 'image');
  writeFileSync(
    file,
    Buffer.concat([Buffer.alloc(PAGE, 1), Buffer.alloc(PAGE), Buffer.alloc(PAGE, 2)]),
  );
  const seeded = await a.api.seedCache({ body: { file, guest: 'web1' } });
  assert.deepEqual(seeded, { file, pages: 2 });
  const full = await a.api.cache();
  assert.deepEqual(full.seeds, [{ file, pages: 3, changed: false }]);
  const pruned = await a.api.pruneCache({ body: { bytes: 0 } });
  assert.deepEqual(pruned, { freedBytes: full.bytes, bytes: 0 });
});

test('a seed needs a guest if the cache is shared by guest, and always a file', async (t) => {
  const { host } = await fleet(t);
  const { api, config } = await host('a');
  const file = path.join(config.stateDir, 'nothing');
  await assert.rejects(api.seedCache({ body: { file } }), { code: 'GODWIT_USAGE' });
  const gone = api.seedCache({ body: { file, guest: 'web1' } });
  await assert.rejects(gone, { code: 'GODWIT_CONFIG', message: /cannot be seeded.*ENOENT/ });
});

test('a remote caller cannot seed a file, not even an operator', async (t) => {
  const { host, as } = await fleet(t);
  const a = await host('a');
  const api = await as('ann', 'operator', a);
  const refused = api.seedCache({ body: { file: '/etc/passwd', guest: 'web1' } });
  await assert.rejects(refused, { code: 'GODWIT_ROLE_FORBIDDEN' });
  assert.equal((await api.cache()).bytes, 0);
});
