import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { configProblems } from '../../src/agent/config-check.ts';
import { agentConfig } from '../../src/config.ts';
import { pkiDirOf } from '../../src/host/fleet.ts';
import { fleet } from './samples.ts';

async function problemsOf(
  t: TestContext,
  change: Record<string, unknown>,
): Promise<{ what: string; isFatal: boolean }[]> {
  const { host } = await fleet(t);
  const { config } = await host('a', {});
  const { pkiDir, stateDir, name, address } = config;
  const all = { name, address, stateDir, ...(pkiDir !== undefined && { pkiDir }), ...change };
  const problems = await configProblems(agentConfig.parse(all));
  return problems.map(({ what, isFatal }) => ({ what, isFatal }));
}

test('a configuration that fits its host has no problem', async (t) => {
  assert.deepEqual(await problemsOf(t, {}), []);
});

test('a section of a driver that is wrong, or of no driver, keeps the agent from starting', async (t) => {
  for (const drivers of [{ qemu: { user: 'root' } }, { qemu: 7 }, { xen: {} }]) {
    const [problem, ...others] = await problemsOf(t, { drivers });
    assert.deepEqual(others, []);
    assert.match(problem?.what ?? '', /drivers\.|agent.*root|neither "agent"/);
    assert.equal(problem?.isFatal, true);
  }
});

test('a name that is not the certificate’s keeps the agent from starting', async (t) => {
  const [problem, ...others] = await problemsOf(t, { name: 'b' });
  assert.deepEqual(others, []);
  assert.match(problem?.what ?? '', /`name` is b, but .*host\.crt is for a \(agent\)/);
  assert.equal(problem?.isFatal, true);
});

test('each path that leads nowhere is named by its setting', async (t) => {
  const { host } = await fleet(t);
  const { config } = await host('a', {});
  const file = path.join(config.stateDir, 'file');
  writeFileSync(file, '');
  const there = path.join(config.stateDir, 'images');
  mkdirSync(there);
  const problems = await configProblems({
    ...config,
    caDir: file,
    hooks: { directory: '/no/hooks' },
    storage: [{ path: there }, { path: '/no/images' }],
    fencing: {
      command: ['/no/fence'],
      timeoutMs: 1000,
      silenceMs: 5000,
      controls: ['10.0.0.254:80'],
    },
  });
  assert.deepEqual(
    problems.map(({ what }) => what),
    [
      `caDir: ${file} is no directory`,
      'hooks.directory: /no/hooks is not there',
      'storage.1.path: /no/images is not there',
      'fencing.command.0: /no/fence is not there',
    ],
  );
  assert.ok(problems.every(({ isFatal }) => !isFatal));
});

test('a fencing hook that is never called is named: no third host is known that answers', async (t) => {
  const fencing = { command: ['fence'], controls: [] as string[] };
  const peers = (...names: string[]) =>
    Object.fromEntries(names.map((name) => [name, { address: '10.0.0.2:7443' }]));
  for (const known of [peers(), peers('b'), peers('a', 'b')]) {
    const [problem, ...others] = await problemsOf(t, { fencing, peers: known });
    assert.deepEqual(others, []);
    assert.match(problem?.what ?? '', /^fencing\.controls is empty .*the hook is never called$/);
    assert.equal(problem?.isFatal, false);
  }
  assert.deepEqual(await problemsOf(t, { fencing, peers: peers('b', 'c') }), []);
  const named = { ...fencing, controls: ['10.0.0.254:80'] };
  assert.deepEqual(await problemsOf(t, { fencing: named, peers: peers('b') }), []);
});

test('a key that others can read is named, and keeps nothing from starting', async (t) => {
  const { host } = await fleet(t);
  const { config } = await host('a', {});
  chmodSync(path.join(pkiDirOf(config), 'host.key'), 0o640);
  const [problem, ...others] = await configProblems(config);
  assert.deepEqual(others, []);
  assert.match(problem?.what ?? '', /host\.key can be read by others than its owner \(mode 640\)/);
  assert.equal(problem?.isFatal, false);
});

test('a port that another process has is named with that process', async (t) => {
  const server = createServer().listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const { host } = await fleet(t);
  const { config } = await host('a', {});
  const address = `127.0.0.1:${port}`;
  // Its own agent would be no stranger: that one serves a socket in its stateDir.
  const stateDir = path.join(config.stateDir, 'elsewhere');
  const [problem] = await configProblems({
    ...config,
    address,
    stateDir,
    pkiDir: pkiDirOf(config),
  });
  assert.match(problem?.what ?? '', new RegExp(`is taken by .*process ${process.pid}`));
  assert.equal(problem?.isFatal, true);
});
