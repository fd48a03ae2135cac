import type { SourceNic } from '../../drivers/driver.ts';
import { godwitError } from '../../errors.ts';
import { announcePort, readNics, removePort, withdrawPort } from '../../network/port.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import { networkName } from '../../protocol/network.ts';
import type { NicNetwork } from '../../protocol/network.ts';
import type { SourceParts } from './parts.ts';

/** How the guest's NICs are attached here, for the destination to map. GODWIT_USAGE for a mapping of nothing it has. */
export async function networksOf(
  parts: SourceParts,
  nics: readonly SourceNic[] | undefined,
  signal: AbortSignal,
): Promise<NicNetwork[] | undefined> {
  if (nics === undefined) return undefined;
  const networks = await parts.connections.learn(parts, await readNics(nics, signal), signal);
  const names = networks.flatMap(({ attachment }) => networkName(attachment) ?? []);
  const asked = Object.keys(parts.state().plan.settings.networks ?? {});
  const unknown = asked.find((name) => !names.includes(name));
  if (unknown === undefined) return networks;
  const guest = parts.request.request.guest;
  const near = didYouMean(unknown, names) ?? '';
  const hint = `${near} It is in ${names.join(', ') || 'no network that has a name'}.`.trim();
  throw godwitError('GODWIT_USAGE', { what: `${guest} is in no network ${unknown}` }, { hint });
}

/** The right to run has gone: this host no longer leads to the guest. Never rejects: a route goes with its port at last. */
export async function withdrawNetworks(parts: SourceParts, signal: AbortSignal): Promise<void> {
  for (const nic of parts.state().known.networks ?? []) {
    await withdrawPort(nic, signal).catch(() => undefined);
  }
}

/** Leads this host to the guest again, which was started anew here. */
export async function restoreNetworks(parts: SourceParts, signal: AbortSignal): Promise<void> {
  for (const nic of parts.state().known.networks ?? []) await announcePort(nic, nic.port, signal);
}

/** Takes ports out of what would remember them; the ports themselves go after. */
export async function detachNetworks(parts: SourceParts, signal: AbortSignal): Promise<void> {
  for (const nic of parts.state().known.networks ?? []) {
    if (nic.attachment.kind === 'ovs') await removePort(nic, signal);
  }
}
