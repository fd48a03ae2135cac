/**
 * Run by handover.e2e.ts in a namespace of its own, and nowhere else. Two network namespaces in it are two hosts; what
 * a host does, this program does in its namespace (`host ACTION`), and the whole story is reported on standard output.
 */
import { execFileSync } from 'node:child_process';
import { hasCode } from '../../src/errors.ts';
import { readNetwork } from '../../src/network/host.ts';
import { mapNic } from '../../src/network/mapping.ts';
import {
  announcePort,
  makePort,
  readNics,
  removePort,
  settleForwarding,
  withdrawPort,
} from '../../src/network/port.ts';
import { nicNetworks } from '../../src/protocol/network.ts';

const MAC = '52:54:00:00:00:02';
const RULES = { prefixes: ['10.88.0.0/24', 'fd88::/64', '169.254.1.1/32'], hosts: [] };
const signal = AbortSignal.timeout(60_000);
const NICS = [
  { id: 'net0', mac: MAC, port: 'tap0' },
  { id: 'net1', mac: '52:54:00:00:00:03', port: 'tap1' },
];

/** What one host does; each of it twice, as a mover that takes over would. */
async function act(action: string, reported: string): Promise<unknown> {
  if (action === 'read') return readNics(NICS, signal);
  const nics = nicNetworks.parse(JSON.parse(reported));
  const refused: string[] = [];
  for (const _time of [1, 2]) {
    for (const nic of nics) {
      const port = `gw${nic.id}`;
      if (action === 'prepare') {
        const facts = await readNetwork({}, signal);
        const mapping = mapNic(nic, { asked: {}, configured: {} }, facts, RULES);
        if (!mapping.ok) throw new Error(mapping.what);
        await makePort(mapping.landing, port, {}, signal);
      }
      if (action === 'announce') await announcePort(nic, port, signal);
      if (action === 'announce taken') refused.push(await codeOf(announcePort(nic, port, signal)));
      if (action === 'withdraw') await withdrawPort(nic, signal);
      if (action === 'remove') await removePort(nic.port, signal);
    }
    if (action === 'announce') {
      const ports = Object.fromEntries(nics.map(({ id }) => [id, `gw${id}`]));
      await settleForwarding(nics, ports, signal);
    }
  }
  return refused;
}

async function codeOf(work: Promise<void>): Promise<string> {
  return work.then(
    () => 'done',
    (error: unknown) => (hasCode(error, 'GODWIT_ROUTE_TAKEN') ? error.code : String(error)),
  );
}

function sh(script: string): void {
  execFileSync('sh', ['-ec', script], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function on(host: string, action: string, reported = ''): string {
  const own = [process.execPath, import.meta.filename, 'host', action, reported];
  return execFileSync('ip', ['netns', 'exec', host, ...own]).toString();
}

/** How a host leads to the guest. */
function state(host: string): object {
  const words = (...argv: string[]): string[] =>
    execFileSync('ip', ['netns', 'exec', host, ...argv])
      .toString()
      .split('\n')
      .map((line) => line.replaceAll(/ (linkdown|pref medium|metric 1024)/g, '').trim())
      .filter((line) => /10\.88\.|fd88::21|52:54:00:00:00:02.* dst |(tap|gwnet)\d:/.test(line))
      .map((line) => line.replace(/^\d+: (\w+):.*/, '$1'));
  return {
    routes: [...words('ip', '-4', 'route'), ...words('ip', '-6', 'route')],
    tunnel: words('bridge', 'fdb', 'show', 'dev', 'vx'),
    ports: words('ip', '-o', 'link'),
    settings: settings(host),
  };
}

/** What a guest's port in the bridge of a host has of its own, as the kernel reports it. */
function settings(host: string): string[] {
  const show = ['netns', 'exec', host, 'bridge', '-d', 'link', 'show'];
  const on = /(isolated|guard|hairpin) on|(learning|flood|bcast_flood) off/g;
  const [, ...ports] = execFileSync('ip', show)
    .toString()
    .split(/^\d+: /m);
  const entries = ['netns', 'exec', host, 'bridge', 'fdb', 'show', 'br', 'br0'];
  const fixed = execFileSync('ip', entries).toString().split('\n');
  return [
    ...ports.flatMap((port) => (/^(tap|gwnet)/.test(port) ? (port.match(on) ?? []) : [])),
    ...fixed.filter((line) => /^52:54.* static/.test(line)).map((line) => line.trim()),
  ];
}

function build(): void {
  sh('mount -t tmpfs run /run; ip netns add a; ip netns add b');
  sh('ip -n a link add u0 type veth peer name u0 netns b');
  for (const [host, own, other] of [
    ['a', '10.0.0.1', '10.0.0.2'],
    ['b', '10.0.0.2', '10.0.0.1'],
  ]) {
    sh(`ip -n ${host} addr add ${own}/24 dev u0; ip -n ${host} link set u0 up; ip -n ${host} link set lo up
      ip -n ${host} link add br0 type bridge; ip -n ${host} link set br0 up
      ip -n ${host} link add vx mtu 1500 type vxlan id 7 local ${own} dev u0 dstport 4789 nolearning
      ip -n ${host} link set vx master br0 up
      bridge -n ${host} fdb append 00:00:00:00:00:00 dev vx dst ${other}`);
  }
  sh(`bridge -n b fdb add ${MAC} dev vx dst 10.0.0.1
    ip -n a tuntap add dev tap0 mode tap; ip -n a link set tap0 master br0 up
    bridge -n a link set dev tap0 isolated on guard on learning off flood off bcast_flood off
    bridge -n a fdb add ${MAC} dev tap0 master static
    ip -n a tuntap add dev tap1 mode tap; ip -n a link set tap1 up address 0a:00:00:00:00:01
    ip -n a addr add 169.254.1.1/32 dev tap1
    ip -n a route add 10.88.0.21/32 dev tap1; ip -n a -6 route add fd88::21/128 dev tap1
    ip netns exec a sh -c 'echo 1 >/proc/sys/net/ipv4/conf/tap1/proxy_arp'`);
}

if (process.argv[2] === 'host') {
  const [, , , action = '', reported = ''] = process.argv;
  process.stdout.write(JSON.stringify((await act(action, reported)) ?? null));
} else {
  build();
  const nics = on('a', 'read');
  const story: Record<string, object> = { nics: JSON.parse(nics) as object };
  const report = (when: string): void => {
    story[when] = { a: state('a'), b: state('b') };
  };
  report('before');
  on('b', 'prepare', nics);
  report('prepared');
  // Somebody else's, that came after the guest was let in.
  sh('ip -n b route add 10.88.0.21/32 via 10.0.0.1; ip -n b -6 route add blackhole fd88::21/128');
  story['refused'] = JSON.parse(on('b', 'announce taken', nics)) as object;
  const port = nics.replaceAll('"tap1"', '"gwnet1"');
  on('b', 'withdraw', port);
  report('taken');
  sh('ip -n b route del 10.88.0.21/32 via 10.0.0.1; ip -n b -6 route del blackhole fd88::21/128');
  on('b', 'announce', nics);
  on('a', 'withdraw', nics);
  report('handed over');
  on('a', 'remove', nics);
  report('done');
  process.stdout.write(JSON.stringify(story));
}
