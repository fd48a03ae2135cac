import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { hasCode } from '../../src/errors.ts';
import { isRequestEnd } from '../../src/protocol/controller/fleet-request.ts';
import { fleet } from '../agent/samples.ts';
import { tempDir } from '../rpc/test-contract.ts';
import { until } from '../until.ts';
import { controllerOf, type Party } from './test-controller.ts';

const ask = { kind: 'roll' as const, hosts: ['a', 'b'], run: 'upgrade' };
const params = { id: 'r-00000001' };

/** Two hosts without guests, and a controller with that program. It appends what it reads to `reported`. */
async function rolling(t: TestContext, script: string) {
  const { host, caDir } = await fleet(t);
  const [a, b] = [await host('a'), await host('b')];
  const directory = tempDir(t);
  const reported = path.join(directory, 'reported');
  const file = path.join(directory, 'upgrade');
  writeFileSync(reported, '');
  writeFileSync(file, `#!/bin/sh\ncat >> ${reported}\n${script}\n`);
  chmodSync(file, 0o755);
  const missing = { file: path.join(directory, 'missing') };
  const given = {
    hosts: {
      a: { address: a.agent.address, addresses: [] },
      b: { address: b.agent.address, addresses: [] },
    },
    database: { sqlite: path.join(directory, 'fleet.db') },
    programs: { upgrade: { file, timeoutMs: 60_000 }, missing: { ...missing, timeoutMs: 60_000 } },
  };
  const up = async ({ api }: Party) => {
    await until('the hosts to be followed', 20_000, async () => {
      const { hosts } = await api.hosts();
      return hosts.every(({ state }) => state === 'up') && hosts.length === 2 ? true : undefined;
    });
  };
  const controller = await controllerOf(t, caDir, given);
  await up(controller);
  const again = async () => {
    const next = await controllerOf(t, caDir, given);
    await up(next);
    return next;
  };
  const lines = () =>
    readFileSync(reported, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { host: string; id: string; epoch: number });
  return { ...controller, again, lines };
}

const ended = ({ api }: Pick<Party, 'api'>) =>
  until('the roll to end', 60_000, async () => {
    const { request } = await api.request({ params });
    return isRequestEnd(request.phase) ? request : undefined;
  });

test('a roll runs the program once for each host in its turn, and both are open afterwards', async (t) => {
  const { api, lines } = await rolling(t, 'echo ready');
  assert.equal((await api.putRequest({ params, query: {}, body: ask })).started, true);
  const request = await ended({ api });
  assert.equal(request.phase, 'done', request.words);
  assert.deepEqual(
    lines().map(({ host, id }) => [host, id]),
    [
      ['a', 'r-00000001.a'],
      ['b', 'r-00000001.b'],
    ],
  );
  const drain = { kind: 'drain' as const, hosts: ['a'] };
  const next = { id: 'r-00000002' };
  assert.equal(
    (await api.putRequest({ params: next, query: { dryRun: 'true' }, body: drain })).started,
    false,
  );
});

test('a roll stops at the host whose program fails, and reports its last words', async (t) => {
  const { api, lines } = await rolling(t, 'echo no space left >&2; exit 3');
  await api.putRequest({ params, query: {}, body: ask });
  const request = await ended({ api });
  assert.equal(request.phase, 'left');
  assert.match(
    request.words,
    /stopped at a \(1 of 2\): upgrade ended with 3: no space left; a stays closed/,
  );
  assert.deepEqual(
    lines().map(({ host }) => host),
    ['a'],
  );
});

test('a roll stops at a host that does not come back as its program promised', async (t) => {
  const { api } = await rolling(t, `echo '{"boot":"new"}'`);
  await api.putRequest({ params, query: {}, body: { ...ask, healthyWithinMs: 1000 } });
  const request = await ended({ api });
  assert.equal(request.phase, 'left');
  assert.match(request.words, /stopped at a \(1 of 2\): .*; a stays closed/);
});

test('a roll continues under another controller, which asks the program again by the same id', async (t) => {
  const { api, controller, again, lines } = await rolling(
    t,
    'test "$(wc -l < "$(dirname "$0")/reported")" != 1 || sleep 60',
  );
  await api.putRequest({ params, query: {}, body: ask });
  await until('the program to run', 20_000, async () => (lines().length > 0 ? true : undefined));
  await controller.close();
  const request = await ended(await again());
  assert.equal(request.phase, 'done', request.words);
  const reported = lines();
  assert.deepEqual(
    reported.map(({ id }) => id),
    ['r-00000001.a', 'r-00000001.a', 'r-00000001.b'],
  );
  assert.ok((reported[1]?.epoch ?? 0) > (reported[0]?.epoch ?? 0));
});

test('only a program of the configuration is run, and a roll with an unknown one is refused', async (t) => {
  const { api } = await rolling(t, '');
  const refused = async (body: Parameters<typeof api.putRequest>[0]['body'], words: RegExp) => {
    await assert.rejects(
      api.putRequest({ params, query: {}, body }),
      (thrown) => hasCode(thrown, 'GODWIT_USAGE') && words.test((thrown as Error).message),
    );
  };
  await refused({ ...ask, run: 'reboot' }, /no program reboot/);
  await refused({ ...ask, run: 'missing' }, /cannot be run/);
  await refused({ kind: 'roll', hosts: ['a'] }, /names a program/);
  await refused({ ...ask, hosts: ['a', 'a'] }, /named twice/);
  await refused({ kind: 'drain', hosts: ['a'], run: 'upgrade' }, /runs no program/);
});
