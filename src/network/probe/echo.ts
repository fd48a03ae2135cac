import { isIPv4 } from 'node:net';
import { v6Bytes } from '../segment/frames.ts';

/** ICMP echo messages for a socket connected to the guest. Pure. */

const COOKIE_BYTES = 8;
export const ECHO_BYTES = 8 + COOKIE_BYTES;
const ECHO = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;

/** `cookie`: 8 bytes that distinguish our answers from others. */
export function echoRequest(address: string, cookie: Buffer, sequence: number): Buffer {
  const family = isIPv4(address) ? 4 : 6;
  const packet = Buffer.alloc(8 + COOKIE_BYTES);
  packet[0] = ECHO[family].request;
  cookie.copy(packet, 4, 0, 2);
  packet.writeUInt16BE(sequence & 0xffff, 6);
  cookie.copy(packet, 8, 0, COOKIE_BYTES);
  // The kernel adds the IPv6 checksum, which includes the addresses.
  if (family === 4) packet.writeUInt16BE(checksum(packet), 2);
  return packet;
}

/** True if it answers a request with that cookie. Takes any bytes; a raw IPv4 socket includes the header. */
export function isEchoReply(address: string, cookie: Buffer, bytes: Buffer): boolean {
  const family = isIPv4(address) ? 4 : 6;
  const first = bytes[0] ?? 0;
  // A reply begins with 0 (IPv4) or 129, and an IPv4 header with its version, 4.
  const at = family === 4 && first >> 4 === 4 ? (first & 0x0f) * 4 : 0;
  const packet = bytes.subarray(at);
  if (packet.length < 8 + COOKIE_BYTES || packet[0] !== ECHO[family].reply) return false;
  return packet.subarray(8, 8 + COOKIE_BYTES).equals(cookie.subarray(0, COOKIE_BYTES));
}

/** Socket address without a port, in the kernel's format, for `connect`. */
export function socketAddress(address: string): Buffer {
  if (isIPv4(address)) {
    const name = Buffer.alloc(16);
    name.writeUInt16LE(2, 0);
    name.set(address.split('.').map(Number), 4);
    return name;
  }
  const name = Buffer.alloc(28);
  name.writeUInt16LE(10, 0);
  v6Bytes(address).copy(name, 8);
  return name;
}

/** RFC 1071. */
export function checksum(packet: Buffer): number {
  let sum = 0;
  for (let at = 0; at < packet.length; at += 2) sum += packet.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
