/** Run by dark.e2e.ts in an empty network namespace, and nowhere else; prints what it saw. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { whyNotDark } from '../../src/host/watch-dark-host.ts';
import { ip } from '../../src/network/ip.ts';

const SILENCE_MS = 5000;
const signal = AbortSignal.timeout(60_000);

async function line(words: string): Promise<void> {
  const { status, reason } = await ip(words.split(' '), signal);
  if (status !== 0) throw new Error(`ip ${words}: ${reason}`);
}

/** Other hosts, over each of the ways. */
const OTHERS = ['10.9.9.3:7400', '10.8.9.3:7400', '10.7.7.3:7400'];
const lookWith = async (others: string[], addresses: string[]): Promise<string> =>
  (await whyNotDark(addresses, others, SILENCE_MS, signal)) ?? 'dark';
const look = (...addresses: string[]): Promise<string> => lookWith(OTHERS, addresses);

// The other host: a kernel without an agent, and a router. It says so once it has its namespace.
const other = spawn(
  'unshare',
  ['--net', 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo ready; exec sleep 60'],
  {
    stdio: ['ignore', 'pipe', 'inherit'],
  },
);
try {
  await once(other.stdout, 'data');
  const there = async (words: string): Promise<void> => {
    const argv = ['-t', String(other.pid), '-n', 'ip', ...words.split(' ')];
    const [status] = await once(spawn('nsenter', argv, { stdio: 'inherit' }), 'exit');
    if (status !== 0) throw new Error(`there: ip ${words}`);
  };
  await line('link add br0 type bridge');
  for (const way of [0, 1]) {
    await line(`link add up${way} type veth peer name far${way}`);
    await line(`link set far${way} netns ${other.pid}`);
    await there(`addr add 10.${9 - way}.9.2/24 dev far${way}`);
    await there(`addr add 10.${9 - way}.9.3/24 dev far${way}`);
    await there(`link set far${way} up`);
  }
  await line('link set up0 master br0 up');
  for (const [dev, address] of [
    ['br0', '10.9.9.1/24'],
    ['up1', '10.8.9.1/24'],
  ]) {
    await line(`link set ${dev} up`);
    await line(`addr add ${address} dev ${dev}`);
  }
  await there('link set lo up');
  await line('route add 10.7.7.0/24 via 10.9.9.2');
  await there('route add unreachable 10.7.7.0/24');
  await there('addr add 10.7.7.3/32 dev lo');

  const [alone, alive, nobody, routed] = await Promise.all([
    lookWith(['10.8.9.3:7400'], ['10.9.9.77:7400']),
    look('10.9.9.2:7400'),
    look('10.9.9.77:7400'),
    look('10.7.7.2:7400'),
  ]);
  // Its address is gone, as with a host that is off; this host's cable is well.
  await there('addr del 10.8.9.2/24 dev far1');
  // The second of a network goes with the first.
  await there('addr replace 10.8.9.3/24 dev far1');
  const [switchedOff, onePathAlive] = await Promise.all([
    look('10.8.9.2:7400'),
    look('10.8.9.2:7400', '10.9.9.2:7400'),
  ]);
  await there('link set far0 down');
  await there('link set far1 down');
  const [ownCable, belowBridge] = await Promise.all([look('10.8.9.2:7400'), look('10.9.9.2:7400')]);
  await line('link set br0 down');
  const ownLinkDown = await look('10.9.9.2:7400');
  const seen = { alone, alive, nobody, routed, switchedOff, onePathAlive };
  process.stdout.write(JSON.stringify({ ...seen, ownCable, belowBridge, ownLinkDown }));
} finally {
  other.kill();
}
