import { BlockList, isIPv4 } from 'node:net';
import { godwitError, type GodwitError } from '../../errors.ts';
import type { AdmittedGuest, WatchOrder } from '../../protocol/peer/probe.ts';

/** Knowledge of a host, independent of other hosts' claims. */
export interface OwnKnowledge {
  readonly configured: readonly string[];
  /** Addresses of this host and other hosts, which cannot be a guest's. */
  readonly hosts: readonly string[];
}

/**
 * Reason to refuse a watch order of `sender`, since a host that moves a guest must not choose what others probe.
 * Undefined if the order only concerns the guest that the destination reports as admitted. Pure.
 */
export function wrongWatch(
  sender: string,
  order: WatchOrder,
  admitted: AdmittedGuest,
  own: OwnKnowledge,
): GodwitError | undefined {
  const refuse = (what: string): GodwitError => notWatched(sender, order.guest, what);
  if (admitted.from !== sender) return refuse(`${order.id} is a migration of ${admitted.from}`);
  if (admitted.guest !== order.guest) return refuse(`${order.id} moves ${admitted.guest}`);
  const macs = new Map((admitted.nics ?? []).map(({ mac, addresses }) => [mac, addresses]));
  const hosts = listOf(own.hosts);
  for (const { mac, addresses } of order.nics) {
    const known = macs.get(mac);
    if (known === undefined) return refuse(`it has no NIC ${mac}`);
    const allowed = listOf([...known, ...own.configured]);
    for (const address of addresses) {
      if (!has(allowed, address)) return refuse(`${address} is not an address of ${mac}`);
      if (has(hosts, address)) return refuse(`${address} is a host’s own address`);
    }
  }
  return undefined;
}

/** Same for a managed guest: this host only probes addresses from its own configuration. Pure. */
export function wrongManagedWatch(
  sender: string,
  { guest, nics }: Pick<WatchOrder, 'guest' | 'nics'>,
  own: OwnKnowledge,
): GodwitError | string | undefined {
  if (nics.length > 0) return notWatched(sender, guest, 'nobody has admitted its NICs');
  if (own.configured.length === 0)
    return 'no address of the guest is named under `network.probe.addresses` there';
  const hosts = listOf(own.hosts);
  const taken = own.configured.find((address) => has(hosts, address));
  if (taken === undefined) return undefined;
  return notWatched(sender, guest, `${taken} is a host’s own address`);
}

const HINT =
  'Name addresses that no host sees under `network.probe.addresses` of every host that watches; upgrade hosts of an earlier build.';

/** GODWIT_PROTOCOL_INVALID for an invalid watch order. */
export function notWatched(sender: string, guest: string, what: string): GodwitError {
  const facts = { peer: sender, expected: `a watch of an admitted guest (${guest})`, what };
  return godwitError('GODWIT_PROTOCOL_INVALID', facts, { hint: HINT });
}

function listOf(addresses: readonly string[]): BlockList {
  const list = new BlockList();
  for (const address of addresses) {
    try {
      list.addAddress(address, family(address));
    } catch {
      // The address schema is looser than the kernel; an invalid address has no owner.
      continue;
    }
  }
  return list;
}

/** Compares like the kernel, because an address has several spellings. */
function has(list: BlockList, address: string): boolean {
  try {
    return list.check(address, family(address));
  } catch {
    return false;
  }
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIPv4(address) ? 'ipv4' : 'ipv6';
}
