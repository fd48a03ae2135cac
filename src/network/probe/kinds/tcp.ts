import { connect, type Socket } from 'node:net';
import { GIVE_UP_MS, MAX_IN_FLIGHT, OFTEN_MS, SELDOM_MS, type Probe } from './probe.ts';

/** Answers of the guest's kernel; a firewall may send them instead. */
const REFUSALS = new Set(['ECONNREFUSED', 'ECONNRESET']);

export interface TcpProbe extends Probe {
  /** Local error that prevented sending; undefined if none. */
  readonly why: string | undefined;
}

/**
 * Starts a TCP connection and closes it: a refusal counts as an answer. A port with a listener is asked rarely, and
 * the connection is closed at once.
 */
export function tcpProbe(address: string, port: number, onAnswer: () => void): TcpProbe {
  const open = new Set<Socket>();
  let why: string | undefined;
  let intervalMs = OFTEN_MS;
  const ask = (): void => {
    const [oldest] = open;
    if (open.size >= MAX_IN_FLIGHT) oldest?.destroy();
    const socket = connect({ host: address, port, noDelay: true, timeout: GIVE_UP_MS });
    open.add(socket);
    socket.on('connect', () => {
      intervalMs = SELDOM_MS;
      socket.resetAndDestroy();
      onAnswer();
    });
    socket.on('error', ({ code, message }: NodeJS.ErrnoException) => {
      if (code !== undefined && REFUSALS.has(code)) onAnswer();
      else why ??= message;
    });
    socket.on('timeout', () => socket.destroy());
    socket.on('close', () => open.delete(socket));
  };
  return {
    kind: 'tcp',
    address,
    get intervalMs() {
      return intervalMs;
    },
    get why() {
      return why;
    },
    ask,
    close: async () => {
      for (const socket of open) socket.destroy();
    },
  };
}
