import { randomBytes } from 'node:crypto';
import { isIP, isIPv4 } from 'node:net';
import { systemClock } from '../clock.ts';
import { openIcmpSocket } from './icmp-socket.ts';
import { checksum, ECHO_BYTES, echoRequest, isEchoReply } from './probe/echo.ts';

/** Tests with the kernel's echo answers whether a path carries full-size packets. */

/** Fills a packet of 1500 bytes with its headers; on a smaller link the kernel fragments it. */
const FULL_BYTES = 1472;
const TRIES = 3;
const BETWEEN_MS = 300;

type Echo = (address: string, bytes: number, signal: AbortSignal) => Promise<boolean | undefined>;

/** True if small packets are answered and full ones are not. False if the test is impossible. */
export async function losesFullPackets(
  address: string,
  signal: AbortSignal,
  echo: Echo = echoOnce,
): Promise<boolean> {
  if (isIP(address) === 0) return false;
  if ((await echo(address, ECHO_BYTES, signal)) !== true) return false;
  return (await echo(address, FULL_BYTES, signal)) === false;
}

async function echoOnce(
  address: string,
  bytes: number,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const cookie = randomBytes(8);
  const answered = new AbortController();
  const onPacket = (packet: Buffer): void => {
    if (isEchoReply(address, cookie, packet)) answered.abort();
  };
  const opened = await openIcmpSocket(address, { packetBytes: bytes }, onPacket, signal);
  if (!('socket' in opened)) return undefined;
  try {
    for (let sent = 0; sent < TRIES && !answered.signal.aborted; sent += 1) {
      opened.socket.send(padded(address, echoRequest(address, cookie, sent), bytes));
      await systemClock
        .sleep(BETWEEN_MS, AbortSignal.any([signal, answered.signal]))
        .catch(() => signal.throwIfAborted());
    }
    return answered.signal.aborted;
  } finally {
    opened.socket.close();
  }
}

/** Pads to that length with zeros, which keep the checksum; the kernel calculates IPv6's. */
export function padded(address: string, request: Buffer, bytes: number): Buffer {
  const packet = Buffer.alloc(bytes);
  request.copy(packet);
  if (!isIPv4(address)) return packet;
  packet.writeUInt16BE(0, 2);
  packet.writeUInt16BE(checksum(packet), 2);
  return packet;
}
