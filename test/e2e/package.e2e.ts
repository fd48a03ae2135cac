import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { until } from '../until.ts';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { startWatchedGuest } from './support/client-view.ts';
import { move } from './support/moves.ts';
import { openWorld } from './support/world.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
/** What the package is made of. */
const SOURCES = [
  'src',
  'docs',
  'examples',
  'tools',
  'web',
  'godwit',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'LICENSE',
  'README.md',
];
const MIB = 1024 ** 2;
const NPM_MS = 240_000;

const run = promisify(execFile);

describe('the package', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'godwit-package-'));
  const installed = path.join(folder, 'prefix/lib/node_modules/godwit');
  const program = path.join(folder, 'prefix/bin/godwit');
  const env = { ...process.env, XDG_CACHE_HOME: path.join(folder, 'cache'), NO_COLOR: '1' };
  let agent: ChildProcess | undefined;

  const godwit = (...args: string[]) => run(program, args, { env, timeout: 60_000 });

  before(async () => {
    // A copy, so that nothing is built in this clone.
    const clone = path.join(folder, 'clone');
    for (const each of SOURCES)
      cpSync(path.join(ROOT, each), path.join(clone, each), { recursive: true });
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(clone, 'node_modules'));
    const options = { cwd: folder, timeout: NPM_MS, maxBuffer: 16 * MIB };
    const { stdout } = await run('npm', ['pack', '--silent', './clone'], options);
    const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
    const archive = path.join(folder, stdout.trim().split('\n').at(-1) ?? '');
    await run('npm', ['install', '-g', '--prefix', './prefix', ...quiet, archive], options);
  });
  after(async () => {
    if (agent?.exitCode === null && agent.signalCode === null) {
      agent.kill('SIGTERM');
      await once(agent, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  });

  test('the package holds no source that Node would have to strip of its types', async () => {
    assert.equal(existsSync(path.join(installed, 'src')), false);
    const { stdout } = await godwit('--version');
    const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
    assert.equal(stdout, `${version}\n`);
  });

  test('the package has the pages and the examples that the command line names', () => {
    for (const file of [
      'docs/configuration.md',
      'docs/errors.md',
      'examples/fencing/redfish-fence',
    ]) {
      assert.ok(existsSync(path.join(installed, file)), file);
    }
  });

  test('the package detects what the machine lacks', async () => {
    const { stdout } = await godwit('doctor');
    assert.match(stdout, /^ok {4}node /m);
    assert.match(stdout, /0 fail/);
  });

  test('the package gives programs the API with its types', async () => {
    const own = path.join(folder, 'own');
    cpSync(path.join(ROOT, 'test/e2e/support/api-user.txt'), path.join(own, 'user.ts'));
    writeFileSync(path.join(own, 'package.json'), '{"type":"module"}');
    symlinkSync(path.dirname(installed), path.join(own, 'node_modules'));
    const compiler = path.join(ROOT, 'node_modules/typescript/bin/tsc');
    const flags = [
      '--noEmit',
      '--module',
      'nodenext',
      '--target',
      'esnext',
      '--types',
      '',
      '--strict',
      '--skipLibCheck',
    ];
    await run(process.execPath, [compiler, ...flags, 'user.ts'], { cwd: own, timeout: 60_000 });
    const { stdout } = await run(process.execPath, ['user.ts'], { cwd: own, timeout: 60_000 });
    assert.equal(stdout, '/v1/guests/:guest\n');
  });

  test('the package runs an agent that answers its command line', async () => {
    const stateDir = path.join(folder, 'state');
    const config = path.join(folder, 'agent.json');
    const ca = path.join(folder, 'ca');
    writeFileSync(config, JSON.stringify({ name: 'a', address: '127.0.0.1:0', stateDir }));
    await godwit('pki', 'init', '--dir', ca);
    await godwit(
      'pki',
      'issue',
      'a',
      '--addresses',
      '127.0.0.1',
      '--dir',
      ca,
      '--out',
      `${stateDir}/pki`,
    );
    agent = spawn(program, ['serve', 'agent', '--config', config], { env, stdio: 'ignore' });
    const socket = path.join(stateDir, 'agent.sock');
    await until('the agent', 30_000, () => Promise.resolve(existsSync(socket) || undefined));
    const { stdout } = await godwit('hosts', '--agent', `unix:${socket}`, '--json');
    assert.partialDeepStrictEqual(JSON.parse(stdout), {
      hosts: [{ name: 'a', self: true, status: 'up' }],
    });
  });

  test('the package moves a guest over the wire, with its movers and their threads', async () => {
    const world = await openWorld('pack', { hosts: 2 });
    try {
      for (const host of ['a', 'b']) {
        await stopAgent(world.lab, host);
        await startAgent(world.lab, host, undefined, path.join(installed, 'dist/bin/agent.js'));
      }
      const web1 = await startWatchedGuest(world);
      const request = { guest: 'web1', from: 'a', to: 'b', path: 'wire' } as const;
      await web1.unharmed('b', () => move(world, request));
    } finally {
      await world.close();
    }
  });
});
