import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, test, type TestContext } from 'node:test';
import { z } from 'zod';
import { cacheDirectory } from '../../src/system/files/cache-directory.ts';
import { authority, tempDir } from '../rpc/test-contract.ts';
import { until } from '../until.ts';
import { controllerOf } from './test-controller.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const EXAMPLES = path.join(ROOT, 'examples/prometheus');
const PROGRAMS = path.join(cacheDirectory(), 'prometheus');

interface Rules {
  readonly data: {
    readonly groups: readonly { readonly rules: readonly { name: string; query: string }[] }[];
  };
}

/** Of the dashboard: a panel or a note may ask several. Grafana puts the interval in. */
function dashboardQueries(): { name: string; query: string }[] {
  const text = readFileSync(path.join(ROOT, 'examples/grafana/godwit.json'), 'utf8');
  const { panels, annotations } = dashboard.parse(JSON.parse(text));
  const asked = panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }) => ({ name: title, expr })),
  );
  return [...asked, ...annotations.list].map(({ name, expr }) => ({
    name,
    query: expr.replaceAll('$__rate_interval', '5m'),
  }));
}

const query = z.object({ expr: z.string() });
const dashboard = z.object({
  panels: z.array(z.object({ title: z.string(), targets: z.array(query) })),
  annotations: z.object({ list: z.array(query.extend({ name: z.string() })) }),
});

before(() => {
  const setup = path.join(ROOT, 'tools/setup.sh');
  execFileSync('bash', [setup, '--only', 'prometheus'], { stdio: ['ignore', 2, 2] });
});

test('promtool accepts the rules, and they fire when they should and not before', (t) => {
  const dir = tempDir(t);
  copyFileSync(path.join(EXAMPLES, 'alerts.yml'), path.join(dir, 'alerts.yml'));
  copyFileSync(path.join(import.meta.dirname, 'alerts.yml'), path.join(dir, 'test.yml'));
  const promtool = (...words: string[]): void => {
    execFileSync(path.join(PROGRAMS, 'promtool'), words, { cwd: dir, stdio: ['ignore', 2, 2] });
  };
  promtool('check', 'rules', 'alerts.yml');
  promtool('test', 'rules', 'test.yml');
});

test('a real Prometheus scrapes a controller by the example, and the metrics of each rule and panel are there', async (t) => {
  const { caDir } = await authority(t);
  const party = await controllerOf(t, caDir, { web: { address: '127.0.0.1:0' } });
  const { token } = await party.api.createToken({ body: { name: 'prom', role: 'viewer' } });
  const port = await prometheus(t, { web: party.controller.web ?? '', caDir, token });
  const ask = async (query: string): Promise<{ status: string; data: { result: unknown[] } }> => {
    const place = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`;
    return (await (await fetch(place)).json()) as never;
  };
  await until('a scrape', 60_000, async () => {
    const answer = await ask('up{job="godwit"} == 1').catch(() => undefined);
    return answer?.data.result.length === 1 ? true : undefined;
  });
  const names = await ask('count by (__name__) ({__name__=~"godwit_.+"})');
  const known = JSON.stringify(names.data.result);
  const rules = (await (await fetch(`http://127.0.0.1:${port}/api/v1/rules`)).json()) as Rules;
  const all = rules.data.groups.flatMap((group) => group.rules);
  assert.equal(all.length, 10);
  const panels = dashboardQueries();
  assert.ok(panels.length > 20);
  // Before the first migration a counter with labels has no series; what it is called is known all the same.
  const text = await party.api.metrics();
  for (const { name: asked, query } of [...all, ...panels]) {
    assert.equal((await ask(query)).status, 'success', `${asked}: ${query}`);
    for (const [name] of query.matchAll(/godwit_\w+/g)) {
      const base = name.replace(/_(bucket|count)$/, '');
      assert.ok(known.includes(`"${name}"`) || text.includes(`# TYPE ${base} `), name);
    }
  }
});

/** Started by the example’s configuration, with this controller as its target. */
async function prometheus(
  t: TestContext,
  { web, caDir, token }: { web: string; caDir: string; token: string },
): Promise<number> {
  const dir = tempDir(t);
  writeFileSync(path.join(dir, 'token'), token, { mode: 0o600 });
  copyFileSync(path.join(EXAMPLES, 'alerts.yml'), path.join(dir, 'alerts.yml'));
  const config = readFileSync(path.join(EXAMPLES, 'prometheus.yml'), 'utf8')
    .replace('/etc/prometheus/godwit.token', path.join(dir, 'token'))
    .replace('/etc/prometheus/godwit-ca.pem', path.join(caDir, 'ca.crt'))
    .replace('controller.example:7445', web)
    .replace('scrape_interval: 15s', 'scrape_interval: 1s');
  writeFileSync(path.join(dir, 'prometheus.yml'), config);
  const child = spawn(
    path.join(PROGRAMS, 'prometheus'),
    [
      '--config.file=prometheus.yml',
      '--storage.tsdb.path=data',
      '--web.listen-address=127.0.0.1:0',
      '--log.format=json',
    ],
    { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  t.after(async () => {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null && child.kill('SIGKILL')) await gone;
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  // Where it listens it says once.
  const found = await until('Prometheus to listen', 60_000, () => {
    if (child.exitCode !== null) throw new Error(log.slice(-2000));
    const [, reported] = /"address":"127\.0\.0\.1:([1-9]\d*)"/.exec(log) ?? [];
    return Promise.resolve(reported);
  });
  return Number(found);
}
