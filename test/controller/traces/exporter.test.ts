import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { migrations } from '../../../bench/dashboard/migrations.ts';
import { tracesConfig } from '../../../src/controller/traces/config.ts';
import { Traces } from '../../../src/controller/traces/exporter.ts';
import type { OtlpSpan } from '../../../src/controller/traces/otlp.ts';
import { traceIdOf } from '../../../src/controller/traces/spans.ts';
import type { ListedMigration } from '../../../src/controller/store/migrations.ts';
import { systemClock } from '../../../src/clock.ts';
import { silentLog } from '../../../src/log.ts';
import type { FleetMigration } from '../../../src/protocol/controller/history.ts';
import { issue } from '../../../src/pki/authority.ts';
import { authority } from '../../rpc/test-contract.ts';
import { fleet, guest } from '../../agent/samples.ts';
import { until } from '../../until.ts';
import { controllerOf } from '../test-controller.ts';

const WAIT_MS = 20_000;
/** As a clock that a test need not wait for. */
const swift = { ...systemClock, sleep: async () => {} };

interface Receiver {
  readonly url: string;
  /** By which it is known, where it speaks TLS. */
  readonly caFile?: string;
  /** Spans of each request, as they came. */
  readonly taken: OtlpSpan[][];
  readonly types: (string | undefined)[];
}

/** A receiver of OTLP that answers with these, and then with 200. */
async function receiver(
  t: TestContext,
  statuses: number[] = [],
  tls?: { readonly cert: string; readonly key: string; readonly caFile: string },
): Promise<Receiver> {
  const taken: OtlpSpan[][] = [];
  const types: (string | undefined)[] = [];
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString()) as {
        resourceSpans: { scopeSpans: { spans: OtlpSpan[] }[] }[];
      };
      taken.push(
        resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
      );
      types.push(request.headers['content-type']);
      response.writeHead(statuses.shift() ?? 200, { 'content-type': 'application/json' });
      response.end('{}');
    });
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const place = `127.0.0.1:${port}/v1/traces`;
  if (tls === undefined) return { url: `http://${place}`, taken, types };
  return { url: `https://${place}`, caFile: tls.caFile, taken, types };
}

const row = (id: string): ListedMigration => ({
  id,
  guest: 'web1',
  source: 'a',
  destination: 'b',
  mode: 'precopy',
  told_by: 'a',
  epoch: 1,
  started_at: 1000,
  ended_at: 2000,
  outcome: 'done',
  code: null,
  words: null,
  total_ms: 1000,
  downtime_ms: 10,
  client_gap_ms: null,
  bytes: 5,
  side: 'source',
  link_rate: null,
  dirty_rate: null,
  request: null,
  by: null,
});

function tracesTo(t: TestContext, { url, caFile }: Receiver): Traces {
  const known = { find: async (id: string) => [{ row: row(id), report: null }] };
  const traces = new Traces({
    config: { url, caFile },
    migrations: known,
    clock: swift,
    log: silentLog,
    name: 'control',
  });
  t.after(() => traces.close());
  return traces;
}

const ends = (id: string, more: Partial<FleetMigration> = {}) => {
  const [any] = migrations();
  assert.ok(any !== undefined);
  const migration: FleetMigration = { ...any, state: 'ended', outcome: 'done', id, ...more };
  return { type: 'migration', what: 'ended', migration } as const;
};

test('each migration that ends is sent once, in the order of the ends', async (t) => {
  const at = await receiver(t);
  const traces = tracesTo(t, at);
  const ids = Array.from({ length: 20 }, (_none, nth) => `m-${String(nth).padStart(8, '0')}`);
  for (const id of ids) traces.heard(ends(id));
  traces.heard({ ...ends('m-begun000'), what: 'begun' });
  // A person has to decide it; then it ends once more.
  traces.heard(ends('m-held0000', { outcome: 'held' }));
  await until('the traces', WAIT_MS, async () =>
    at.taken.length >= ids.length ? true : undefined,
  );
  assert.deepEqual(
    at.taken.map(([whole]) => whole?.traceId),
    ids.map((id) => traceIdOf(id)),
  );
  assert.ok(at.types.every((type) => type === 'application/json'));
});

test('a busy receiver is asked again, and one that refuses is not', async (t) => {
  const busy = await receiver(t, [503, 429]);
  tracesTo(t, busy).heard(ends('m-00000001'));
  await until('the trace', WAIT_MS, async () => (busy.taken.length === 3 ? true : undefined));
  assert.equal(new Set(busy.taken.map(([whole]) => whole?.traceId)).size, 1);

  const refusing = await receiver(t, [400]);
  const traces = tracesTo(t, refusing);
  traces.heard(ends('m-00000001'));
  traces.heard(ends('m-00000002'));
  await until('the next', WAIT_MS, async () => (refusing.taken.length === 2 ? true : undefined));
  assert.deepEqual(
    refusing.taken.map(([whole]) => whole?.traceId),
    ['m-00000001', 'm-00000002'].map((id) => traceIdOf(id)),
  );
});

test('a receiver over TLS that has failed by an internal defect is not asked again', async (t) => {
  const { caDir } = await authority(t);
  const addresses = ['127.0.0.1'];
  const issued = await issue({ caDir, name: 'otlp', role: 'agent', addresses });
  const failing = await receiver(t, [500], { ...issued, caFile: path.join(caDir, 'ca.crt') });
  const traces = tracesTo(t, failing);
  for (const id of ['m-00000001', 'm-00000002']) traces.heard(ends(id));
  await until('the next', WAIT_MS, async () => (failing.taken.length >= 2 ? true : undefined));
  assert.deepEqual(
    failing.taken.map(([whole]) => whole?.traceId),
    ['m-00000001', 'm-00000002'].map((id) => traceIdOf(id)),
  );
});

test('the queue is bounded: the oldest entry beyond it is dropped', async (t) => {
  const at = await receiver(t);
  const traces = tracesTo(t, at);
  for (let nth = 0; nth < 1500; nth += 1) traces.heard(ends(`m-${String(nth).padStart(8, '0')}`));
  const last = traceIdOf('m-00001499');
  await until('the last', 60_000, async () =>
    at.taken.some(([whole]) => whole?.traceId === last) ? true : undefined,
  );
  assert.ok(at.taken.length <= 1001, String(at.taken.length));
});

test('nothing leaves a host without TLS', () => {
  const allowed = ['https://otel.example.org/v1/traces', 'http://127.0.0.1:4318/v1/traces'];
  const refused = [
    'http://otel.example.org/v1/traces',
    'http://10.0.0.1:4318/v1/traces',
    'http://127.0.0.1.example.org/',
    'https://user:secret@otel.example.org/',
    'ftp://127.0.0.1/',
    'otel',
  ];
  for (const url of [...allowed, 'http://[::1]:4318/v1/traces'])
    assert.ok(tracesConfig.safeParse({ url }).success, url);
  for (const url of refused) assert.ok(!tracesConfig.safeParse({ url }).success, url);
});

test("a controller sends the trace of its hosts' migration, with its phases", async (t) => {
  const at = await receiver(t);
  const { host, caDir } = await fleet(t);
  const b = await host('b');
  const peers = { b: { address: '127.0.0.1:1' } };
  const a = await host('a', { guests: () => [guest('web1')], peers });
  const hosts = {
    a: { address: a.agent.address, addresses: [] },
    b: { address: b.agent.address, addresses: [] },
  };
  const { api } = await controllerOf(t, caDir, { hosts, traces: { url: at.url } });
  await until('the hosts to be followed', WAIT_MS, async () => {
    const { hosts: all } = await api.hosts();
    return all.length === 2 && all.every(({ state }) => state === 'up') ? true : undefined;
  });
  const { id } = await a.api.migrate({ body: { guest: 'web1', to: 'b' } });
  await a.api.cancel({ params: { id } });
  const [whole, ...phases] = await until('its trace', WAIT_MS, async () => at.taken[0]);
  assert.equal(whole?.traceId, traceIdOf(id));
  assert.ok(phases.length > 0);
  assert.ok(phases.every(({ parentSpanId }) => parentSpanId === whole?.spanId));
});
