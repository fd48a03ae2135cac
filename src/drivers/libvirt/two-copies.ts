import type { GodwitError } from '../../errors.ts';
import { godwitError } from '../../errors.ts';
import type { ManagedOrder, Whereabouts } from '../../migration/managed/task-sight.ts';
import type { Domain } from './client.ts';
import { readDomain } from './domain-xml.ts';
import type { LibvirtEnds } from './ends.ts';
import { isMigrating } from './job.ts';
import { isPrivate, pausedCopy, whyNotTheSame } from './left-behind.ts';
import type { Mark } from './mark.ts';
import { isLeftPaused, presence, whereabouts } from './whereabouts.ts';
import type { Sight } from './whereabouts.ts';

/**
 * libvirt can run a guest twice. A destination whose daemon dies after it has begun to run the guest, and before its source
 * has heard of that, lets the source's daemon run its own again (libvirt's virDomainMigrateVersion3Full says so, and leaves it to
 * lock managers, which know nothing of a disk that is copied). By decision 0025 the source's is the guest, as for OpenStack
 * Nova and oVirt.
 */

/** Where the guest is, by the words of both daemons. */
export async function whereIs(
  ends: LibvirtEnds,
  order: Pick<ManagedOrder, 'id' | 'to' | 'copies'>,
  signal: AbortSignal,
): Promise<Whereabouts> {
  const destination = ends.destination(order.to, signal).then(
    (client) => ends.sight(client, signal),
    (): Sight => 'silent',
  );
  const [source, other] = await Promise.all([ends.sight(ends.source, signal), destination]);
  signal.throwIfAborted();
  const isMoving = await ends.isMoving(signal);
  const isLeft =
    isLeftPaused(source, other, isMoving) && (await pausedCopy(ends, order, signal)) === 'private';
  const seen = whereabouts(source, other, isMoving, isLeft);
  if (presence(source) !== 'has' || seen.busy !== true) return seen;
  const isSecond = (await secondCopy(ends, order, signal)) !== undefined;
  return isSecond ? { at: 'source', busy: false } : seen;
}

interface SecondCopy {
  readonly domain: Domain;
  readonly mark: Mark;
}

/** The domain at the destination, of this migration, of a guest that its source runs and nobody moves any more. */
export async function secondCopy(
  ends: LibvirtEnds,
  { id, to }: Pick<ManagedOrder, 'id' | 'to'>,
  signal: AbortSignal,
): Promise<SecondCopy | undefined> {
  const { source } = ends;
  const stayed = await ends.marked(source, id, signal);
  if (stayed === undefined || presence(await ends.sight(source, signal)) !== 'has')
    return undefined;
  if ((await ends.isMoving(signal)) !== false) return undefined;
  const there = await ends.destination(to, signal);
  const copy = await ends.marked(there, id, signal);
  if (copy === undefined || isMigrating(await there.job(copy.domain, signal))) return undefined;
  return { domain: copy.domain, mark: stayed.mark };
}

/**
 * Ends it, with the definition that came along. One that has files with the guest is paused and left to a person: libvirt
 * would take them from it. Resolves with what a person has to know; undefined where there is no such copy. Repeatable.
 */
export async function endSecondCopy(
  ends: LibvirtEnds,
  order: Pick<ManagedOrder, 'id' | 'to' | 'guest' | 'copies'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { to, guest, copies = [] } = order;
  const copy = await secondCopy(ends, order, signal);
  if (copy === undefined) return undefined;
  const { domain, mark } = copy;
  const there = await ends.destination(to, signal);
  const { facts } = readDomain(await there.xml(domain, signal));
  if (facts === undefined || !isPrivate(facts, copies)) {
    await there.stop(domain, 'suspend', signal);
    throw shared(to, guest);
  }
  const isOurs = mark.defined === 'no' && (await isOfTheGuest(ends, domain, order, signal));
  await there.stop(domain, 'destroy', signal);
  if (isOurs && (await ends.domain(there, signal))?.id === -1)
    await there.undefine(domain, facts.tpm !== undefined, signal);
  return `libvirt ran ${guest} at both hosts, since the answer of ${to} was lost: its copy at ${to} was ended, and what that did is lost`;
}

async function isOfTheGuest(
  ends: LibvirtEnds,
  domain: Domain,
  { to }: Pick<ManagedOrder, 'to'>,
  signal: AbortSignal,
): Promise<boolean> {
  const there = await ends.destination(to, signal);
  if (!(await there.isPersistent(domain, signal))) return false;
  const own = await ends.domain(ends.source, signal);
  if (own === undefined) return false;
  const runs = { client: ends.source, domain: own, where: 'at its source' };
  return (await whyNotTheSame(runs, await there.definition(domain, signal), signal)) === undefined;
}

/** Not retryable: only a person decides. */
function shared(host: string, guest: string): GodwitError {
  const reason = `libvirt ran ${guest} at both hosts; its copy there is paused, and left to you, since libvirt may take files of the guest with it`;
  return godwitError('GODWIT_HYPERVISOR', {
    hypervisor: 'libvirt',
    host,
    command: 'destroy',
    reason,
  });
}
