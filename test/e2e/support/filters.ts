/** Hosts of a lab whose bridges drop what their connection tracking does not know. */
import { runCommand } from '../../../lab/command.ts';
import { inHost } from '../../../lab/entry.ts';
import type { Lab } from '../../../lab/state.ts';

/** A connection may begin, with its first segment and no other, and goes on as long as it is known. */
const RULES = `
table inet filter {
  counter lost { }
  chain forward {
    type filter hook forward priority 0; policy drop;
    meta l4proto icmpv6 accept
    ct state established,related accept
    ct state new tcp flags & (syn | ack) == syn accept
    meta l4proto tcp counter name lost
  }
}
`;

export async function filterBridges({ lab }: { readonly lab: Lab }): Promise<void> {
  for (const host of lab.hosts) {
    const filtered = 'link set dev br0 type bridge nf_call_iptables 1 nf_call_ip6tables 1';
    await runCommand(inHost(lab, host, ['ip', ...filtered.split(' ')]));
    await runCommand(inHost(lab, host, ['nft', '-f', '-']), { input: RULES });
  }
}

/** How many segments a host has dropped, since it did not know their connection. */
export async function droppedAt(lab: Lab, host: string): Promise<number> {
  const argv = ['nft', 'list', 'counter', 'inet', 'filter', 'lost'];
  const text = await runCommand(inHost(lab, host, argv));
  return Number(/packets (\d+)/.exec(text)?.[1] ?? Number.NaN);
}

/** How often a host tracks the connection that a client has from `port`. */
export async function trackedAt(lab: Lab, host: string, port: number): Promise<number> {
  const listed = ['conntrack', '-L', '-p', 'tcp', '--orig-port-src', `${port}`];
  return (await runCommand(inHost(lab, host, listed))).split('\n').length - 1;
}
