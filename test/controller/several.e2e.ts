import assert from 'node:assert/strict';
import { once } from 'node:events';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { LEASE_MS } from '../../src/controller/inventory/leases.ts';
import { shardOf } from '../../src/controller/inventory/shards.ts';
import { ERRORS } from '../../src/errors.ts';
import { startPostgres, type Postgres } from '../../tools/postgres.ts';
import { fleet, guest } from '../agent/samples.ts';
import { tempDir } from '../rpc/test-contract.ts';
import { until } from '../until.ts';
import { startProcess, type ControllerProcess } from './controller-process.ts';

let postgres: Postgres;

before(async () => {
  postgres = await startPostgres();
});
after(() => postgres.stop());

const followers = async (api: ControllerProcess['api']): Promise<string> => {
  const { hosts } = await api.hosts();
  return hosts.map(({ name, state, followedBy }) => `${name} ${state} ${followedBy}`).join(', ');
};

test('controllers share a fleet, and another continues when one is killed or stopped for longer than its lease', async (t) => {
  const { host, caDir } = await fleet(t);
  // Of the lower and the upper half of the shards: each controller has one.
  const names = ['a', 'b', 'c', 'd', 'e', 'f'].toSorted(
    (one, other) => shardOf(one) - shardOf(other),
  );
  const [low = '', high = ''] = [names[0], names.at(-1)];
  const hosts: Record<string, { address: string }> = {};
  for (const name of [low, high]) {
    const { agent } = await host(name, { guests: () => [guest(`g-${name}`, { host: name })] });
    hosts[name] = { address: agent.address };
  }
  const { url, passwordFile } = await postgres.database();
  const given = { caDir, hosts, database: { postgres: { url, passwordFile } } };
  const one = await startProcess(t, { ...given, name: 'one' });
  const two = await startProcess(t, { ...given, name: 'two' });
  const all = async ({ api }: ControllerProcess, by: (followed: string) => boolean, ms: number) =>
    until('the hosts to be followed', ms, async () => {
      const now = await followers(api).catch(() => '');
      const isUp = now.split(', ').filter((each) => each.includes(' up ')).length === 2;
      return isUp && by(now) ? now : undefined;
    });
  const both = (now: string): boolean => now.includes(' one') && now.includes(' two');
  await all(one, both, 40_000);
  // Either of them reports all guests, whoever follows their host.
  for (const { api } of [one, two]) {
    const { guests } = await api.guests();
    assert.equal(guests.length, 2);
  }

  one.process.kill('SIGSTOP');
  const begun = performance.now();
  await all(two, (now) => !now.includes(' one'), 40_000);
  const takenMs = performance.now() - begun;
  t.diagnostic(`taken over ${Math.round(takenMs)} ms after the other was stopped`);
  assert.ok(takenMs < LEASE_MS + 20_000, `${takenMs} ms`);
  one.process.kill('SIGCONT');
  await all(two, both, 40_000);

  one.process.kill('SIGKILL');
  await all(two, (now) => !now.includes(' one'), 40_000);
  const { guests } = await two.api.guests();
  assert.deepEqual(
    guests.map(({ hostState }) => hostState),
    ['up', 'up'],
  );

  await postgres.restart();
  await until('the controller to go on by itself', 40_000, async () => {
    const isWell = await two.api.health().then(
      () => true,
      () => false,
    );
    return isWell && /two.*two/.test(await followers(two.api).catch(() => '')) ? true : undefined;
  });
});

test('a controller whose database a newer build has upgraded meanwhile ends with that reason', async (t) => {
  const { caDir } = await fleet(t);
  const file = path.join(tempDir(t), 'controller.db');
  const given = { name: 'older', caDir, hosts: {}, database: { sqlite: file } };
  const { process: older } = await startProcess(t, given);
  const ended = once(older, 'exit');
  const database = new DatabaseSync(file, { timeout: 5000 });
  database.exec('update godwit_schema set version = version + 1');
  database.close();
  const [code] = (await ended) as [number | null];
  assert.equal(code, ERRORS.GODWIT_STORE_NEWER.exit);
});
