import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import { godwitError } from '../../errors.ts';
import type { Domain, LibvirtClient } from './client.ts';
import type { LibvirtEnds } from './ends.ts';
import { isLeftPaused, presence } from './whereabouts.ts';

/**
 * What a daemon that died in the middle of a move leaves behind, and libvirt never removes: a paused copy or a definition at
 * the source of a guest that runs at its destination, a definition at the destination of one that stayed. Whoever started it
 * would have the guest twice.
 */

/** At the source, once the guest runs at the destination as that of this migration. Repeatable. */
export async function endAtSource(
  ends: LibvirtEnds,
  { id, to }: Pick<ManagedOrder, 'id' | 'to'>,
  signal: AbortSignal,
): Promise<void> {
  const { source } = ends;
  const left = await ends.domain(source, signal);
  if (left === undefined) return;
  const there = await ends.destination(to, signal);
  const arrived = await ends.marked(there, id, signal);
  if (arrived === undefined) return;
  const sights = [await ends.sight(source, signal), await ends.sight(there, signal)] as const;
  if (presence(sights[1]) !== 'has') return;
  if (left.id !== -1) {
    const isOurs = (await ends.marked(source, id, signal)) !== undefined;
    if (!isOurs || !isLeftPaused(...sights, await ends.isMoving(signal))) return;
    await source.destroy(left, signal);
  }
  if (arrived.mark.persistent === 'yes') await undefineAtRest(ends, source, signal);
}

/** At the destination, where the guest stayed at its source and there was no definition of it before. Repeatable. */
export async function endAtDestination(
  ends: LibvirtEnds,
  { id, to, guest }: Pick<ManagedOrder, 'id' | 'to' | 'guest'>,
  signal: AbortSignal,
): Promise<void> {
  const stayed = await ends.marked(ends.source, id, signal);
  if (stayed?.mark.persistent !== 'yes' || stayed.mark.defined === 'yes') return;
  let there: LibvirtClient;
  try {
    there = await ends.destination(to, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    // Not retryable: the guest runs, and nobody waits for a host that may be dead.
    const reason = `it does not answer, and a definition of ${guest} may be left there`;
    const facts = { hypervisor: 'libvirt', host: to, command: 'undefine', reason };
    throw godwitError('GODWIT_HYPERVISOR', facts, { cause: thrown });
  }
  await undefineAtRest(ends, there, signal);
}

async function undefineAtRest(
  ends: LibvirtEnds,
  client: LibvirtClient,
  signal: AbortSignal,
): Promise<void> {
  const domain: Domain | undefined = await ends.domain(client, signal);
  if (domain?.id === -1) await client.undefine(domain, signal);
}
