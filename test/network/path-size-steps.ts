/**
 * Run by path-size.e2e.ts in a namespace of its own, and nowhere else: this is one host, a namespace in it is the other.
 * What is seen of the path is reported on standard output.
 */
import { execFileSync } from 'node:child_process';
import { losesFullPackets } from '../../src/network/path-size.ts';

const OTHER = '10.9.0.2';
const signal = AbortSignal.timeout(30_000);

function sh(script: string): void {
  execFileSync('sh', ['-ec', script], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Frames that never come in at the other host. */
function drops(rule: string): void {
  const chain = `chain in { type filter hook ingress device far priority 0; ${rule} drop; }`;
  sh(`printf 'table netdev path {\\n${chain}\\n}\\n' | ip netns exec other nft -f -`);
}

sh(`mount -t tmpfs run /run; ip netns add other; ip link set dev lo up
  ip link add name near type veth peer name far netns other
  ip addr add 10.9.0.1/24 dev near; ip link set dev near up
  ip -n other addr add ${OTHER}/24 dev far; ip -n other link set dev far up`);
const sound = await losesFullPackets(OTHER, signal);
drops('meta length > 1400');
const narrow = await losesFullPackets(OTHER, signal);
sh('ip link set dev near mtu 1400; ip -n other link set dev far mtu 1400');
const known = await losesFullPackets(OTHER, signal);
sh('ip netns exec other nft flush ruleset');
drops('icmp type echo-request');
const silent = await losesFullPackets(OTHER, signal);
process.stdout.write(JSON.stringify({ sound, narrow, known, silent }));
process.exit();
