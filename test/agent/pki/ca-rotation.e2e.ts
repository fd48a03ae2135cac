/** The rotation as an operator types it: agents are processes, and every step goes through the command line. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { lackingFor } from '../../../src/pki/rotation.ts';
import { rotationRoutes, type CaRotation } from '../../../src/protocol/public/rotation.ts';
import { freePort } from '../../managers/hyperv/realm.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { until } from '../../until.ts';

const AGENT = fileURLToPath(new URL('../../../src/bin/agent.ts', import.meta.url));
const GODWIT = fileURLToPath(new URL('../../../src/bin/godwit.ts', import.meta.url));
const WAIT_MS = 120_000;

async function scene(t: TestContext) {
  const root = tempDir(t);
  const dir = (...names: string[]): string => path.join(root, ...names);
  const caDir = dir('ca');
  const run = async (...words: string[]) => {
    const child = spawn(process.execPath, [GODWIT, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, GODWIT_AGENT: dir('a', 'agent.sock'), NO_COLOR: '1' },
    });
    const said = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, ...said };
  };
  const ran = async (...words: string[]): Promise<string> => {
    const { code, out, err } = await run(...words);
    assert.equal(code, 0, `godwit ${words.join(' ')}: ${err}`);
    return out;
  };
  await ran('pki', 'init', '--dir', caDir);
  const [a, b] = [await freePort(), await freePort()].map((port) => `127.0.0.1:${port}`) as [
    string,
    string,
  ];
  const agents: ChildProcess[] = [];
  t.after(async () => {
    await Promise.all(
      agents.map(async (agent) => {
        if (agent.exitCode !== null || agent.signalCode !== null) return;
        const gone = once(agent, 'exit');
        agent.kill('SIGKILL');
        await gone;
      }),
    );
  });
  const start = async (name: string, address: string, peer: object, more: object) => {
    const stateDir = dir(name);
    await ran(
      'pki',
      'issue',
      name,
      '--addresses',
      '127.0.0.1',
      '--dir',
      caDir,
      '--out',
      dir(name, 'pki'),
    );
    const config = { name, address, stateDir, peers: peer, ...more };
    writeFileSync(dir(`${name}.json`), JSON.stringify(config));
    const child = spawn(process.execPath, [AGENT, '--config', dir(`${name}.json`)], {
      stdio: 'ignore',
    });
    agents.push(child);
  };
  await start('a', a, { b: { address: b } }, { caDir });
  await start('b', b, { a: { address: a } }, {});
  return { dir, caDir, a, run, ran };
}

test('the steps that an operator types replace the CA under running agents and for a person', async (t) => {
  const { dir, caDir, a, run, ran } = await scene(t);
  const at = ['--dir', caDir];
  const person = ['--at', `https://a@${a}`, '--dir', dir('ann')];
  await ran('pki', 'issue', 'ann', '--role', 'operator', ...at, '--out', dir('ann'));
  const status = async (): Promise<CaRotation | undefined> => {
    const { code, out } = await run('pki', 'rotate-ca', ...at, '--json');
    return code === 0 ? rotationRoutes.caRotation.response.parse(JSON.parse(out)) : undefined;
  };
  const lacking = (step: 'switch' | 'finish', names: readonly string[]) =>
    until(`only ${names.join()} to be missing for ${step}`, WAIT_MS, async () => {
      const now = await status();
      if (now === undefined) return undefined;
      return lackingFor(step, now)
        .map(({ name }) => name)
        .join() === names.join()
        ? now
        : undefined;
    });
  await lacking('switch', []);
  await ran('pki', 'rotate-ca', 'start', ...at);
  await lacking('switch', ['ann']);
  const refused = await run('pki', 'rotate-ca', 'switch', ...at);
  assert.equal(refused.code, 5);
  assert.match(refused.err, /ann \(operator\): it does not trust the new CA yet/);
  await ran('pki', 'renew', ...person);
  await ran('pki', 'rotate-ca', 'switch', ...at);
  await lacking('finish', ['ann']);
  assert.match(await ran('pki', 'renew', ...person), /is new/);
  const { issuing } = await lacking('finish', []);
  await ran('pki', 'rotate-ca', 'finish', ...at);
  const ended = await until('all hosts to trust the new CA alone', WAIT_MS, async () => {
    const now = await status();
    const hosts = now?.members.filter(({ role }) => role === 'agent') ?? [];
    const isDone = hosts.length === 2 && hosts.every(({ trusts }) => trusts?.join() === issuing);
    return isDone ? now : undefined;
  });
  assert.deepEqual([ended?.stage, ended?.authorities], ['idle', [issuing]]);
  await ran('pki', 'renew', ...person);
  const folder = (file: string) => path.join(dir('ann'), file);
  const asAnn = [
    '--cert',
    folder('operator.crt'),
    '--key',
    folder('operator.key'),
    '--ca',
    folder('ca.crt'),
  ];
  // A host that is slow to answer is listed as such, and answers the next time.
  await until(
    'both hosts to answer a person whose certificate is of the new CA',
    WAIT_MS,
    async () => {
      const hosts = await ran('hosts', '--json', '--agent', `https://a@${a}`, ...asAnn);
      const found = JSON.parse(hosts) as { hosts: { name: string; status: string }[] };
      const names = found.hosts.filter(({ status: is }) => is === 'up').map(({ name }) => name);
      return names.toSorted().join() === 'a,b' || undefined;
    },
  );
});
