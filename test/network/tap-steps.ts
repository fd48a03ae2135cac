/** Run by tap.e2e.ts in an empty network namespace, and nowhere else; prints what it saw. */
import { ip } from '../../src/network/ip.ts';
import { bridgeOf, createTap, mustBeFree, removeTap } from '../../src/network/tap.ts';

const signal = AbortSignal.timeout(20_000);
await ip(['link', 'add', 'br0', 'mtu', '1400', 'type', 'bridge'], signal);
await ip(['link', 'set', 'br0', 'up'], signal);
const uplink = ['link', 'add', 'up0', 'mtu', '1400', 'address', 'fa:00:00:00:00:01'];
await ip([...uplink, 'type', 'veth', 'peer', 'name', 'far0'], signal);
await ip(['link', 'set', 'dev', 'up0', 'master', 'br0'], signal);
const plan = { name: 'tapx0', bridge: 'br0', multiQueue: true };
await mustBeFree('m-00000001', 'tapx0', signal);
const made = await createTap(plan, signal);
const again = await createTap(plan, signal);
const taken = await mustBeFree('m-00000001', 'tapx0', signal).catch(
  (error: { code: string }) => error.code,
);
const host = (await ip(['-br', 'link', 'show', 'dev', 'br0'], signal)).output.split(/\s+/)[2];
const bridge = await bridgeOf('tapx0', signal);
const { output } = await ip(['-j', '-d', 'link', 'show', 'dev', 'tapx0'], signal);
const [link] = JSON.parse(output) as { mtu: number; linkinfo: { info_data: object } }[];
const queues = JSON.stringify(link?.linkinfo).includes('"multi_queue":true');
await removeTap('tapx0', signal);
await removeTap('tapx0', signal);
const owners: unknown[] = [];
for (const owner of [1_879_048_200, 1_879_048_201, 1_879_048_201]) {
  await createTap({ name: 'tapx1', bridge: 'br0', owner }, signal);
  const shown = await ip(['-j', '-d', 'link', 'show', 'dev', 'tapx1'], signal);
  const [tap] = JSON.parse(shown.output) as { linkinfo: { info_data: { user: unknown } } }[];
  owners.push(tap?.linkinfo.info_data.user);
}
const gone = (await bridgeOf('tapx0', signal)) ?? null;
process.stdout.write(
  JSON.stringify({ made, again, taken, bridge, host, mtu: link?.mtu, queues, owners, gone }),
);
