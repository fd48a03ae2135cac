import { connect, type Socket } from 'node:net';
import { GIVE_UP_MS, MAX_IN_FLIGHT, OFTEN_MS, SELDOM_MS, type Probe } from './probe.ts';

/** Words of the guest's own kernel, which a firewall on the way may say in its name. */
const REFUSALS = new Set(['ECONNREFUSED', 'ECONNRESET']);

export interface TcpProbe extends Probe {
  /** Why nothing went out, as this host's kernel has it; undefined where it did. */
  readonly why: string | undefined;
}

/**
 * Begins a TCP connection and gives it up: its refusal is an answer as good as its acceptance. A port on which somebody
 * listens is asked seldom, and it is reported at once that nothing comes of it.
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
