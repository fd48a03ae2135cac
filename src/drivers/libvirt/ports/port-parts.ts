import { portWords } from '../../../migration/guest-changes/ports.ts';
import type { GuestPart } from '../../../migration/guest-changes/snapshot.ts';
import { readNics } from '../../../network/port.ts';
import { PortLooks } from '../../../network/port-look.ts';
import type { NicNetwork } from '../../../protocol/network.ts';
import type { DomainFacts } from '../domain-xml.ts';
import { processOf } from '../images/open-images.ts';
import { part } from '../snapshot.ts';

/** Ports of a domain on this host, as snapshot parts. */
export class PortParts {
  #nics: readonly NicNetwork[] | undefined;

  /** Empty if the host does not answer or a port disappeared with its NIC: a missing part is not a change. */
  async read(
    { uuid, ports }: Pick<DomainFacts, 'uuid' | 'ports'>,
    signal: AbortSignal,
  ): Promise<GuestPart[]> {
    if (ports.length === 0) return [];
    try {
      this.#nics ??= await nicsOf(uuid, ports, signal);
      if (this.#nics.length === 0) return [];
      const now = await new PortLooks().look(this.#nics, signal);
      return now.map((port) => part('port', port.id, portWords(port)));
    } catch {
      signal.throwIfAborted();
      return [];
    }
  }
}

async function nicsOf(
  uuid: string,
  ports: DomainFacts['ports'],
  signal: AbortSignal,
): Promise<NicNetwork[]> {
  if ((await processOf(uuid)) === undefined) return [];
  const all = ports.map(({ nic: id, mac, port }) => ({ id, mac, port }));
  return readNics(all, signal);
}
