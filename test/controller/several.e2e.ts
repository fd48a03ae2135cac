import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { issue, storeCredentials } from '../../src/agent/pki/authority.ts';
import { LEASE_MS } from '../../src/controller/inventory/leases.ts';
import { shardOf } from '../../src/controller/inventory/shards.ts';
import { controllerContract } from '../../src/protocol/controller/contract.ts';
import { client } from '../../src/rpc/client.ts';
import type { Api } from '../../src/rpc/client.ts';
import { startPostgres } from '../../tools/postgres.ts';
import type { Postgres } from '../../tools/postgres.ts';
import { fleet, guest } from '../agent/samples.ts';
import { tempDir } from '../rpc/test-contract.ts';
import { until } from '../until.ts';

let postgres: Postgres;

before(async () => {
  postgres = await startPostgres();
});
after(() => postgres.stop());

const PROGRAM = path.resolve(import.meta.dirname, '../../src/bin/controller.ts');

interface Running {
  readonly process: ChildProcess;
  readonly api: Api<typeof controllerContract>;
}

interface Given {
  readonly name: string;
  readonly caDir: string;
  readonly hosts: Readonly<Record<string, { readonly address: string }>>;
  readonly database: object;
}

/** A controller as a process of its own, which can be killed and stopped. */
async function start(t: TestContext, { name, caDir, hosts, database }: Given): Promise<Running> {
  const stateDir = tempDir(t);
  const issued = await issue({ caDir, name, role: 'controller', addresses: [] });
  storeCredentials(path.join(stateDir, 'pki'), issued, 'controller');
  const file = path.join(stateDir, 'controller.json');
  const config = { name, address: '127.0.0.1:0', stateDir, hosts, database, logLevel: 'error' };
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(process.execPath, [PROGRAM, '--config', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const socket = path.join(stateDir, 'controller.sock');
  const { api, close } = client(controllerContract, { unix: socket });
  t.after(async () => {
    close();
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await until(`the socket of ${name}`, 20_000, async () => (existsSync(socket) ? true : undefined));
  return { process: child, api };
}

const followers = async (api: Running['api']): Promise<string> => {
  const { hosts } = await api.hosts();
  return hosts.map(({ name, state, followedBy }) => `${name} ${state} ${followedBy}`).join(', ');
};

test('controllers share a fleet, and another goes on when one is killed or stopped for longer than its lease', async (t) => {
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
  const one = await start(t, { ...given, name: 'one' });
  const two = await start(t, { ...given, name: 'two' });
  const all = async ({ api }: Running, by: (followed: string) => boolean, ms: number) =>
    until('the hosts to be followed', ms, async () => {
      const now = await followers(api).catch(() => '');
      const isUp = now.split(', ').filter((each) => each.includes(' up ')).length === 2;
      return isUp && by(now) ? now : undefined;
    });
  const both = (now: string): boolean => now.includes(' one') && now.includes(' two');
  await all(one, both, 40_000);
  // Either of them tells of all guests, whoever follows their host.
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
