/**
 * Run by segment.e2e.ts in a namespace of its own, and nowhere else: a host with a bridge, a guest in it, and another
 * machine that has one of the guest's addresses. Prints what the segment answered, and what the host was left with.
 */
import { execFileSync } from 'node:child_process';
import { askSegment } from '../../src/network/segment/ask-segment.ts';
import { openProbePort } from '../../src/network/segment/probe-port.ts';

const GUEST = '52:54:00:00:00:21';
const TWIN = '52:54:00:00:00:22';
const ADDRESSES = ['10.9.0.21', 'fd09::21', '10.9.0.99', 'fd09::99'];
const signal = AbortSignal.timeout(60_000);

function sh(script: string): string {
  return execFileSync('sh', ['-ec', script], { stdio: ['ignore', 'pipe', 'inherit'] }).toString();
}

if (process.argv[2] === 'host') {
  const links = (): string => sh('ip -br link | sed "s/@.*//" | cut -d" " -f1 | sort | xargs');
  const before = links();
  const port = await openProbePort('m-segment01', { kind: 'bridge', bridge: 'br0' }, signal);
  const during = links();
  const ask = async (to?: string): Promise<string[]> => {
    const questions = ADDRESSES.map((address) => ({
      address,
      ...(to === undefined ? {} : { to }),
    }));
    const heard = await askSegment(port, questions, (some) => some.length > 1, signal);
    return heard.map(({ address, mac }) => `${address} ${mac}`).toSorted();
  };
  const story = { all: await ask(), guest: await ask(GUEST) };
  await port.close();
  const neighbours = sh('ip -n guest neigh show nud reachable; ip -n guest neigh show nud stale');
  const own = { isThere: during !== before, isGone: links() === before };
  process.stdout.write(JSON.stringify({ ...story, ...own, neighbours: neighbours.trim() }));
} else {
  sh(`mount -t tmpfs run /run; for n in host guest twin; do ip netns add $n; ip -n $n link set dev lo up; done
    ip -n host link add br0 type bridge forward_delay 0; ip -n host link set dev br0 up
    ip -n guest link add eth0 address ${GUEST} type veth peer name tap0 netns host
    ip -n twin link add eth0 address ${TWIN} type veth peer name tap1 netns host
    ip -n host link set dev tap0 master br0 up; ip -n host link set dev tap1 master br0 up
    ip -n guest addr add 10.9.0.21/24 dev eth0; ip -n guest addr add fd09::21/64 dev eth0 nodad
    ip -n twin addr add 10.9.0.22/24 dev eth0; ip -n twin addr add fd09::21/64 dev eth0 nodad
    ip -n guest link set dev eth0 up; ip -n twin link set dev eth0 up`);
  const own = [process.execPath, import.meta.filename, 'host'];
  process.stdout.write(execFileSync('ip', ['netns', 'exec', 'host', ...own]));
}
