/** Run by tap.e2e.ts in an empty network namespace, and nowhere else; prints what it saw. */
import { ip } from '../../src/network/ip.ts';
import { bridgeOf, createTap, removeTap } from '../../src/network/tap.ts';

const signal = AbortSignal.timeout(20_000);
await ip(['link', 'add', 'br0', 'mtu', '1400', 'type', 'bridge'], signal);
await ip(['link', 'set', 'br0', 'up'], signal);
const plan = { name: 'tapx0', bridge: 'br0', multiQueue: true };
const made = await createTap(plan, signal);
const again = await createTap(plan, signal);
const bridge = await bridgeOf('tapx0', signal);
const { output } = await ip(['-j', '-d', 'link', 'show', 'dev', 'tapx0'], signal);
const [link] = JSON.parse(output) as { mtu: number; linkinfo: { info_data: object } }[];
const queues = JSON.stringify(link?.linkinfo).includes('"multi_queue":true');
await removeTap('tapx0', signal);
await removeTap('tapx0', signal);
const gone = (await bridgeOf('tapx0', signal)) ?? null;
process.stdout.write(JSON.stringify({ made, again, bridge, mtu: link?.mtu, queues, gone }));
