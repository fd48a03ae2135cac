import { isDeepStrictEqual } from 'node:util';
import type { CopiedDisk, ManagedOrder } from '../../../migration/managed/task-sight.ts';
import { godwitError, type GodwitError } from '../../../errors.ts';
import type { Domain, LibvirtClient } from '../client.ts';
import { readDomain, type DomainFacts } from '../domain-xml.ts';
import type { DaemonPair } from '../daemon-pair.ts';
import { isMigrating } from '../job.ts';
import { both, leave, refusal } from '../left-to-operator.ts';
import type { Mark } from '../mark.ts';
import { hasRun, isAtWork, isLeftPaused, presence, whereabouts } from '../whereabouts.ts';

/**
 * What a daemon that died in the middle of a move leaves behind, and libvirt never removes: a paused copy or a definition at
 * the source of a guest that runs at its destination, a definition at the destination of one that stayed. Whoever started it
 * would have the guest twice.
 */

/**
 * At the source, once the guest runs at the destination as that of this migration: ends the copy and the definition there.
 * The error that is returned names what stays, and why; it has lost its autostart. The mark alone removes nothing. Repeatable.
 */
export async function endAtSource(
  daemons: DaemonPair,
  order: Pick<ManagedOrder, 'id' | 'to' | 'guest' | 'copies'>,
  signal: AbortSignal,
): Promise<GodwitError | undefined> {
  const { id, to, guest } = order;
  const { source } = daemons;
  const left = await daemons.domain(source, signal);
  if (left === undefined) return undefined;
  const there = await daemons.destination(to, signal);
  const arrived = await daemons.marked(there, id, signal);
  const sights = [await daemons.sight(source, signal), await daemons.sight(there, signal)] as const;
  if (arrived === undefined || presence(sights[1]) !== 'has')
    throw disagree(daemons.host.name, order);
  if (left.id !== -1) {
    const isPaused = isLeftPaused(...sights, await daemons.isMoving(signal));
    const copy = isPaused ? await pausedCopy(daemons, order, signal) : 'other';
    if (copy === 'other') throw disagree(daemons.host.name, order);
    if (copy === 'shared') {
      const why = 'libvirt may take files of the running guest with it';
      return leave(source, left, { host: daemons.host.name, guest, why }, signal);
    }
    await source.stop(left, 'destroy', signal);
  }
  const definition = await daemons.domain(source, signal);
  if (definition?.id !== -1) return undefined;
  // A guest that has no definition where it arrived would be nowhere once it is shut down.
  const why =
    whyNotOurs(arrived.mark) ??
    (await whyNotTheSame(
      { client: there, domain: arrived.domain, where: 'at its destination' },
      await source.definition(definition, signal),
      signal,
    )) ??
    (await refusal('does not remove it', undefineAtRest(daemons, source, signal)));
  if (why === undefined) return undefined;
  return leave(source, definition, { host: daemons.host.name, guest, why }, signal);
}

/**
 * At the source, if only the operator reported that the guest runs at its destination: nothing is removed, and a copy that
 * does not run, or a definition, loses its autostart. Undefined if there is none. Repeatable.
 */
export async function leaveAtSource(
  daemons: DaemonPair,
  { to, guest }: Pick<ManagedOrder, 'to' | 'guest'>,
  signal: AbortSignal,
): Promise<GodwitError | undefined> {
  const { source, host } = daemons;
  const left = await daemons.domain(source, signal);
  if (left === undefined || isAtWork(await daemons.sight(source, signal))) return undefined;
  const why = `the operator reported that it runs at ${to}`;
  return leave(source, left, { host: host.name, guest, why }, signal);
}

/** A daemon that has just started again may report more when it is asked again. */
function disagree(host: string, { guest, to }: Pick<ManagedOrder, 'guest' | 'to'>): GodwitError {
  const reason = `not both daemons report that it is at ${to} alone, by this migration, so its copy at ${host} stays`;
  return godwitError('GODWIT_MANAGERS_DISAGREE', { guest, reason });
}

/**
 * What the paused copy at the source is to the guest that has arrived: `private`: it is of this migration, and can be ended
 * without harm to the guest; `shared`: it has files with the guest; `other`: it is of no migration of ours, or still needed.
 */
export async function pausedCopy(
  daemons: DaemonPair,
  { id, to, copies = [] }: Pick<ManagedOrder, 'id' | 'to' | 'copies'>,
  signal: AbortSignal,
): Promise<'private' | 'shared' | 'other'> {
  const there = await daemons.destination(to, signal);
  const [ours, arrived] = [
    await daemons.marked(daemons.source, id, signal),
    await daemons.marked(there, id, signal),
  ];
  if (ours === undefined || arrived === undefined) return 'other';
  if (isMigrating(await there.job(arrived.domain, signal))) return 'other';
  const { facts } = readDomain(await daemons.source.xml(ours.domain, signal));
  return facts !== undefined && isPrivate(facts, copies) ? 'private' : 'shared';
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

/**
 * At the destination, if the guest stayed at its source and had no definition there before. The mark alone proves little: it
 * may be as old as the migration, and everyone who may change the domain may have written it. Repeatable.
 */
export async function endAtDestination(
  daemons: DaemonPair,
  order: Pick<ManagedOrder, 'id' | 'from' | 'to' | 'guest' | 'vouched'>,
  signal: AbortSignal,
): Promise<void> {
  const { id, from, to, guest, vouched } = order;
  const stayed = await daemons.marked(daemons.source, id, signal);
  if (stayed === undefined ? vouched !== 'source' : stayed.mark.defined === 'yes') return;
  let there: LibvirtClient;
  try {
    there = await daemons.destination(to, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    // Not retryable: the guest runs, and nothing waits for a host that may be dead.
    const reason = `it does not answer, and a copy or a definition of ${guest} may be left there`;
    const facts = { hypervisor: 'libvirt', host: to, command: 'undefine', reason };
    throw godwitError('GODWIT_HYPERVISOR', facts, { cause: thrown });
  }
  const left = await daemons.domain(there, signal);
  if (left === undefined) return;
  const sights = [
    await daemons.sight(daemons.source, signal),
    await daemons.sight(there, signal),
  ] as const;
  const { at, busy } = whereabouts(...sights, await daemons.isMoving(signal));
  if (stayed === undefined || at !== 'source' || busy !== false) {
    const reason = `not both daemons report that it is at its source alone, so a ${left.id === -1 ? 'definition' : 'copy'} of it at ${to} stays`;
    const unsure = godwitError('GODWIT_MANAGERS_DISAGREE', { guest, reason });
    if (vouched !== 'source' || isAtWork(sights[1])) throw unsure;
    const why = `the operator reported that it runs at ${from}`;
    throw both(unsure, await leave(there, left, { host: to, guest, why }, signal));
  }
  const why = hasRun(sights[1])
    ? 'a guest of it has run there'
    : (whyNotOurs(stayed.mark) ??
      (await whyNotTheSame(
        { client: daemons.source, domain: stayed.domain, where: 'at its source' },
        await there.definition(left, signal),
        signal,
      )));
  if (why !== undefined) throw await leave(there, left, { host: to, guest, why }, signal);
  await undefineAtRest(daemons, there, signal);
}

/** libvirt makes and leaves none of a guest that had none: whoever made it did so meanwhile. */
function whyNotOurs({ persistent }: Mark): string | undefined {
  return persistent === 'yes' ? undefined : 'its mark says that the guest had none';
}

interface RunsAs {
  readonly client: LibvirtClient;
  readonly domain: Domain;
  readonly where: string;
}

/** Why a definition says more than the one that the guest has where it runs; undefined where nothing is lost with it. */
export async function whyNotTheSame(
  { client, domain, where }: RunsAs,
  other: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!(await client.isPersistent(domain, signal))) return `the guest has none ${where}`;
  const own = await client.definition(domain, signal);
  return isSameMachine(own, other) ? undefined : `it is of another machine than ${where}`;
}

/** By what makes the guest, and not by every word: each version of libvirt writes its own. */
export function isSameMachine(one: string, other: string): boolean {
  const [own, its] = [one, other].map((xml) => readDomain(xml).facts);
  if (own === undefined || its === undefined) return false;
  return isDeepStrictEqual(partsOf(own), partsOf(its));
}

function partsOf({
  uuid,
  machine,
  memoryBytes,
  vcpus,
  firmware,
  tpm,
  nics,
  disks,
  networks,
  written,
}: DomainFacts) {
  const { arch, type, virtType } = machine;
  const hardware = { uuid, arch, type, virtType, memoryBytes, vcpus, firmware, tpm };
  return { ...hardware, nics, disks, networks, written };
}

async function undefineAtRest(
  daemons: DaemonPair,
  client: LibvirtClient,
  signal: AbortSignal,
): Promise<void> {
  const domain = await daemons.domain(client, signal);
  if (domain?.id !== -1) return;
  const { facts } = readDomain(await client.xml(domain, signal));
  await client.undefine(domain, facts?.tpm !== undefined, signal);
}
