import type { Tunnel } from '../../../../disks/copy/tunnel/open.ts';
import { defined } from '../../../../protocol/defined.ts';
import { DEFAULT_LINK_GRACE_MS } from '../../../../protocol/public/migration.ts';
import type { DiskTunnel } from '../../../../protocol/peer/migration.ts';
import { hostCredentials } from '../../../../host/credentials.ts';
import { openDiskTunnel } from '../../../shared/wire-openers.ts';
import { budgetOf } from '../../../../host/wire.ts';
import { settingsNow, type MoverParts } from '../source-base.ts';

/** Session with the waiting destination, from the unix `socket` of this host; loaded on demand. */
export async function openTunnel(
  context: Pick<MoverParts, 'config' | 'state'>,
  { session, address }: DiskTunnel,
  socket: string,
  signal: AbortSignal,
): Promise<Tunnel> {
  const { config } = context;
  const { id, epoch, to } = context.state().plan;
  const settings = settingsNow(context);
  const budget = budgetOf(config);
  return openDiskTunnel(
    {
      migration: id,
      epoch,
      session,
      peer: to,
      credentials: hostCredentials(config),
      graceMs: settings.linkGraceMs ?? DEFAULT_LINK_GRACE_MS,
      socket,
      addresses: [address],
      connections: config.wire.connections,
      ...defined({ budget, maxBytesPerS: settings.maxBandwidth }),
    },
    signal,
  );
}
