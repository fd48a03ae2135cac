import { randomInt } from 'node:crypto';
import { systemClock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import { openIcmpSocket } from '../icmp-socket.ts';
import { aheadBy, TIMESTAMP_BYTES, timestampReply, timestampRequest } from './timestamp.ts';

/** Offset of a clock to this host's, ms; the error is at most half of the round trip. */
export interface ClockReading {
  readonly aheadMs: number;
  readonly tookMs: number;
}

const TRIES = 4;
const TRY_MS = 250;
const LOOK_MS = 5;

/**
 * Asks a guest's kernel for its clock, by ICMP over this host's routes, without the guest's programs or the
 * hypervisor. The fastest of a few answers counts. Resolves to the reason if there is none; never rejects.
 */
export async function askGuestClock(
  address: string,
  signal: AbortSignal,
): Promise<ClockReading | string> {
  const id = randomInt(0x1_0000);
  const sent = new Map<number, number>();
  let best: ClockReading | undefined;
  const onPacket = (packet: Buffer): void => {
    const reply = timestampReply(id, packet);
    const sentMs = reply === undefined ? undefined : sent.get(reply.sequence);
    if (reply === undefined || sentMs === undefined) return;
    sent.delete(reply.sequence);
    const nowMs = systemClock.wallMs();
    const tookMs = Math.max(0, nowMs - sentMs);
    if (best !== undefined && best.tookMs <= tookMs) return;
    best = { aheadMs: aheadBy(reply, (sentMs + nowMs) / 2), tookMs };
  };
  const options = { packetBytes: TIMESTAMP_BYTES, raw: true };
  const opened = await openIcmpSocket(address, options, onPacket, signal);
  if ('why' in opened) return opened.why;
  try {
    for (let sequence = 1; sequence <= TRIES; sequence += 1) {
      sent.set(sequence, systemClock.wallMs());
      opened.socket.send(timestampRequest(id, sequence));
      const until = systemClock.monotonicMs() + TRY_MS;
      while (sent.has(sequence) && systemClock.monotonicMs() < until)
        await systemClock.sleep(LOOK_MS, signal);
    }
  } catch (thrown) {
    return toGodwitError(thrown).message;
  } finally {
    opened.socket.close();
  }
  return best ?? `${address} does not report its clock to this host`;
}
