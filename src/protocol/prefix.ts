import { z } from 'zod';

/** `length`: the number of significant bits. */
export interface Prefix {
  readonly width: 32 | 128;
  readonly bits: bigint;
  readonly length: number;
}

/**
 * Parses `10.0.0.0/8`, `fd00::/8`, or an address as a full-length prefix. Undefined for anything else, including names,
 * IPv4 inside IPv6, and zones (`fe80::1%eth0`). Pure.
 */
export function parsePrefix(text: string): Prefix | undefined {
  const [address = '', length, more] = text.split('/');
  const width = address.includes(':') ? 128 : 32;
  const bits = width === 128 ? bitsOfV6(address) : bitsOfV4(address);
  if (bits === undefined || more !== undefined) return undefined;
  if (length === undefined) return { width, bits, length: width };
  if (!/^(0|[1-9][0-9]{0,2})$/.test(length) || Number(length) > width) return undefined;
  return { width, bits, length: Number(length) };
}

/** Tells whether each address of `inner` is in `outer`. IPv4 and IPv6 never cover each other. Pure. */
export function covers(outer: Prefix, inner: Prefix): boolean {
  if (outer.width !== inner.width || inner.length < outer.length) return false;
  const rest = BigInt(outer.width - outer.length);
  return outer.bits >> rest === inner.bits >> rest;
}

/** A network without bits beyond its length. */
export const networkPrefix = z.string().refine((text) => {
  const found = parsePrefix(text);
  if (found === undefined || !text.includes('/')) return false;
  const rest = BigInt(found.width - found.length);
  return (found.bits >> rest) << rest === found.bits;
}, 'is not a network such as 10.88.0.0/24 or fd00:88::/64');

function bitsOfV4(text: string): bigint | undefined {
  const parts = text.split('.');
  const isByte = (part: string): boolean =>
    /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) < 256;
  if (parts.length !== 4 || !parts.every(isByte)) return undefined;
  return parts.reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
}

function bitsOfV6(text: string): bigint | undefined {
  const halves = text.split('::');
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const [head = [], tail] = groups;
  const given = head.length + (tail?.length ?? 0);
  const isWhole = tail === undefined ? given === 8 : given < 8;
  if (halves.length > 2 || !isWhole) return undefined;
  const all = [...head, ...Array.from({ length: 8 - given }, () => '0'), ...(tail ?? [])];
  if (!all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return all.reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}

/** Tells whether a network is within one of others; invalid texts are in none and contain none. */
export function isWithin(text: string, networks: readonly string[]): boolean {
  const inner = parsePrefix(text);
  return inner !== undefined && holds(networks, inner);
}

export function holds(networks: readonly string[], inner: Prefix): boolean {
  return networks.some((each) => {
    const outer = parsePrefix(each);
    return outer !== undefined && covers(outer, inner);
  });
}
