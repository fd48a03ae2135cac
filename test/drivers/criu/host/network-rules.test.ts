import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import {
  makeNetwork,
  networkNames,
  networkOf,
  removeNetwork,
} from '../../../../src/drivers/criu/host/network.ts';
import { rulesOf, SCRIPT } from '../../../../src/drivers/criu/host/network-rules.ts';
import { runCommand } from '../../../../lab/command.ts';

const skip = process.getuid?.() === 0 ? false : 'only root makes namespaces';
const SIGNAL = new AbortController().signal;

/** A process in a network namespace of its own. */
async function namespace(t: TestContext): Promise<number> {
  const words = ['--net', 'sh', '-c', 'ip link set lo up; echo ready; read word'];
  const child = spawn('unshare', words, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

const inside = (pid: number, ...argv: string[]): Promise<string> =>
  runCommand(['nsenter', '-t', String(pid), '-n', ...argv]);

/** A host with a bridge, and a container's namespace with a veth on it. */
async function container(t: TestContext) {
  const [host, pid] = [await namespace(t), await namespace(t)];
  const run = (argv: readonly string[]): Promise<string> =>
    // What enters a namespace by itself comes from its host all the same.
    inside(host, ...argv);
  await run(['ip', 'link', 'add', 'br0', 'type', 'bridge']);
  const peer = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', String(pid)];
  await run(['ip', 'link', 'add', 'port0', ...peer]);
  await run(['ip', 'link', 'set', 'port0', 'master', 'br0', 'up']);
  const ip = (...words: string[]) => inside(pid, 'ip', ...words);
  await ip('addr', 'add', '192.0.2.5/24', 'dev', 'eth0');
  await ip('addr', 'add', '2001:db8::5/64', 'dev', 'eth0', 'nodad');
  await ip('link', 'set', 'eth0', 'up');
  await ip('route', 'add', 'default', 'via', '192.0.2.1');
  await ip('route', 'add', '198.51.100.0/24', 'via', '192.0.2.9');
  await ip('route', 'add', '203.0.113.7', 'dev', 'eth0');
  await ip('-6', 'route', 'add', 'default', 'via', '2001:db8::1');
  return { pid, run, ip };
}

/** Each makes one thing that nobody makes anew, and what it is called. */
const LOST: readonly (readonly [string, string])[] = [
  ['nft add table inet shop', 'nft table inet shop'],
  ['tc qdisc add dev eth0 root tbf rate 1mbit burst 32k latency 50ms', 'tbf on eth0'],
  ['tc qdisc add dev eth0 ingress', 'ingress on eth0'],
  ['ip rule add from 192.0.2.5 pref 100 table 100', 'routing rule 100'],
  ['ip -6 rule add from 2001:db8::5 pref 101 table 100', 'routing rule 101'],
  ['ip route add 10.1.0.0/16 via 192.0.2.1 table 100', 'route 10.1.0.0/16'],
  ['ip route add blackhole 10.2.0.0/16', 'route 10.2.0.0/16'],
  ['ip route add 10.3.0.0/16 nexthop via 192.0.2.1 nexthop via 192.0.2.2', 'route 10.3.0.0/16'],
  ['ip route add 10.4.0.0/16 via 192.0.2.1 mtu 1200', 'route 10.4.0.0/16'],
  ['ip route add 10.5.0.0/16 via inet6 2001:db8::1 dev eth0', 'route 10.5.0.0/16'],
  ['ip route add 10.6.0.0/16 via 192.0.2.1 src 192.0.2.5', 'route 10.6.0.0/16'],
  ['ip route add local 10.7.0.0/16 dev lo', 'route 10.7.0.0/16'],
  ['ip -6 route add local 2001:db8:7::/64 dev lo', 'route 2001:db8:7::/64'],
  ['ip route add default via 192.0.2.2 metric 50', 'route default'],
  ['ip neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev eth0', 'permanent neighbour 192.0.2.7'],
  ['ip addr add 192.0.2.99/32 dev lo', 'address 192.0.2.99 of lo'],
  ['ip link add inner0 type bridge', 'inner0'],
  ['ip link add one0 type veth peer name other0', 'one0'],
];

test(
  'network settings that are not recreated are refused by name, each with its fix',
  { skip },
  async (t) => {
    const { pid, run } = await container(t);
    assert.deepEqual((await networkOf(run, pid, SIGNAL)).obstacles, []);
    for (const [command] of LOST) await inside(pid, 'sh', '-c', command);
    const { obstacles, unseen } = await networkOf(run, pid, SIGNAL);
    const names = obstacles.map(({ device }) => device);
    for (const [command, name] of LOST)
      assert.ok(names.includes(name), `${command}: ${names.join()}`);
    for (const { hint, reason } of obstacles) assert.ok(hint !== '' && reason !== '');
    const table = obstacles.find(({ type }) => type === 'packet filter');
    assert.match(table?.hint ?? '', /`nft delete table inet shop`/);
    assert.deepEqual(unseen, []);
  },
);

test(
  'addresses and plain routes of a container are the same at the destination',
  { skip },
  async (t) => {
    const { pid, run, ip } = await container(t);
    const { nics, obstacles } = await networkOf(run, pid, SIGNAL);
    assert.deepEqual(obstacles, []);
    const made = networkNames(
      `t${process.pid}`,
      nics.map(({ nic }) => nic),
    );
    try {
      await makeNetwork(
        run,
        made,
        nics.map(({ nic }) => nic),
        (bridge) => bridge,
        SIGNAL,
      );
      await run(['ip', 'link', 'set', made.nics[0]?.port ?? '', 'up']);
      const there = (...words: string[]) => run(['ip', '-n', made.netns, ...words]);
      const words = (text: string): string[] =>
        text
          .split('\n')
          .map((line) => line.replace(/ (onlink|linkdown|metric \d+|pref \w+)/g, '').trim())
          .filter((line) => !line.startsWith('fe80') && line !== '')
          .toSorted();
      for (const family of ['-4', '-6']) {
        assert.deepEqual(
          words(await there(family, 'route')),
          words(await ip(family, 'route')),
          family,
        );
        const global = [family, '-o', 'addr', 'show', 'dev', 'eth0', 'scope', 'global'];
        const address = (text: string): string[] =>
          [...text.matchAll(/inet6? (\S+)/g)].map(([, each = '']) => each);
        assert.deepEqual(address(await there(...global)), address(await ip(...global)));
      }
      assert.match(
        await there('-o', 'link', 'show', 'eth0'),
        new RegExp(nics[0]?.nic.mac ?? 'none'),
      );
    } finally {
      await removeNetwork(run, made);
    }
  },
);

test('settings that could not be examined are reported, and do not count as an answer', () => {
  const text = SCRIPT.split('\n')
    .map((line) => `${/== \d+/.exec(line)?.[0]}\nunseen\n`)
    .join('');
  const { obstacles, unseen } = rulesOf(text);
  assert.deepEqual(obstacles, []);
  assert.equal(unseen.length, SCRIPT.split('\n').length);
  assert.deepEqual(rulesOf('').unseen, unseen);
});

test('settings that are not understood are reported as well, and fail no check', () => {
  const text = SCRIPT.split('\n')
    .map((line) => `${/== \d+/.exec(line)?.[0]}\nnetlink: Error: cache {\n`)
    .join('');
  const { unseen } = rulesOf(text);
  assert.ok(unseen.includes('rules of nft') && unseen.includes('routes'), unseen.join());
});

test("the host's own network is not examined for a container that uses it", async () => {
  const run = (): Promise<string> => Promise.reject(new Error('somebody looks'));
  assert.deepEqual((await networkOf(run, process.pid, SIGNAL)).obstacles, []);
  const { obstacles } = await networkOf(run, process.pid, SIGNAL, '/proc/1/ns/net');
  assert.deepEqual(
    obstacles.map(({ device, reason }) => `${device}: ${reason}`),
    ['the network namespace: it is the host’s own'],
  );
});
