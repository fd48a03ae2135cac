/**
 * Run by connections.e2e.ts in a namespace of its own, and nowhere else. Network namespaces in it are hosts with
 * filtering bridges (a, b, c), a client and a guest, which moves by its cable; what a host does, this program does in
 * its namespace (`host ACTION`), and the whole story is reported on standard output.
 */
import { execFileSync, spawn, type ChildProcessByStdio } from 'node:child_process';
import { connect, createServer } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { createInterface } from 'node:readline';
import type { DestinationState } from '../../src/migration/direct/destination/destination.ts';
import { ArrivedConnections } from '../../src/mover/direct/destination/connections.ts';
import { readConnections } from '../../src/network/connections/table.ts';
import { readNetwork } from '../../src/network/host.ts';
import { learnAddresses } from '../../src/network/segment/learn.ts';
import type { Connection } from '../../src/protocol/peer/connections.ts';
import type { NicNetwork } from '../../src/protocol/network.ts';

const MAC = '52:54:00:00:00:21';
const ADDRESSES = { v4: '10.9.0.21', v6: 'fd09::21' } as const;
const [HOSTS, PORT] = [['a', 'b', 'c'], 7000];
const signal = AbortSignal.timeout(60_000);
const NIC: NicNetwork = {
  id: 'net0',
  mac: MAC,
  port: 'tap0',
  addresses: [],
  attachment: { kind: 'bridge', bridge: 'br0', mtu: 1500 },
};

function sh(script: string): void {
  execFileSync('sh', ['-ec', script], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function argvOn(namespace: string, words: readonly string[]): string[] {
  return ['netns', 'exec', namespace, process.execPath, import.meta.filename, ...words];
}

function on<T>(namespace: string, ...words: string[]): T {
  return JSON.parse(execFileSync('ip', argvOn(namespace, ['host', ...words])).toString()) as T;
}

/** What one host does. */
async function act(action: string, reported: string): Promise<unknown> {
  if (action === 'learn') return (await learnAddresses([NIC], 'm-connections', signal))[0];
  const { nic, fresh = [] } = JSON.parse(reported) as { nic: NicNetwork; fresh?: Connection[] };
  if (action === 'read') return (await readConnections(nic.addresses, signal)).entries;
  const arrived = new ArrivedConnections(async (within) => ({
    facts: await readNetwork({}, within),
    hosts: [],
  }));
  const state = {
    right: 'armed',
    stage: 'prepared',
    admission: { epoch: 1 },
    preparation: { networks: [nic] },
  } as unknown as DestinationState;
  const answer = await arrived.take(
    { epoch: 1, fresh, gone: [], complete: false },
    () => state,
    signal,
  );
  if (action === 'take-and-forget') await arrived.forget(signal);
  return answer;
}

/** Every word that comes is sent back. */
function serveGuest(): void {
  const server = createServer((socket) => socket.pipe(socket));
  server.listen({ host: '::', port: PORT }, () => process.stdout.write('listening\n'));
}

/** A line `ADDRESS` on standard input sends a word over the connection to it; a line comes back with each answer. */
function serveClient(): void {
  const sockets = new Map(
    Object.values(ADDRESSES).map((host: string) => {
      const socket = connect({ host, port: PORT, noDelay: true });
      socket.on('connect', () => process.stdout.write(`connected ${host}\n`));
      socket.on('data', () => process.stdout.write(`answered ${host}\n`));
      return [host, socket];
    }),
  );
  createInterface(process.stdin).on('line', (host) => sockets.get(host)?.write('x'));
}

function build(): void {
  sh(`mount -t tmpfs run /run; for n in ${HOSTS.join(' ')} sw client guest; do ip netns add $n; ip -n $n link set dev lo up; done
    ip -n sw link add lan type bridge forward_delay 0; ip -n sw link set dev lan up`);
  for (const host of HOSTS) {
    sh(`ip -n ${host} link add br0 type bridge forward_delay 0 nf_call_iptables 1 nf_call_ip6tables 1
      ip -n ${host} link add up0 type veth peer name ${host} netns sw
      ip -n ${host} link set dev up0 master br0 up; ip -n ${host} link set dev br0 up; ip -n sw link set dev ${host} master lan up
      ip netns exec ${host} nft -f - <<'RULES'
table inet filter {
  counter lost4 { }
  counter lost6 { }
  chain forward {
    type filter hook forward priority 0; policy drop;
    meta l4proto icmpv6 accept
    ct state established,related accept
    ct state new tcp flags & (syn | ack) == syn accept
    ip protocol tcp counter name lost4 drop
    meta nfproto ipv6 counter name lost6 drop
  }
}
RULES`);
  }
  sh(`ip -n client link add eth0 type veth peer name client netns sw
    ip -n sw link set dev client master lan up
    ip -n guest link add eth0 address ${MAC} type veth peer name tap0 netns a
    ip -n client addr add 10.9.0.10/24 dev eth0; ip -n client addr add fd09::10/64 dev eth0 nodad
    ip -n guest addr add ${ADDRESSES.v4}/24 dev eth0; ip -n guest addr add ${ADDRESSES.v6}/64 dev eth0 nodad
    ip -n client link set dev eth0 up; ip -n guest link set dev eth0 up; ip -n a link set dev tap0 master br0 up`);
}

/** The guest's cable goes over, and it announces itself to the network. */
function carry(from: string, to: string): void {
  sh(`ip -n ${from} link set dev tap0 netns ${to}; ip -n ${to} link set dev tap0 master br0 up
    bridge -n sw fdb replace ${MAC} dev ${to} master static`);
}

type Child = ChildProcessByStdio<Writable, Readable, null>;

function start(namespace: string, role: string): Child {
  return spawn('ip', argvOn(namespace, [role]), { stdio: ['pipe', 'pipe', 'inherit'] });
}

/** Resolves with the next line that the child says. */
function lines(child: Child): () => Promise<string> {
  const iterator = createInterface(child.stdout)[Symbol.asyncIterator]();
  return async () => String((await iterator.next()).value);
}

function isLost(host: string, counter: string): boolean {
  const argv = ['netns', 'exec', host, 'nft', 'list', 'counter', 'inet', 'filter', counter];
  return !/packets 0 /.test(execFileSync('ip', argv).toString());
}

async function story(isHandedOver: boolean): Promise<object> {
  build();
  const guest = start('guest', 'guest');
  try {
    await lines(guest)();
    const client = start('client', 'client');
    try {
      return await storyOf(isHandedOver, client);
    } finally {
      client.kill();
    }
  } finally {
    guest.kill();
  }
}

async function storyOf(isHandedOver: boolean, client: Child): Promise<object> {
  const next = lines(client);
  const answered: Record<string, boolean> = {};
  const dropped: Record<string, boolean> = {};
  const say = async (when: string): Promise<void> => {
    for (const [kind, address] of Object.entries(ADDRESSES)) {
      client.stdin.write(`${address}\n`);
      answered[`${kind} at ${when}`] = (await next()) === `answered ${address}`;
    }
  };
  const connected = [await next(), await next()].toSorted();
  if (!connected.every((line) => line.startsWith('connected'))) throw new Error(connected.join());
  await say('a');
  const nic = on<NicNetwork>('a', 'learn');
  const handOver = (from: string, to: string, action = 'take'): { put: number } => {
    const fresh = on<Connection[]>(from, 'read', JSON.stringify({ nic }));
    return on<{ put: number }>(to, action, JSON.stringify({ nic, fresh }));
  };
  const count = (host: string): number =>
    on<unknown[]>(host, 'read', JSON.stringify({ nic })).length;
  if (!isHandedOver) {
    carry('a', 'b');
    for (const [kind, address] of Object.entries(ADDRESSES)) {
      client.stdin.write(`${address}\n`);
      while (!isLost('b', kind === 'v4' ? 'lost4' : 'lost6')) execFileSync('sleep', ['0.05']);
      dropped[`${kind} at b`] = true;
    }
    return { answered, dropped };
  }
  handOver('a', 'c', 'take-and-forget');
  const { put } = handOver('a', 'b');
  carry('a', 'b');
  await say('b');
  handOver('b', 'a');
  carry('b', 'a');
  await say('a again');
  return { addresses: nic.addresses, put, answered, dropped, left: { c: count('c') } };
}

const [, , role = '', action = '', reported = ''] = process.argv;
if (role === 'host') process.stdout.write(JSON.stringify((await act(action, reported)) ?? null));
else if (role === 'guest') serveGuest();
else if (role === 'client') serveClient();
else process.stdout.write(JSON.stringify(await story(role === 'handed-over')));
