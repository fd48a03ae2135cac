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
 * Removes leftovers of a daemon that died during a move; libvirt never removes them: a paused copy or definition
 * at the source of a moved guest, or a definition at the destination of a guest that stayed. If one were
 * started, the guest would run twice.
 */

/**
 * Ends the copy and removes the definition at the source once the guest runs at the destination as part of this
 * migration. The returned error names what stays, with its autostart off, and the reason. The mark alone is not
 * sufficient. Can be repeated.
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
  // A guest without a definition at its destination would be lost after a shutdown.
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
 * Used at the source if only the operator reported that the guest runs at its destination. Nothing is removed,
 * but a copy that does not run, or a definition, loses its autostart. Undefined if there is none. Can be
 * repeated.
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

/** A restarted daemon may report more after a retry. */
function disagree(host: string, { guest, to }: Pick<ManagedOrder, 'guest' | 'to'>): GodwitError {
  const reason = `not both daemons report that it is at ${to} alone, by this migration, so its copy at ${host} stays`;
  return godwitError('GODWIT_MANAGERS_DISAGREE', { guest, reason });
}

/**
 * Relation of the paused copy at the source to the arrived guest. `private`: it belongs to this migration and
 * can be ended without harm. `shared`: it shares files with the guest. `other`: it does not belong to our
 * migration, or is still needed.
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
 * When libvirt ends a domain, it resets the owner of the domain's files and removes its TPM state, so none of
 * them may be shared with the running guest: all its written disks were copied, and it has neither firmware
 * variables nor a TPM.
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
 * Used at the destination if the guest stayed at its source and had no definition here before. The mark alone is
 * weak evidence: it may be as old as the migration, and anyone who may change the domain may have written it.
 * Can be repeated.
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
    // Not retryable: the guest runs, and the report does not wait for a host that may be dead.
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

/** libvirt creates no definition of a guest that had none, so someone else made it meanwhile. */
function whyNotOurs({ persistent }: Mark): string | undefined {
  return persistent === 'yes' ? undefined : 'its mark says that the guest had none';
}

interface RunsAs {
  readonly client: LibvirtClient;
  readonly domain: Domain;
  readonly where: string;
}

/** Reason why a definition contains more than the running guest's; undefined if its removal loses nothing. */
export async function whyNotTheSame(
  { client, domain, where }: RunsAs,
  other: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!(await client.isPersistent(domain, signal))) return `the guest has none ${where}`;
  const own = await client.definition(domain, signal);
  return isSameMachine(own, other) ? undefined : `it is of another machine than ${where}`;
}

/** Compares only the parts that define the guest: libvirt versions write different XML. */
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
