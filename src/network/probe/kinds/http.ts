import { request, type ClientRequest } from 'node:http';
import { GIVE_UP_MS, MAX_IN_FLIGHT, SELDOM_MS } from './probe.ts';
import type { TcpProbe } from './tcp.ts';

/** Asks a web server of the guest, on a new connection each time. Any answer counts. */
export function httpProbe(
  address: string,
  port: number,
  path: string,
  onAnswer: () => void,
): TcpProbe {
  const open = new Set<ClientRequest>();
  let why: string | undefined;
  const ask = (): void => {
    const [oldest] = open;
    if (open.size >= MAX_IN_FLIGHT) oldest?.destroy();
    const options = { host: address, port, path, method: 'HEAD', agent: false };
    const asked = request({ ...options, timeout: GIVE_UP_MS });
    open.add(asked);
    asked.on('response', (response) => {
      onAnswer();
      response.destroy();
    });
    asked.on('error', ({ message }) => {
      why ??= message;
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('close', () => open.delete(asked));
    asked.end();
  };
  return {
    kind: 'http',
    address,
    intervalMs: SELDOM_MS,
    get why() {
      return why;
    },
    ask,
    close: async () => {
      for (const asked of open) asked.destroy();
    },
  };
}
