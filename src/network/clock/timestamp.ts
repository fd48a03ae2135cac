import { checksum } from '../probe/echo.ts';

/** ICMP timestamp (RFC 792): a kernel answers with its clock, ms since midnight UTC. Pure. */

const [REQUEST, REPLY] = [13, 14];
export const TIMESTAMP_BYTES = 20;
const DAY_MS = 86_400_000;

/** `id`: distinguishes our answers from others. */
export function timestampRequest(id: number, sequence: number): Buffer {
  const packet = Buffer.alloc(TIMESTAMP_BYTES);
  packet[0] = REQUEST;
  packet.writeUInt16BE(id & 0xffff, 4);
  packet.writeUInt16BE(sequence & 0xffff, 6);
  packet.writeUInt16BE(checksum(packet), 2);
  return packet;
}

export interface TimestampReply {
  readonly sequence: number;
  /** Clock of the answer, ms since midnight UTC, read in both byte orders. */
  readonly readings: readonly number[];
}

/** Undefined unless it answers a request with that id. Takes any bytes; a raw socket includes the header. */
export function timestampReply(id: number, bytes: Buffer): TimestampReply | undefined {
  const first = bytes[0] ?? 0;
  // A reply begins with 14, and an IPv4 header with its version, 4.
  const at = first >> 4 === 4 ? (first & 0x0f) * 4 : 0;
  const packet = bytes.subarray(at);
  if (packet.length < TIMESTAMP_BYTES || packet[0] !== REPLY) return undefined;
  if (packet.readUInt16BE(4) !== (id & 0xffff)) return undefined;
  // Transmit time. Windows uses its processor's byte order.
  const readings = [packet.readUInt32BE(16), packet.readUInt32LE(16)].filter((ms) => ms < DAY_MS);
  if (readings.length === 0) return undefined;
  return { sequence: packet.readUInt16BE(6), readings };
}

/** Offset to our clock, ms, up to half a day; uses the closer reading. */
export function aheadBy({ readings }: TimestampReply, ourWallMs: number): number {
  const ours = ((ourWallMs % DAY_MS) + DAY_MS) % DAY_MS;
  const all = readings.map((ms) => {
    const ahead = ms - ours;
    if (ahead > DAY_MS / 2) return ahead - DAY_MS;
    return ahead < -DAY_MS / 2 ? ahead + DAY_MS : ahead;
  });
  return all.toSorted((one, other) => Math.abs(one) - Math.abs(other))[0] ?? 0;
}
