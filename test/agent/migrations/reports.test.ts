import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportOfBoth } from '../../../src/agent/migrations/reports.ts';
import type { Peers } from '../../../src/agent/peers.ts';
import type { Migration, MigrationStore } from '../../../src/agent/migrations/store.ts';
import { godwitError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import type { Progress, Report } from '../../../src/protocol/public/migration.ts';
import { ID, progress, report, sample } from '../../cli/fake.ts';

const own = report({ side: 'destination', notKnown: ['rounds'], runsAt: 'destination' });

function parts(
  side: 'source' | 'destination',
  ask: () => Promise<Report>,
  now: Partial<Progress> = {},
  kept = own,
) {
  const request = { side, fromHost: 'a', toHost: 'b' } as Migration['request'];
  return {
    store: {
      report: () => kept,
      need: () => ({ id: ID, dir: '', request }),
    } as unknown as MigrationStore,
    peers: { report: ask } as unknown as Peers,
    log: silentLog,
    afterMove: { complete: (each: Report) => each },
    follow: { progress: async () => progress('memory', now) },
  };
}

test("the destination answers with the source's report", async () => {
  const reported = report({ side: 'source' });
  assert.deepEqual(
    await reportOfBoth(
      parts('destination', async () => reported),
      ID,
    ),
    reported,
  );
});

test('the destination answers with its own report if the source is silent or names another migration', async () => {
  const silent = async (): Promise<never> => {
    throw godwitError('GODWIT_UNREACHABLE', { peer: 'a', address: 'x', reason: 'off' });
  };
  assert.equal(await reportOfBoth(parts('destination', silent), ID), own);
  const other = async (): Promise<Report> => report({ guest: 'db' });
  assert.equal(await reportOfBoth(parts('destination', other), ID), own);
});

test('the destination reports that the guest runs there, however the source was cut off', async () => {
  const cut = async (): Promise<Report> =>
    report({ side: 'source', outcome: 'held', runsAt: 'unknown' });
  const { runsAt, outcome } = await reportOfBoth(parts('destination', cut), ID);
  assert.deepEqual([runsAt, outcome], ['destination', 'held']);
});

test('the report of the destination wins over a source that disagrees, and shows both answers', async () => {
  for (const reported of ['source', 'nowhere', 'unknown'] as const) {
    // What a source says of whose word it is counts for nothing.
    const runsAtTold = { by: 'a', otherwise: 'destination' } as const;
    const lying = async (): Promise<Report> =>
      report({ side: 'source', runsAt: reported, runsAtTold });
    const given = await reportOfBoth(parts('destination', lying), ID);
    assert.equal(given.runsAt, 'destination');
    assert.deepEqual(given.runsAtTold, { by: 'b', otherwise: reported });
  }
  const agreeing = async (): Promise<Report> =>
    report({ side: 'source', runsAtTold: { by: 'a', otherwise: 'nowhere' } });
  const { runsAtTold } = await reportOfBoth(parts('destination', agreeing), ID);
  assert.equal(runsAtTold, undefined);
});

test('the source asks no other host', async () => {
  const ask = async (): Promise<never> => assert.fail('it must not ask');
  assert.equal(await reportOfBoth(parts('source', ask), ID), own);
});

test("the source answers with its mover's last look while the migration runs", async () => {
  const ask = async (): Promise<never> => assert.fail('it must not ask');
  const running = report({ side: 'source', outcome: 'running', phase: 'memory', bytes: 1 });
  const now = { sample: sample(4, { transferredBytes: 2 ** 30 }) };
  const { bytes, rounds } = await reportOfBoth(parts('source', ask, now, running), ID);
  assert.deepEqual([bytes, rounds], [2 ** 30, 4]);
});
