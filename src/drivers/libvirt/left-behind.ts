import { isDeepStrictEqual } from 'node:util';
import type { CopiedDisk, ManagedOrder } from '../../migration/managed/task-sight.ts';
import { godwitError } from '../../errors.ts';
import type { GodwitError } from '../../errors.ts';
import type { Domain, LibvirtClient } from './client.ts';
import { readDomain } from './domain-xml.ts';
import type { DomainFacts } from './domain-xml.ts';
import type { DaemonPair } from './daemon-pair.ts';
import { isMigrating } from './job.ts';
import type { Mark } from './mark.ts';
import { LibvirtRefusal } from './rpc/connection.ts';
import { hasRun, isLeftPaused, presence, whereabouts } from './whereabouts.ts';

/**
 * What a daemon that died in the middle of a move leaves behind, and libvirt never removes: a paused copy or a definition at
 * the source of a guest that runs at its destination, a definition at the destination of one that stayed. Whoever started it
 * would have the guest twice.
 */

/**
 * At the source, once the guest runs at the destination as that of this migration: ends what is left there. A definition that
 * stays loses its autostart, and why it stays is said. The mark only ever keeps one from being removed. Repeatable.
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
      const autostart = await endAutostart(source, left, signal);
      const why = `libvirt may take files of the running guest with it; ${autostart}`;
      return leftToYou({ host: daemons.host.name, guest, what: 'paused copy' }, why);
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
  const autostart = await endAutostart(source, definition, signal);
  return leftToYou({ host: daemons.host.name, guest, what: 'definition' }, `${why}; ${autostart}`);
}

/** Asked again, they may: a daemon that has just started again knows less at first. */
function disagree(host: string, { guest, to }: Pick<ManagedOrder, 'guest' | 'to'>): GodwitError {
  const reason = `not both daemons say that it is at ${to} alone, by this migration, so what is left of it at ${host} stays`;
  return godwitError('GODWIT_MANAGERS_DISAGREE', { guest, reason });
}

/** Of what stays: a boot of its host would start the guest there, while it runs at its destination. */
async function endAutostart(
  source: LibvirtClient,
  definition: Domain,
  signal: AbortSignal,
): Promise<string> {
  if (!(await source.autostart(definition, signal))) return 'its autostart is off';
  const off = source.setAutostart(definition, false, signal);
  const why = await refusal('does not turn it off', off);
  if (why === undefined) return 'its autostart is off';
  return `its autostart is on, so a boot of that host starts the guest a second time: ${why}`;
}

/** Undefined where libvirt did it; its words where it does not, however often it is asked. */
async function refusal(what: string, asked: Promise<void>): Promise<string | undefined> {
  try {
    await asked;
    return undefined;
  } catch (thrown) {
    if (thrown instanceof LibvirtRefusal) return `libvirt ${what}: ${thrown.message}`;
    throw thrown;
  }
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
 * At the destination, where the guest stayed at its source and there was no definition of it before. The mark alone proves
 * little: it may be as old as the migration, and whoever may change the domain may have written it, also who may not remove
 * one. Repeatable.
 */
export async function endAtDestination(
  daemons: DaemonPair,
  { id, to, guest }: Pick<ManagedOrder, 'id' | 'to' | 'guest'>,
  signal: AbortSignal,
): Promise<void> {
  const stayed = await daemons.marked(daemons.source, id, signal);
  if (stayed === undefined || stayed.mark.defined === 'yes') return;
  let there: LibvirtClient;
  try {
    there = await daemons.destination(to, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    // Not retryable: the guest runs, and nobody waits for a host that may be dead.
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
  if (at !== 'source' || busy !== false) {
    const reason = `not both daemons say that it is at its source alone, so a definition of it at ${to} stays`;
    throw godwitError('GODWIT_MANAGERS_DISAGREE', { guest, reason });
  }
  const why = hasRun(sights[1])
    ? 'a guest of it has run there'
    : (whyNotOurs(stayed.mark) ??
      (await whyNotTheSame(
        { client: daemons.source, domain: stayed.domain, where: 'at its source' },
        await there.definition(left, signal),
        signal,
      )));
  if (why !== undefined) throw leftToYou({ host: to, guest, what: 'definition' }, why);
  await undefineAtRest(daemons, there, signal);
}

interface Left {
  readonly host: string;
  readonly guest: string;
  readonly what: 'definition' | 'paused copy';
}

/** Not retryable: only a person decides. */
function leftToYou({ host, guest, what }: Left, why: string): GodwitError {
  const reason = `a ${what} of ${guest} there is left to you, since ${why}`;
  const command = what === 'definition' ? 'undefine' : 'destroy';
  const facts = { hypervisor: 'libvirt', host, command, reason };
  if (what === 'paused copy') return godwitError('GODWIT_HYPERVISOR', facts);
  // Firmware's variables and the TPM's state may lie on storage that the running guest has, too.
  const hint = `Look at it (\`virsh dumpxml --inactive ${guest}\`). If it is needed no more, at {host}: \`virsh undefine ${guest} --keep-nvram\`, with \`--keep-tpm\` where it has a TPM and libvirt is 8.9 or newer.`;
  return godwitError('GODWIT_HYPERVISOR', facts, { hint });
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
