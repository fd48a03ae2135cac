import { readFile } from 'node:fs/promises';
import { godwitError } from '../../errors.ts';
import type { NicNetwork } from '../../protocol/network.ts';
import { addressesTracked } from '../connections/table.ts';
import { askSegment } from './ask-segment.ts';
import { isSingle } from './frames.ts';
import { openProbePort, type ProbePort } from './probe-port.ts';

/** Addresses of a NIC that a peer receives. */
const MAX = 64;
const MAX_CANDIDATES = 512;

/**
 * A bridge sees MACs but no addresses. Asks the guest's MAC for addresses with tracked connections here; those it
 * answers for are the guest's. Does nothing if bridged frames are not tracked.
 */
export async function learnAddresses(
  nics: readonly NicNetwork[],
  migrationId: string,
  signal: AbortSignal,
): Promise<NicNetwork[]> {
  const filtered = await Promise.all(nics.map(isFiltered));
  const tracked = filtered.includes(true) ? await addressesTracked(signal) : [];
  const known = new Set(nics.flatMap(({ addresses }) => addresses));
  const strange = tracked.filter((each) => isSingle(each) && !known.has(each));
  const candidates = strange.slice(0, MAX_CANDIDATES);
  if (candidates.length === 0) return [...nics];
  const learned: NicNetwork[] = [];
  for (const [index, nic] of nics.entries()) {
    const { attachment, mac, addresses } = nic;
    const found =
      attachment.kind === 'bridge' && filtered[index] === true
        ? await ownOf(mac, candidates, await openProbePort(migrationId, attachment, signal), signal)
        : [];
    learned.push({ ...nic, addresses: [...addresses, ...found].slice(0, MAX) });
  }
  if (
    strange.length > candidates.length &&
    learned.every(({ addresses: all }) => all.length === 0)
  ) {
    const what = `a table of connections in which the guest's can be found (it speaks of ${strange.length} addresses)`;
    throw godwitError('GODWIT_HOST_LACKS', { what });
  }
  return learned;
}

async function isFiltered({ attachment }: NicNetwork): Promise<boolean> {
  if (attachment.kind !== 'bridge') return false;
  const settings = [
    `/sys/class/net/${attachment.bridge}/bridge/nf_call_iptables`,
    `/sys/class/net/${attachment.bridge}/bridge/nf_call_ip6tables`,
    '/proc/sys/net/bridge/bridge-nf-call-iptables',
    '/proc/sys/net/bridge/bridge-nf-call-ip6tables',
    // Bridge family rules, the newer way; the file exists while they are used.
    '/sys/module/nf_conntrack_bridge/refcnt',
  ];
  const read = settings.map((file) => readFile(file, 'utf8').catch(() => '0'));
  return (await Promise.all(read)).some((text) => text.trim() !== '0');
}

/** Addresses that the MAC answers for. Closes the port. */
async function ownOf(
  to: string,
  addresses: readonly string[],
  port: ProbePort,
  signal: AbortSignal,
): Promise<string[]> {
  try {
    const questions = addresses.map((address) => ({ address, to }));
    const heard = await askSegment(port, questions, (some) => some.length > 0, signal);
    return heard.filter(({ mac }) => mac === to).map(({ address }) => address);
  } finally {
    await port.close();
  }
}
