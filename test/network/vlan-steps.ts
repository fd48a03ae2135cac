/**
 * Run by vlan.e2e.ts in namespaces of its own, and nowhere else: the network of a lab with VLANs, with a guest that is a
 * namespace. What a host of it does, this program does there (`host ACTION`); the story is reported on standard output.
 */
import { execFileSync } from 'node:child_process';
import { guestPortSteps } from '../../lab/guest-port.ts';
import { buildNetwork, makeNamespaces } from '../../lab/namespaces.ts';
import { networkSteps } from '../../lab/network-plan.ts';
import { namespaceOf, namespacesOf, type LabPlan } from '../../lab/plan.ts';
import { readNetwork } from '../../src/network/host.ts';
import { mapNic } from '../../src/network/mapping.ts';
import { makePort, readNics } from '../../src/network/port.ts';
import { askSegment } from '../../src/network/segment/ask-segment.ts';
import { openProbePort } from '../../src/network/segment/probe-port.ts';
import { nicNetworks } from '../../src/protocol/network.ts';

const MAC = '52:54:00:00:00:21';
const ADDRESS = '10.88.0.21';
const signal = AbortSignal.timeout(120_000);

function sh(script: string): string {
  return execFileSync('sh', ['-ec', script], { stdio: ['ignore', 'pipe', 'inherit'] }).toString();
}

/** Where the guest would be on this host; its port is made, twice as by a mover that takes over, and its segment asked. */
async function arrive(reported: string): Promise<object> {
  const [nic] = nicNetworks.parse(JSON.parse(reported));
  if (nic === undefined) throw new Error('no NIC was read');
  const facts = await readNetwork({}, signal);
  const mapping = mapNic(nic, { asked: {}, configured: {} }, facts);
  const { attachment } = nic;
  if (!mapping.ok || mapping.landing.kind !== 'bridge' || attachment.kind !== 'bridge')
    throw new Error(JSON.stringify(mapping));
  for (const _time of [1, 2]) await makePort(mapping.landing, 'gw0', {}, signal);
  const vlan = { mode: 'access', tag: 20 } as const;
  const other = mapNic(
    { ...nic, attachment: { ...attachment, vlan } },
    { asked: {}, configured: {} },
    facts,
  );
  const port = await openProbePort('m-vlan0001', mapping.landing, signal);
  const heard = await askSegment(port, [{ address: ADDRESS }], (some) => some.length > 0, signal);
  await port.close();
  return {
    vlans: facts.vlans.length > 0 && (JSON.parse(sh('bridge -j vlan show dev gw0')) as unknown),
    other: other.ok ? 'found' : other.what,
    heard,
  };
}

function on(host: string, action: string, reported = ''): string {
  const own = [process.execPath, import.meta.filename, 'host', action, reported];
  return execFileSync('ip', ['netns', 'exec', namespaceOf('vlan', host), ...own]).toString();
}

async function report(): Promise<object> {
  const rest = { linkBytesPerSecond: undefined, delayMs: undefined };
  const plan: LabPlan = { name: 'vlan', hosts: ['a', 'b'], network: 'vlan', ...rest };
  const lab = { ...plan, dir: '/run', entry: { kind: 'root' } } as const;
  sh('mount -t tmpfs run /run; mkdir -p /run/netns; ip netns add guest');
  await makeNamespaces(lab.entry, namespacesOf(plan), signal);
  await buildNetwork(lab, networkSteps(plan), signal);
  const veth = `link add tap1 type veth peer name eth0 address ${MAC} netns guest`;
  const steps = guestPortSteps(plan, 'a', 'tap1', { address: ADDRESS }).map((step) => ({
    ...step,
    lines: step.lines.map((line) => (line.startsWith('tuntap') ? veth : line)),
  }));
  await buildNetwork(lab, steps, signal);
  sh(`ip -n guest addr add ${ADDRESS}/24 dev eth0; ip -n guest link set eth0 up`);
  const nics = on('a', 'read');
  const arrived = JSON.parse(on('b', 'arrive', nics)) as object;
  return { nics: JSON.parse(nics) as object, ...arrived };
}

const [, , isHost, action, reported = ''] = process.argv;
const read = (): Promise<unknown> => readNics([{ id: 'net0', mac: MAC, port: 'tap1' }], signal);
const story = isHost === undefined ? report() : action === 'read' ? read() : arrive(reported);
process.stdout.write(JSON.stringify(await story));
