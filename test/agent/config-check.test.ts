import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { checkStart, configProblems } from '../../src/agent/config-check.ts';
import { agentConfig } from '../../src/config.ts';
import { GodwitError } from '../../src/errors.ts';
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

test('a wrong section of a driver, or one of an unknown driver, keeps the agent from starting', async (t) => {
  for (const drivers of [{ qemu: { user: 'root' } }, { qemu: 7 }, { xen: {} }]) {
    const [problem, ...others] = await problemsOf(t, { drivers });
    assert.deepEqual(others, []);
    assert.match(problem?.what ?? '', /drivers\.|agent.*root|neither "agent"/);
    assert.equal(problem?.isFatal, true);
  }
});

test("an agent does not start under a name other than the certificate's", async (t) => {
  const [problem, ...others] = await problemsOf(t, { name: 'b' });
  assert.deepEqual(others, []);
  assert.match(problem?.what ?? '', /host\.crt is for a \(agent\); this agent is b and needs/);
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

test('a fencing hook that is never called is named: no known third host answers', async (t) => {
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

test('a port that another process uses is named with that process', async (t) => {
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
  // A name may stand for another address: only listening finds that out.
  const named = { ...config, address: `localhost:${port}`, stateDir, pkiDir: pkiDirOf(config) };
  const taken = (await configProblems(named)).filter(({ what }) => what.includes('is taken by'));
  assert.deepEqual(
    taken.map(({ isFatal }) => isFatal),
    [false],
  );
});

test('missing programs and directories of a driver are named by their settings', async (t) => {
  const qemu = {
    programs: ['/no/qemu', 'on-the-path', process.execPath],
    tpm: { keyDir: process.execPath },
    luks: { keyDir: '/no/keys' },
  };
  assert.deepEqual(
    await problemsOf(t, { drivers: { qemu } }),
    [
      'drivers.qemu.programs.0: /no/qemu is not there',
      `drivers.qemu.tpm.keyDir: ${process.execPath} is no directory`,
      'drivers.qemu.luks.keyDir: /no/keys is not there',
    ].map((what) => ({ what, isFatal: false })),
  );
  // Where earlier builds had it.
  const [old] = await problemsOf(t, { qemu: ['/no/qemu'] });
  assert.equal(old?.what, 'drivers.qemu.programs.0: /no/qemu is not there');
});

/** A configuration whose `stateDir` is served by another process, and that process. */
async function servedByAnother(t: TestContext) {
  const { host } = await fleet(t);
  const { config } = await host('a', {});
  const stateDir = path.join(config.stateDir, 'served');
  mkdirSync(stateDir);
  const serve = `require('net').createServer().listen(${JSON.stringify(path.join(stateDir, 'agent.sock'))}, () => console.log())`;
  const other = spawn(process.execPath, ['-e', serve], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => other.kill());
  await once(other.stdout, 'data');
  return { config: { ...config, stateDir, pkiDir: pkiDirOf(config) }, pid: other.pid };
}

test('an agent that runs with another address on the same directory is named', async (t) => {
  const { config, pid } = await servedByAnother(t);
  const [problem, ...others] = await configProblems({ ...config, address: '127.0.0.1:1' });
  assert.deepEqual(others, []);
  assert.match(
    problem?.what ?? '',
    new RegExp(`process ${pid}, serves .*, and does not listen at 127.0.0.1:1$`),
  );
  assert.equal(problem?.isFatal, false);
});

test('a start is refused with a fitting hint if another agent serves the directory', async (t) => {
  const { config, pid } = await servedByAnother(t);
  await assert.rejects(checkStart('/a.json', config), (thrown) => {
    assert.ok(thrown instanceof GodwitError);
    assert.match(thrown.message, new RegExp(`agent.sock: .*process ${pid}, serves this socket$`));
    assert.match(thrown.hint, /needs one of its own/);
    return thrown.exit === 2;
  });
});

test('a start is refused for fatal mistakes, and the other mistakes are logged', async (t) => {
  const { host } = await fleet(t);
  const { config } = await host('a', {});
  const stateDir = path.join(config.stateDir, 'own');
  const own = { ...config, stateDir, pkiDir: pkiDirOf(config), address: '127.0.0.1:1' };
  const rest = await checkStart('/a.json', { ...own, caDir: '/no/ca' });
  assert.deepEqual(
    rest.map(({ what }) => what),
    ['caDir: /no/ca is not there'],
  );
  writeFileSync(path.join(own.pkiDir, 'host.key'), 'no key');
  await assert.rejects(checkStart('/a.json', own), {
    code: 'GODWIT_CONFIG',
    message: /^\/a\.json: .*host\.key is no private key in PEM$/,
    exit: 2,
  });
});
