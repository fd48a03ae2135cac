import type { DestinationSession } from '../../drivers/driver.ts';
import type { Check } from '../../protocol/migration.ts';
import type { Preparation } from '../../protocol/peer.ts';
import type { BuildParts } from './build.ts';
import { diskFiles } from './storage.ts';

/** Everything that this host has to say to the guest: its hypervisor, its disks, its networks. Changes nothing. */
export async function assess(
  { config, ports }: BuildParts,
  session: DestinationSession,
  preparation: Preparation,
  signal: AbortSignal,
): Promise<Check[]> {
  const networks = await ports.map(preparation, signal);
  const { files, checks } = await diskFiles(config, preparation);
  const { description, stream } = preparation;
  const found = await session.assess(description, stream, signal, files);
  return [...checks, ...found, ...networks];
}
