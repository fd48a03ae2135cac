/** Runs in namespaces of its own; prints what each look at the port found, and how long it took. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { changedPorts } from '../../src/migration/guest-changes/ports.ts';
import { PortLooks } from '../../src/network/port-look.ts';
import { portSysctls, withPortRules } from '../../src/network/port-rules.ts';
import { readNics } from '../../src/network/port.ts';

const MAC = '52:54:00:00:00:02';
const signal = AbortSignal.timeout(60_000);
const run = (line: string): void => {
  const [tool = '', ...words] = line.split(' ');
  execFileSync(tool, words);
};

for (const line of [
  'ip link add br0 type bridge',
  'ip link add br1 type bridge',
  'ip tuntap add tap0 mode tap',
  'ip link set tap0 master br0 up',
  'bridge link set dev tap0 guard on',
  `bridge fdb add ${MAC} dev tap0 master static`,
]) {
  run(line);
}

const before = await withPortRules(
  await readNics([{ id: 'net0', mac: MAC, port: 'tap0' }], signal),
  signal,
);
const looks = new PortLooks();
const found: Record<string, string[]> = {};
const look = async (name: string, ...changes: string[]): Promise<void> => {
  for (const change of changes) run(change);
  const now = await looks.look(before, signal);
  looks.ahead(signal);
  found[name] = changedPorts(before, now).map(({ words }) => words);
};
await look('same');
await look('isolated', 'bridge link set dev tap0 isolated on');
await look('limited', 'tc qdisc add dev tap0 root tbf rate 10mbit burst 32k latency 50ms');
await look('policed', 'tc qdisc add dev tap0 ingress');
await look(
  'back',
  'tc qdisc del dev tap0 root',
  'tc qdisc del dev tap0 ingress',
  'bridge link set dev tap0 isolated off',
);
await look('unguarded', 'bridge link set dev tap0 guard off');
await look('forgotten', `bridge fdb del ${MAC} dev tap0 master`);
await look('down', 'ip link set tap0 down');
await look('moved', 'ip link set tap0 master br1');
run('ip link del tap0');
const gone = await looks.look(before, signal).catch((error: Error) => error.message);
run('ip tuntap add tap9 mode tap');
run('ip link set tap9 up mtu 1400');
const sysctls = [await portSysctls('tap9')];
writeFileSync('/proc/sys/net/ipv4/conf/tap9/accept_local', '1');
sysctls.push(await portSysctls('tap9'));
process.stdout.write(JSON.stringify({ found, gone, sysctls }));
process.exit(0);
