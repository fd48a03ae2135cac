import { randomBytes } from 'node:crypto';
import { openIcmpSocket } from '../../icmp-socket.ts';
import { ECHO_BYTES, echoRequest, isEchoReply } from '../echo.ts';
import { OFTEN_MS, type ProbeOpening } from './probe.ts';

export async function openIcmp(
  address: string,
  onAnswer: () => void,
  signal: AbortSignal,
): Promise<ProbeOpening> {
  const cookie = randomBytes(8);
  let sequence = 0;
  const onPacket = (packet: Buffer): void => {
    if (isEchoReply(address, cookie, packet)) onAnswer();
  };
  const opened = await openIcmpSocket(address, { packetBytes: ECHO_BYTES }, onPacket, signal);
  if ('why' in opened) return opened;
  const { socket } = opened;
  const probe = {
    kind: 'icmp' as const,
    address,
    intervalMs: OFTEN_MS,
    ask: () => socket.send(echoRequest(address, cookie, (sequence += 1))),
    close: async () => socket.close(),
  };
  return { probe };
}
