import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wayBackOf } from '../../../src/agent/migrations/way-back.ts';
import type { Migration } from '../../../src/agent/migrations/store.ts';
import { migrationSettings } from '../../../src/protocol/public/migration.ts';

const [CAME, BACK] = ['m-00000001', 'm-00000002'];
const settings = migrationSettings.parse({
  returnIfUnhealthy: { check: 'check-web', withinMs: 60_000 },
});
const at = '2026-01-01T00:00:00.000Z';
const returns = { migration: CAME, why: 'it is ill' };

/** As the source of the first one sees both: it went to b, and came back. */
const went = {
  id: CAME,
  side: 'source',
  fromHost: 'a',
  toHost: 'b',
  createdAt: at,
  request: { ...settings, guest: 'web1', to: 'b' },
} as Migration['request'];
const cameBack = (from = 'b', guest = 'web1'): Migration['request'] =>
  ({
    id: BACK,
    side: 'destination',
    fromHost: from,
    toHost: 'a',
    createdAt: at,
    admission: { guest, from, returns },
  }) as Migration['request'];

function storeWith(request: Migration['request'], runsAt = 'destination') {
  const all = [went, request].map((each) => ({ id: each.id, dir: '', request: each }));
  return { all: () => all, runsAt: () => runsAt } as Parameters<typeof wayBackOf>[0];
}

test("the report of a move has its guest's return, the reason, and the returning migration", () => {
  assert.deepEqual(wayBackOf(storeWith(cameBack()), went), {
    returned: { migration: BACK, why: 'it is ill', at },
  });
  assert.deepEqual(wayBackOf(storeWith(cameBack()), cameBack()), { returns });
});

test('a guest that is not back, came from elsewhere, or is another one, has not returned', () => {
  assert.deepEqual(wayBackOf(storeWith(cameBack(), 'source'), went), {});
  assert.deepEqual(wayBackOf(storeWith(cameBack('c')), went), {});
  assert.deepEqual(wayBackOf(storeWith(cameBack('b', 'db')), went), {});
});
