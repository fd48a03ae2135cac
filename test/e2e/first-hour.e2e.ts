import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { stopAgent } from '../../lab/agents.ts';
import { runCommand } from '../../lab/command.ts';
import { inHost } from '../../lab/entry.ts';
import { labEnvironment } from '../../lab/environment.ts';
import { labHost } from '../../lab/state.ts';
import { until } from '../until.ts';
import { startBareGuest } from './support/bare-guest.ts';
import { openWorld, type World } from './support/world.ts';

const PROGRAM = path.resolve(import.meta.dirname, '../../godwit');
const UNIT = path.resolve(import.meta.dirname, '../../packaging/systemd/godwit-agent.service');
const START_MS = 60_000;
const COMMAND_MS = 60_000;

/** The command line that takes away the capabilities that the unit takes away. */
function asTheUnit(): string[] {
  const lines = readFileSync(UNIT, 'utf8').matchAll(/^CapabilityBoundingSet=(.*)$/gm);
  const kept = [...lines].flatMap(([, names = '']) => names.toLowerCase().split(' '));
  assert.notEqual(kept.length, 0);
  const set = ['-all', ...kept.map((name) => name.replace('cap_', '+'))].join(',');
  return ['setpriv', '--bounding-set', set, '--'];
}

describe('a fleet set up with init, invite and join', () => {
  let world: World;
  const agents: ChildProcess[] = [];
  /** What was typed, for the page that says how few it are. */
  const typed: string[] = [];

  before(async () => {
    world = await openWorld('first', { hosts: 3 });
    for (const host of world.lab.hosts) {
      await stopAgent(world.lab, host);
      const { stateDir, configFile } = labHost(world.lab, host);
      await rm(configFile);
      // Nothing of the lab's own fleet.
      await rm(stateDir, { recursive: true });
      mkdirSync(imagesOf(host));
    }
  });
  after(async () => {
    for (const agent of agents) if (agent.exitCode === null) agent.kill('SIGTERM');
    await world?.close();
  });

  const imagesOf = (host: string): string => path.join(world.lab.dir, `images-${host}`);
  /** Types a line on a host. */
  const type = async (host: string, line: string): Promise<string> => {
    typed.push(`${host}: ${line}`);
    const argv = ['sh', '-c', `exec "$0" ${line.replace(/^godwit /, '')}`, PROGRAM];
    return runCommand(inHost(world.lab, host, argv), { deadlineMs: COMMAND_MS });
  };
  /** Where the hosts of a lab have what others have in /etc and /var. */
  const places = (host: string): string => {
    const { configFile, stateDir } = labHost(world.lab, host);
    return `--storage ${imagesOf(host)} --config ${configFile} --state-dir ${stateDir}`;
  };
  const nextIn = (said: string): string[] => {
    const steps = said.slice(said.indexOf('\nNext:\n')).split('\n').slice(2);
    return steps.filter((line) => line !== '').map((line) => line.replace(/ +# .*$/, '').trim());
  };
  /** Runs the printed `godwit serve agent` until it serves, with no more rights than the unit gives it. */
  const serve = async (host: string, line: string): Promise<void> => {
    assert.match(line, /^godwit serve agent /);
    typed.push(`${host}: ${line}`);
    const [, ...words] = line.split(' ');
    const [command = '', ...argv] = inHost(world.lab, host, [...asTheUnit(), PROGRAM, ...words]);
    const env = { ...process.env, ...labEnvironment(world.lab) };
    const agent = spawn(command, argv, { env, stdio: 'ignore' });
    agents.push(agent);
    const { agentSocket } = labHost(world.lab, host);
    await until(`the agent of ${host}`, START_MS, () => {
      if (agent.exitCode !== null) throw new Error(`the agent of ${host} ended`);
      return Promise.resolve(existsSync(agentSocket) || undefined);
    });
  };

  test('the first host is set up, and every printed step works', async () => {
    const { address } = labHost(world.lab, 'a');
    const said = await type('a', `godwit init a --address ${address} ${places('a')}`);
    const [agent = '', hosts = '', invite = '', ...others] = nextIn(said);
    assert.deepEqual(others, []);
    await serve('a', agent);
    assert.match(await type('a', hosts), /^a .* up/m);
    // As it is printed; the real ones follow.
    assert.match(await type('a', invite), /^godwit join$[^]*^gwj1\/b\//m);
  });

  for (const host of ['b', 'c']) {
    test(`host ${host} joins with the first host's output, and every printed step works`, async () => {
      const { address } = labHost(world.lab, host);
      const own = `--config ${labHost(world.lab, 'a').configFile}`;
      const said = await type('a', `godwit invite ${host} --addresses ${address} ${own}`);
      assert.match(said, /^godwit join$/m);
      const token = /^gwj1\/.+$/m.exec(said)?.[0] ?? '';
      const joined = await type(host, `godwit join - ${places(host)} <<'END'\n${token}\nEND`);
      assert.match(joined, /^ok {4}clocks/m);
      assert.match(joined, /^ok {4}address/m);
      const [agent = '', hosts = '', guests = '', ...others] = nextIn(joined);
      assert.deepEqual(others, []);
      await serve(host, agent);
      await until(`${host} to know a`, START_MS, async () => {
        return /^a .* up/m.test(await type(host, hosts)) || undefined;
      });
      await type(host, guests);
    });
  }

  test('a guest moves to a host that joined, and on to the other', async () => {
    // The version that hosts have on their PATH, which is what they offer.
    const version = /version (\d+\.\d+)/.exec(
      await runCommand(['qemu-system-x86_64', '--version']),
    );
    const qemu = version?.[1];
    await startBareGuest(world, {
      name: 'web1',
      host: 'a',
      ...(qemu === undefined ? {} : { qemu }),
    });
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'c'],
    ] as const) {
      const { agentSocket } = labHost(world.lab, from);
      await until(`${from} to know ${to}`, START_MS, async () => {
        const { hosts } = await world.agent(from).hosts();
        return hosts.some(({ name, status }) => name === to && status === 'up') || undefined;
      });
      await type(from, `godwit migrate web1 --to ${to} --agent unix:${agentSocket}`);
      const { guests } = await world.agent(to).guests();
      assert.ok(
        guests.some(({ name, host }) => name === 'web1' && host === to),
        typed.join('\n'),
      );
    }
  });
});
