import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { PrunedMigrations } from '../../../src/agent/migrations/used-ids.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const most = { ofOne: 8, all: 20 };
const idOf = (nth: number): string => `m-${String(nth).padStart(8, '0')}`;

test("the newest ids of each host are known, even after a restart, and no host displaces another's ids", (t) => {
  const pruning = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(60)), { maxLength: 60 });
  fc.assert(
    fc.property(pruning, (all) => {
      const dir = tempDir(t);
      const byHost = new Map<string, string[]>();
      const known = new Set<string>();
      const pruned = new PrunedMigrations(dir, most);
      for (const [host, nth] of all) {
        const id = idOf(nth);
        pruned.remember([{ id, host }]);
        if (known.has(id)) continue;
        known.add(id);
        byHost.set(host, [...(byHost.get(host) ?? []), id]);
      }
      const again = new PrunedMigrations(dir, most);
      for (const ids of byHost.values()) {
        // Three hosts share room for 20: each has at least a third of it, rounded down.
        for (const id of ids.slice(-Math.floor(most.all / 3))) {
          assert.ok(pruned.has(id) && again.has(id));
        }
      }
      for (const id of known) assert.equal(again.has(id), pruned.has(id));
    }),
    { numRuns: 50 },
  );
});

test('the file is bounded, however many ids there were', (t) => {
  const dir = tempDir(t);
  const pruned = new PrunedMigrations(dir, most);
  for (let nth = 0; nth < 1000; nth += 1) pruned.remember([{ id: idOf(nth), host: 'a' }]);
  assert.ok(statSync(path.join(dir, 'pruned-migrations')).size < 2 * most.all * 16);
  assert.ok(new PrunedMigrations(dir, most).has(idOf(999)));
});

test('a truncated or malformed line takes nothing from the others', (t) => {
  const dir = tempDir(t);
  const file = path.join(dir, 'pruned-migrations');
  const pruned = new PrunedMigrations(dir, most);
  pruned.remember([{ id: idOf(1), host: 'a' }]);
  pruned.remember([{ id: idOf(2), host: 'a' }]);
  truncateSync(file, readFileSync(file).length - 3);
  const cut = new PrunedMigrations(dir, most);
  assert.deepEqual([cut.has(idOf(1)), cut.has(idOf(2))], [true, false]);
  appendFileSync(file, 'nonsense \u0000 x');
  cut.remember([{ id: idOf(3), host: 'b' }]);
  const later = new PrunedMigrations(dir, most);
  assert.deepEqual([later.has(idOf(1)), later.has(idOf(3))], [true, true]);
});

test('nothing is written if there is nothing to remember', (t) => {
  const dir = tempDir(t);
  const file = path.join(dir, 'pruned-migrations');
  const pruned = new PrunedMigrations(dir, most);
  pruned.remember([]);
  assert.equal(existsSync(file), false);
  pruned.remember([{ id: idOf(1), host: 'a' }]);
  const before = readFileSync(file);
  pruned.remember([]);
  assert.deepEqual(readFileSync(file), before);
});
