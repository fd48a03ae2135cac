import type { CopiedDisk, ManagedOrder } from '../../migration/managed/task-sight.ts';
import { godwitError } from '../../errors.ts';
import type { LibvirtClient } from './client.ts';
import { readDomain } from './domain-xml.ts';
import type { DomainFacts } from './domain-xml.ts';
import type { LibvirtEnds } from './ends.ts';
import { isMigrating } from './job.ts';
import { isLeftPaused, presence } from './whereabouts.ts';

/**
 * What a daemon that died in the middle of a move leaves behind, and libvirt never removes: a paused copy or a definition at
 * the source of a guest that runs at its destination, a definition at the destination of one that stayed. Whoever started it
 * would have the guest twice.
 */

/** At the source, once the guest runs at the destination as that of this migration. Repeatable. */
export async function endAtSource(
  ends: LibvirtEnds,
  order: Pick<ManagedOrder, 'id' | 'to' | 'copies'>,
  signal: AbortSignal,
): Promise<void> {
  const { id, to } = order;
  const { source } = ends;
  const left = await ends.domain(source, signal);
  if (left === undefined) return;
  const there = await ends.destination(to, signal);
  const arrived = await ends.marked(there, id, signal);
  if (arrived === undefined) return;
  const sights = [await ends.sight(source, signal), await ends.sight(there, signal)] as const;
  if (presence(sights[1]) !== 'has') return;
  if (left.id !== -1) {
    if (!isLeftPaused(...sights, await ends.isMoving(signal))) return;
    if (!(await isOursAndPrivate(ends, order, signal))) return;
    await source.destroy(left, signal);
  }
  // A guest that has no definition where it arrived would be nowhere once it is shut down.
  if (arrived.mark.persistent !== 'yes' || !(await there.isPersistent(arrived.domain, signal)))
    return;
  await undefineAtRest(ends, source, signal);
}

/** Whether the source's paused copy is of this migration, and can be ended without harm to the guest that has arrived. */
export async function isOursAndPrivate(
  ends: LibvirtEnds,
  { id, to, copies = [] }: Pick<ManagedOrder, 'id' | 'to' | 'copies'>,
  signal: AbortSignal,
): Promise<boolean> {
  const there = await ends.destination(to, signal);
  const [ours, arrived] = [
    await ends.marked(ends.source, id, signal),
    await ends.marked(there, id, signal),
  ];
  if (ours === undefined || arrived === undefined) return false;
  if (isMigrating(await there.job(arrived.domain, signal))) return false;
  const { facts } = readDomain(await ends.source.xml(ours.domain, signal));
  return facts !== undefined && isPrivate(facts, copies);
}

/**
 * libvirt gives the files of a domain that it ends back to their owners, and removes a TPM's state. So none of them may be
 * the running guest's as well: each disk that it writes to was copied, and it has neither variables of firmware nor a TPM.
 */
export function isPrivate(
  { disks, firmware, tpm }: Pick<DomainFacts, 'disks' | 'firmware' | 'tpm'>,
  copies: readonly Pick<CopiedDisk, 'name'>[],
): boolean {
  const copied = new Set(copies.map(({ name }) => name));
  const isShared = disks.some(({ name, isWritten }) => isWritten && !copied.has(name));
  return !isShared && firmware?.nvram === undefined && tpm === undefined;
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
  const domain = await ends.domain(client, signal);
  if (domain?.id !== -1) return;
  const { facts } = readDomain(await client.xml(domain, signal));
  await client.undefine(domain, facts?.tpm !== undefined, signal);
}
