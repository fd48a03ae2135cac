import { createSocket } from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { godwitError } from '../../errors.ts';
import { pass, refusal, type NamedCheck } from '../../migration/preflight/check.ts';
import type { ForwardSpec, GuestSpec } from './spec/schema.ts';
import { forwardText } from './spec/user-network.ts';

/** Checks that the host ports of a guest's user network are free and that QEMU's user may listen on them. */
export async function forwardChecks(
  guest: string,
  spec: GuestSpec,
  host: string,
): Promise<NamedCheck[]> {
  const checks: NamedCheck[] = [];
  for (const netdev of spec.netdevs) {
    if (netdev.type !== 'user') continue;
    for (const forward of netdev.forwards ?? []) {
      const why = await whyNot(forward);
      const text = forwardText(forward);
      if (why === undefined) {
        checks.push(pass('network', `${text} will lead to ${netdev.id}`, 'destination'));
        continue;
      }
      const what = `its port ${text} cannot be had: ${why}`;
      const facts = { device: netdev.id, guest, host, what };
      const hint = 'Free the port there, or take the forward from the guest (hostfwd_remove).';
      const error = godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint });
      checks.push(refusal('network', error, 'destination'));
    }
  }
  return checks;
}

async function whyNot(forward: ForwardSpec): Promise<string | undefined> {
  const { hostPort: port } = forward;
  if (process.geteuid?.() === 0 && port < (await firstFree())) {
    return 'only root may listen on it, and the guest’s QEMU is no root';
  }
  const address = forward.hostAddress === '' ? '0.0.0.0' : forward.hostAddress;
  return forward.protocol === 'tcp' ? tryTcp(address, port) : tryUdp(address, port);
}

async function firstFree(): Promise<number> {
  const text = await readFile('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8').catch(
    () => '1024',
  );
  return Number(text);
}

function tryTcp(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

function tryUdp(address: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      resolve(error.code ?? error.message);
    });
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve(undefined)));
  });
}
