import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holdMigration } from '../../src/host/migration-lock.ts';

test('one side of a migration is held by one process at a time', async () => {
  const id = `test-${process.pid}`;
  const held = await holdMigration(id, 'source');
  await assert.rejects(holdMigration(id, 'source'), /another mover already works on the source/);
  const other = await holdMigration(id, 'destination');
  const release = (server: typeof held): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
    });
  await release(held);
  await release(await holdMigration(id, 'source'));
  await release(other);
});
