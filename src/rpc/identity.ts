import { isIPv6 } from 'node:net';
import type { Caller } from './caller.ts';
import type { Circle } from './limits.ts';

/** The caller on whom a request is counted. */
export interface Identity {
  readonly circle: Circle;
  /** Alike for all that one caller sends, over whatever connections. */
  readonly key: string;
  /** For error texts. */
  readonly label: string;
}

/**
 * By the name in the certificate; over a unix socket there is one user, its owner. A stranger is its address: whoever
 * shows nothing can be distinguished by nothing else.
 */
export function identityOfCaller(caller: Caller, remoteAddress: string | undefined): Identity {
  const { role } = caller;
  if (role === 'none') return strangerAt(remoteAddress);
  if (role === 'local') return { circle: 'local', key: 'local', label: 'this host’s users' };
  // An administrator is an operator who may more.
  const circle = role === 'admin' ? 'operator' : role;
  return { circle, key: `${role} ${caller.name}`, label: `${caller.name} (${role})` };
}

export function strangerAt(remoteAddress: string | undefined): Identity {
  const network = networkOf(remoteAddress ?? 'an unknown address');
  return { circle: 'stranger', key: `stranger ${network}`, label: `strangers at ${network}` };
}

/** For a route that stands apart: by address, since who calls it has mostly nothing to show yet. */
export function joinerAt(remoteAddress: string | undefined): Identity {
  const network = networkOf(remoteAddress ?? 'an unknown address');
  return { circle: 'join', key: `join ${network}`, label: `joins from ${network}` };
}

const MAPPED = /^::ffff:(?=\d+\.)/i;

/** An IPv4 address, or the /64 of an IPv6 one, of which any host has all addresses. */
export function networkOf(address: string): string {
  const [bare = ''] = address.replace(MAPPED, '').split('%');
  if (!isIPv6(bare)) return bare;
  const [head = '', tail] = bare.split('::', 2);
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...Array.from({ length: zeros }, () => '0'), ...after].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}
