/**
 * Run by probe.e2e.ts in a namespace of its own, and nowhere else: a guest behind a bridge of one host, and another
 * host that is either in its segment or routes to it. Watches the guest from the other host, cuts it off meanwhile, and
 * prints what was seen, and what is left there.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { watcherProcess } from '../../src/agent/processes/watcher-process.ts';
import { systemClock } from '../../src/clock.ts';
import { probing } from '../../src/protocol/peer/probe.ts';
import type { NicNetwork } from '../../src/protocol/network.ts';

const MAC = '52:54:00:00:00:21';
const ADDRESS = '10.9.0.21';
const CUT_MS = 400;
const SOME_MS = 600;

function sh(script: string): string {
  return execFileSync('sh', ['-ec', script], { stdio: ['ignore', 'pipe', 'inherit'] }).toString();
}

function build(): void {
  sh(`mount -t tmpfs run /run; for n in near far guest; do ip netns add $n; ip -n $n link set dev lo up; done
    ip -n near link add br0 type bridge forward_delay 0; ip -n near link set dev br0 up
    ip -n guest link add eth0 address ${MAC} type veth peer name tap0 netns near
    ip -n near link set dev tap0 mtu 9000; ip -n near link set dev tap0 master br0 up; ip -n guest link set dev eth0 up
    ip -n guest addr add ${ADDRESS}/24 dev eth0
    ip -n near link add far0 type veth peer name up0 netns far
    ip -n near addr add 10.9.0.1/24 dev br0; ip -n near addr add 10.8.0.1/24 dev far0; ip -n near link set dev far0 up
    ip -n far addr add 10.8.0.2/24 dev up0; ip -n far link set dev up0 up; ip -n far route add default via 10.8.0.1
    ip -n guest route add default via 10.9.0.1; ip netns exec near sysctl -q net.ipv4.ip_forward=1`);
}

const attachment = { kind: 'bridge', bridge: 'br0', mtu: 1500 } as const;
const nic: NicNetwork = { id: 'net0', mac: MAC, port: 'tap0', addresses: [ADDRESS], attachment };

async function watch(host: 'near' | 'far', how: object, addresses = [ADDRESS]): Promise<object> {
  const line = { verb: 'watch', owner: `m-${host}`, bridges: {}, leaseMs: 60_000 } as const;
  const started = watcherProcess(
    { ...line, nics: [{ ...nic, addresses }], probing: probing.parse(how) },
    (argv) => ['ip', 'netns', 'exec', host, ...argv],
  );
  await started.begun;
  // As the host has it while somebody watches: what its own frames may be long.
  const mtu = Number(sh('ip netns exec near cat /sys/class/net/br0/mtu'));
  await systemClock.sleep(SOME_MS);
  sh('ip -n guest link set dev eth0 down');
  await systemClock.sleep(CUT_MS);
  sh('ip -n guest link set dev eth0 up; ip -n guest route replace default via 10.9.0.1');
  const { seen, notTried } = await started.end();
  await started.gone;
  if (seen === undefined) return { notTried };
  const { kind, address, gapMs, sent, answered, isOpen, ownStallMs, intervalMs } = seen;
  // As much of the cut as nobody's delay can hide.
  const isWhole = gapMs + ownStallMs + intervalMs >= CUT_MS;
  return {
    kind,
    address,
    isWhole,
    isOpen,
    fits: answered <= sent,
    answered: answered > 0,
    mtu,
  };
}

if (process.argv[2] === 'web') {
  createServer((_request, response) => response.end('here')).listen(80, ADDRESS);
  process.stdout.write('ready\n');
} else {
  build();
  const { spawn } = await import('node:child_process');
  const own = [process.execPath, import.meta.filename, 'web'];
  const web = spawn('ip', ['netns', 'exec', 'guest', ...own], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => web.stdout.once('data', resolve));
  const story = {
    near: await watch('near', {}),
    nearOverIp: await watch('near', { kind: 'tcp' }),
    far: await watch('far', {}),
    tcp: await watch('far', { kind: 'tcp', ports: [9] }),
    open: await watch('far', { kind: 'tcp', ports: [80] }),
    http: await watch('far', { kind: 'http', http: {} }),
    nobody: await watch('far', {}, []),
    wrong: await watch('far', { kind: 'arp' }),
    links: readdirSync('/sys/class/net').filter((name) => name.startsWith('gw')),
    left: sh('ip -n near -br link')
      .split('\n')
      .filter((line) => line.startsWith('gw')),
  };
  web.kill();
  process.stdout.write(JSON.stringify(story));
}
