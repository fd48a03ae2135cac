import { randomBytes } from 'node:crypto';
import { isIP, isIPv4 } from 'node:net';
import { systemClock } from '../clock.ts';
import { openIcmpSocket } from './icmp-socket.ts';
import { checksum, ECHO_BYTES, echoRequest, isEchoReply } from './probe/echo.ts';

/** Whether a path carries packets of the usual size, by the kernel's own answers: no agent takes part. */

/** With its headers it fills a packet of 1500 bytes; where this host's own link is smaller, its kernel sends it in pieces. */
const FULL_BYTES = 1472;
const TRIES = 3;
const BETWEEN_MS = 300;

/** Whether an echo of that length came back; undefined where none could be sent. */
type Echo = (address: string, bytes: number, signal: AbortSignal) => Promise<boolean | undefined>;

/** Small packets arrive there and come back, and full ones do not. False also where nobody could try it. */
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

/** Of that length; zeros change no checksum, but the kernel makes that of IPv6 itself. */
export function padded(address: string, request: Buffer, bytes: number): Buffer {
  const packet = Buffer.alloc(bytes);
  request.copy(packet);
  if (!isIPv4(address)) return packet;
  packet.writeUInt16BE(0, 2);
  packet.writeUInt16BE(checksum(packet), 2);
  return packet;
}
