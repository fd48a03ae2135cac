import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import { Metrics } from '../../src/controller/metrics.ts';
import { openStore } from '../../src/controller/store/open.ts';
import { silentLog } from '../../src/log.ts';
import type { FleetMigration } from '../../src/protocol/controller/history.ts';
import { authority } from '../rpc/test-contract.ts';
import { Browser } from './browser.ts';
import { controllerOf } from './test-controller.ts';

const SAMPLE = /^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*\})? (\S+)$/;

/** By the text format's grammar, and not by the library that wrote it: every line is a comment or a sample. */
function samplesOf(text: string): Map<string, number> {
  assert.ok(text.endsWith('\n'));
  const samples = new Map<string, number>();
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '' || /^# (HELP|TYPE) [a-z_]+ /.test(line)) continue;
    const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? assert.fail(line);
    const number = value === '+Inf' ? Infinity : Number(value);
    assert.ok(!Number.isNaN(number), line);
    assert.ok(!samples.has(name + labels), `twice: ${line}`);
    samples.set(name + labels, number);
  }
  return samples;
}

const migration = (more: Partial<FleetMigration>): FleetMigration => ({
  id: 'm-00000001',
  guest: 'web1',
  source: 'a',
  destination: 'b',
  mode: 'precopy',
  state: 'ended',
  outcome: 'done',
  startedAt: '2026-11-23T06:00:00.000Z',
  ...more,
});

async function metrics(t: TestContext): Promise<Metrics> {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  return new Metrics({ store, clock: systemClock });
}

test('migrations are counted as they end, with their duration; starting ones are not', async (t) => {
  const own = await metrics(t);
  const ended = (more: Partial<FleetMigration>) =>
    own.heard({ type: 'migration', what: 'ended', migration: migration(more) });
  const figures = { totalMs: 4000, downtimeMs: 40, clientGapMs: 250, bytes: 1000 };
  ended(figures);
  ended({ ...figures, mode: 'hybrid' });
  ended({ outcome: 'failed', code: 'GODWIT_UNREACHABLE', totalMs: 9000 });
  own.heard({ type: 'migration', what: 'begun', migration: migration({ state: 'open' }) });
  const samples = samplesOf(await own.text());
  assert.equal(samples.get('godwit_migrations_total{outcome="done",mode="precopy"}'), 1);
  assert.equal(samples.get('godwit_migrations_total{outcome="done",mode="hybrid"}'), 1);
  assert.equal(samples.get('godwit_migrations_total{outcome="failed",mode="precopy"}'), 1);
  assert.equal(samples.get('godwit_migration_failures_total{code="GODWIT_UNREACHABLE"}'), 1);
  assert.equal(samples.get('godwit_migration_sent_bytes_total{mode="precopy"}'), 1000);
  assert.equal(samples.get('godwit_migration_duration_seconds_sum{mode="precopy"}'), 4);
  assert.equal(samples.get('godwit_migration_downtime_seconds_count{mode="precopy"}'), 1);
  assert.equal(
    samples.get('godwit_migration_client_gap_seconds_bucket{le="0.3",mode="precopy"}'),
    1,
  );
});

test('an unknown error code adds no series, whatever hosts report', async (t) => {
  const own = await metrics(t);
  for (let nth = 0; nth < 100; nth += 1) {
    const reported = migration({ outcome: 'failed', code: `GODWIT_${nth}"} 1\nevil{x="` });
    own.heard({ type: 'migration', what: 'ended', migration: reported });
  }
  for (const code of ['constructor', 'toString', '__proto__'])
    own.heard({
      type: 'migration',
      what: 'ended',
      migration: migration({ outcome: 'failed', code }),
    });
  const samples = samplesOf(await own.text());
  const codes = [...samples].filter(([name]) => name.startsWith('godwit_migration_failures'));
  assert.deepEqual(codes, [['godwit_migration_failures_total{code="other"}', 103]]);
});

test('a viewer reads the metrics as text, with the earlier requests; a stranger does not', async (t) => {
  const { caDir } = await authority(t);
  const party = await controllerOf(t, caDir, { web: { address: '127.0.0.1:0' } });
  const browser = new Browser(t, party.controller.web ?? '', caDir);
  assert.equal((await browser.ask('/metrics')).status, 401);
  const { token } = await party.api.createToken({ body: { name: 'prom', role: 'viewer' } });
  const headers = { authorization: `Bearer ${token}` };
  await browser.ask('/v1/hosts', { headers });
  const { status, headers: answered } = await browser.ask('/metrics', { headers });
  assert.equal(status, 200);
  assert.match(answered['content-type'] ?? '', /^text\/plain; version=0\.0\.4/);
  const samples = samplesOf(await party.api.metrics());
  const count = 'godwit_api_request_duration_seconds_count';
  assert.equal(samples.get(`${count}{operation="hosts",status="200"}`), 1);
  assert.equal(samples.get(`${count}{operation="createToken",status="200"}`), 1);
  assert.equal(samples.get('godwit_migrations_open'), 0);
});

test("a controller's disk, database, certificate and list are measured, and an unknown value has no sample", async (t) => {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const disks = [{ directory: '/var', freeBytes: 5, totalBytes: 10 }];
  const facts = { disks, database: { tookMs: 20 }, list: { problem: 'it is damaged' } };
  const samples = samplesOf(
    await new Metrics({ store, clock: systemClock, own: { facts } }).text(),
  );
  assert.equal(samples.get('godwit_controller_disk_free_bytes{directory="/var"}'), 5);
  assert.equal(samples.get('godwit_controller_disk_bytes{directory="/var"}'), 10);
  assert.equal(samples.get('godwit_controller_database_seconds'), 0.02);
  for (const name of [
    'godwit_controller_certificate_expiry_timestamp_seconds',
    'godwit_fleet_list_expiry_timestamp_seconds',
  ])
    assert.equal(samples.has(name), false, name);
});
