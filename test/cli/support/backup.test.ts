import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { runCommandLine } from '../../../src/cli/frame.ts';
import { TABLE } from '../../../src/cli/table.ts';
import { loadControllerConfig } from '../../../src/controller/config.ts';
import { startController } from '../../../src/controller/controller.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import { Tokens } from '../../../src/controller/who/tokens.ts';
import { silentLog } from '../../../src/log.ts';
import { ageStore, isRestored } from '../../../src/system/files/store-age.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { FakeContext } from '../fake.ts';

async function godwit(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const context = new FakeContext();
  // Certificates go by the wall clock.
  await context.clock.sleep(Date.now());
  const code = await runCommandLine(argv, TABLE, context);
  return { code, out: context.out.text, err: context.err.text };
}

interface Places {
  readonly etc: string;
  readonly state: string;
  readonly controller: string;
  readonly archive: string;
}

/** A host with an agent that holds the CA, a controller, an open migration and a guest. */
async function hostOf(t: TestContext): Promise<Places & { readonly secret: string }> {
  const root = tempDir(t);
  const [etc, state, controller] = ['etc', 'state', 'controller'].map((each) =>
    path.join(root, each),
  ) as [string, string, string];
  const at = ['--address', '127.0.0.1:0'];
  const agent = ['--config', `${etc}/agent.json`, '--state-dir', state];
  const first = await godwit('init', 'a', ...at, ...agent);
  assert.equal(first.code, 0, first.err);
  const own = ['--config', `${etc}/controller.json`, '--state-dir', controller];
  const second = await godwit('init', '--controller', ...at, ...own, '--ca', `${etc}/ca`);
  assert.equal(second.code, 0, second.err);
  fs.mkdirSync(`${etc}/luks`, { mode: 0o700 });
  fs.writeFileSync(`${etc}/luks/web1`, 'a passphrase', { mode: 0o600 });
  fs.writeFileSync(`${etc}/fence`, '#!/bin/sh\n', { mode: 0o755 });
  ageStore(state, new Date().toISOString());
  for (const each of ['migrations/m-1', 'standbys', 'cache', 'guests/web1'])
    fs.mkdirSync(`${state}/${each}`, { recursive: true });
  fs.writeFileSync(`${state}/migrations/m-1/source.jsonl`, '{"armed":1}\n');
  fs.writeFileSync(`${state}/standbys/web2.json`, '{}');
  fs.writeFileSync(`${state}/guests/web1/monitor`, '');
  fs.writeFileSync(`${state}/guest-labels.json`, '{"labels":1}');
  const secret = /^gdw_\S+$/m.exec(second.out)?.[0] ?? '';
  return { etc, state, controller, archive: path.join(root, 'a.tar.gz'), secret };
}

/** Contents and modes of everything below a directory. */
function treeOf(directory: string): Record<string, string> {
  const names = fs.readdirSync(directory, { recursive: true, encoding: 'utf8' }).toSorted();
  return Object.fromEntries(
    names.map((name) => {
      const place = path.join(directory, name);
      const stat = fs.lstatSync(place);
      const text = stat.isFile() ? fs.readFileSync(place, 'latin1') : '';
      return [name, `${(stat.mode & 0o777).toString(8)} ${text}`];
    }),
  );
}

/** What is left of a host whose system disk was replaced while its guest runs. */
function wipe({ etc, state, controller }: Places): void {
  for (const each of [etc, controller]) fs.rmSync(each, { recursive: true });
  for (const each of fs.readdirSync(state))
    if (each !== 'guests') fs.rmSync(path.join(state, each), { recursive: true });
}

test('a host is restored from one archive, without any record that may hold an old right to run', async (t) => {
  const host = await hostOf(t);
  const { etc, state, controller, archive, secret } = host;
  const [config, pki] = [treeOf(etc), treeOf(`${state}/pki`)];
  // As of one moment, while the controller writes.
  const running = await startController({
    config: loadControllerConfig(`${etc}/controller.json`),
    log: silentLog,
  });
  const saved = await godwit('backup', archive, '--config-dir', etc);
  await running.close();
  assert.equal(saved.code, 0, saved.err);
  assert.equal(fs.statSync(archive).mode & 0o777, 0o600);
  assert.deepEqual(fs.readdirSync(path.dirname(archive)).toSorted(), [
    'a.tar.gz',
    'controller',
    'etc',
    'state',
  ]);
  assert.match((await godwit('backup', archive, '--config-dir', etc)).err, /is there already/);
  const nowhere = await godwit('backup', `${archive}/x/y`, '--config-dir', etc);
  assert.equal(nowhere.code, 2, nowhere.err);
  wipe(host);
  const { code, out, err } = await godwit('restore', archive);
  assert.equal(code, 0, err);
  assert.match(out, /starts no guest/);
  assert.deepEqual(treeOf(etc), config);
  assert.deepEqual(treeOf(`${state}/pki`), pki);
  assert.deepEqual(fs.readdirSync(state).toSorted(), ['guest-labels.json', 'guests', 'pki']);
  assert.ok(fs.existsSync(`${state}/guests/web1/monitor`));
  // Peers and movers of a migration from before learn that this host proves nothing about it.
  const before = new Date(Date.now() - 60_000).toISOString();
  ageStore(state, new Date().toISOString());
  assert.equal(isRestored(state, before), true);
  const store = await openStore({ sqlite: `${controller}/controller.db` }, silentLog);
  t.after(() => store.close());
  assert.equal((await new Tokens(store).find(secret))?.role, 'admin');
});

test('a host that already has a configuration or state is left unchanged', async (t) => {
  const host = await hostOf(t);
  const { etc, state, archive } = host;
  assert.equal((await godwit('backup', archive, '--config-dir', etc)).code, 0);
  for (const left of [
    `${etc}/agent.json`,
    `${state}/pki/host.key`,
    `${state}/migrations/m-1/source.jsonl`,
    `${state}/store.json`,
  ]) {
    wipe(host);
    fs.mkdirSync(path.dirname(left), { recursive: true });
    fs.writeFileSync(left, 'mine');
    fs.mkdirSync(etc, { recursive: true });
    fs.mkdirSync(host.controller, { recursive: true });
    const [config, own] = [treeOf(etc), treeOf(state)];
    const { code, err } = await godwit('restore', archive);
    assert.notEqual(code, 0, left);
    assert.match(err, /is there already/);
    assert.deepEqual([treeOf(etc), treeOf(state)], [config, own], left);
  }
});

test('a damaged archive, or one that leads elsewhere, is refused before anything is written', async (t) => {
  const host = await hostOf(t);
  const { etc, archive } = host;
  assert.equal((await godwit('backup', archive, '--config-dir', etc)).code, 0);
  const unpacked = tempDir(t);
  execFileSync('tar', ['-xzf', archive, '-C', unpacked]);
  const manifest = fs.readFileSync(`${unpacked}/manifest.json`, 'utf8');
  wipe(host);
  const cases: [RegExp, () => void][] = [
    [/another checksum/, () => fs.appendFileSync(`${unpacked}/config/agent.json`, ' ')],
    [/is missing/, () => fs.rmSync(`${unpacked}/config/agent.json`)],
    [
      /manifest\.json cannot be read/,
      () =>
        fs.writeFileSync(
          `${unpacked}/manifest.json`,
          manifest.replace('"name": "config/agent.json"', '"name": "../agent.json"'),
        ),
    ],
    [/no manifest\.json/, () => fs.rmSync(`${unpacked}/manifest.json`)],
  ];
  for (const [message, spoil] of cases) {
    spoil();
    const wrong = path.join(tempDir(t), 'wrong.tar.gz');
    execFileSync('tar', ['-czf', wrong, '-C', unpacked, '.']);
    const { code, err } = await godwit('restore', wrong);
    assert.notEqual(code, 0);
    assert.match(err, message);
    assert.equal(fs.existsSync(etc), false);
  }
  const none = path.join(tempDir(t), 'none.tar.gz');
  fs.writeFileSync(none, 'text');
  assert.match((await godwit('restore', none)).err, /tar cannot unpack it/);
});

test('a restore that fails half way leaves nothing behind', async (t) => {
  const host = await hostOf(t);
  const { etc, controller, archive } = host;
  assert.equal((await godwit('backup', archive, '--config-dir', etc)).code, 0);
  wipe(host);
  // A file at the path of a directory.
  fs.writeFileSync(controller, '');
  const before = treeOf(host.state);
  const { code, err } = await godwit('restore', archive);
  assert.notEqual(code, 0);
  assert.match(err, /was not restored/);
  assert.equal(fs.existsSync(etc), false);
  assert.deepEqual(treeOf(host.state), before);
});

test('a host without a configuration has nothing to back up', async (t) => {
  const { err } = await godwit('backup', `${tempDir(t)}/a.tar.gz`, '--config-dir', tempDir(t));
  assert.match(err, /has no configuration[^]*godwit init/);
});
