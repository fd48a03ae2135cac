import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** Frames that ask a segment for an address's owner, and their answers. Pure. */

/** The address is behind that MAC. */
export interface Answer {
  readonly address: string;
  readonly mac: string;
}

const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const [ARP, IPV6] = [0x0806, 0x86dd];
/** Without the frame check sequence. */
const SHORTEST = 60;

/**
 * Asks for an address without a sender address, so that no host records an entry. `to`: asks only that MAC; absent:
 * the segment.
 */
export function question(own: string, address: string, to?: string): Buffer {
  const body = isIPv4(address) ? arpProbe(own, address) : solicitation(address);
  const type = isIPv4(address) ? ARP : IPV6;
  const receiver = to ?? (isIPv4(address) ? BROADCAST : groupMac(v6Bytes(address)));
  const head = Buffer.alloc(14);
  head.set(macBytes(receiver), 0);
  head.set(macBytes(own), 6);
  head.writeUInt16BE(type, 12);
  const frame = Buffer.concat([head, body]);
  return Buffer.concat([frame, Buffer.alloc(Math.max(0, SHORTEST - frame.length))]);
}

function arpProbe(own: string, address: string): Buffer {
  const body = Buffer.alloc(28);
  // Ethernet, IPv4, their lengths; a request.
  body.set([0, 1, 8, 0, 6, 4, 0, 1]);
  body.set(macBytes(own), 8);
  body.set(address.split('.').map(Number), 24);
  return body;
}

/** Duplicate address detection (RFC 4862): no sender address, answered to all. */
function solicitation(address: string): Buffer {
  const target = v6Bytes(address);
  const group = Buffer.from([0xff, 2, ...new Uint8Array(9), 1, 0xff, ...target.subarray(13)]);
  const icmp = Buffer.alloc(24);
  icmp[0] = 135;
  icmp.set(target, 8);
  const head = Buffer.alloc(40);
  head[0] = 0x60;
  head.writeUInt16BE(icmp.length, 4);
  // ICMPv6, with a hop limit that proves a local sender.
  head.set([58, 255], 6);
  head.set(group, 24);
  icmp.writeUInt16BE(checksum(head.subarray(8, 40), icmp), 2);
  return Buffer.concat([head, icmp]);
}

function checksum(addresses: Buffer, icmp: Buffer): number {
  const pseudo = Buffer.from([0, 0, 0, icmp.length, 0, 0, 0, 58]);
  const all = Buffer.concat([addresses, pseudo, icmp]);
  let sum = 0;
  for (let at = 0; at < all.length; at += 2) sum += all.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Undefined unless it is an answer. Takes any bytes. */
export function answerIn(frame: Buffer): Answer | undefined {
  if (frame.length < 42) return undefined;
  const type = frame.readUInt16BE(12);
  if (type === ARP) {
    const isReply = frame.subarray(14, 22).equals(Buffer.from([0, 1, 8, 0, 6, 4, 0, 2]));
    if (!isReply) return undefined;
    return { address: frame.subarray(28, 32).join('.'), mac: macText(frame.subarray(22, 28)) };
  }
  const isAdvertisement =
    type === IPV6 && frame.length >= 78 && frame[20] === 58 && frame[54] === 136;
  if (!isAdvertisement) return undefined;
  // The target's link address option, or else the sender.
  const named = frame.length >= 86 && frame[78] === 2 && frame[79] === 1;
  const mac = named ? frame.subarray(80, 86) : frame.subarray(6, 12);
  return { address: v6Text(frame.subarray(62, 78)), mac: macText(mac) };
}

/** Unicast address that one guest may have: no group, broadcast, or host-local address. Pure. */
export function isSingle(address: string): boolean {
  if (isIPv4(address)) return !NOBODY.check(address, 'ipv4');
  return isIPv6(address) && !NOBODY.check(address, 'ipv6');
}

const NOBODY = new BlockList();
NOBODY.addSubnet('0.0.0.0', 8);
NOBODY.addSubnet('127.0.0.0', 8);
NOBODY.addSubnet('224.0.0.0', 3);
NOBODY.addSubnet('::', 127, 'ipv6');
NOBODY.addSubnet('ff00::', 8, 'ipv6');

function macBytes(mac: string): number[] {
  return mac.split(':').map((each) => Number.parseInt(each, 16));
}

function macText(bytes: Uint8Array): string {
  return [...bytes].map((each) => each.toString(16).padStart(2, '0')).join(':');
}

function groupMac(target: Buffer): string {
  return macText([0x33, 0x33, 0xff, ...target.subarray(13)] as unknown as Uint8Array);
}

/** 16 bytes. */
export function v6Bytes(address: string): Buffer {
  const [head = '', tail] = address.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((each) => Number.parseInt(each, 16));
  const [first, last] = [groups(head), groups(tail ?? '')];
  const between = tail === undefined ? 0 : Math.max(0, 8 - first.length - last.length);
  const all = [...first, ...Array<number>(between).fill(0), ...last].slice(0, 8);
  const bytes = Buffer.alloc(16);
  for (const [index, group] of all.entries()) bytes.writeUInt16BE(group & 0xffff, index * 2);
  return bytes;
}

/** Kernel's notation (RFC 5952). */
export function v6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2));
  const words = groups.map((group) => group.toString(16)).join(':');
  // Longest run of zeros, the first of equal ones; never a single group.
  const runs = [...words.matchAll(/(?<=^|:)0(?::0){1,7}(?=:|$)/g)];
  const longest = runs.toSorted((one, other) => other[0].length - one[0].length)[0];
  if (longest === undefined) return words;
  const before = words.slice(0, longest.index).replace(/:$/, '');
  const after = words.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${before}::${after}`;
}
