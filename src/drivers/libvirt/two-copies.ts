import { godwitError, type GodwitError } from '../../errors.ts';
import type { ManagedOrder, Whereabouts } from '../../migration/managed/task-sight.ts';
import type { Domain, LibvirtClient } from './client.ts';
import { readDomain } from './domain-xml.ts';
import type { DaemonPair } from './daemon-pair.ts';
import { isMigrating } from './job.ts';
import { isPrivate, pausedCopy, whyNotTheSame } from './images/left-behind.ts';
import { endAutostart, withDefinition } from './left-to-operator.ts';
import { MARK, markElement, type Mark } from './mark.ts';
import { endAt, isAtWork, isLeftPaused, presence, whereabouts, type Sight } from './whereabouts.ts';

/**
 * libvirt can run a guest twice. A destination whose daemon dies after it has begun to run the guest, and before its source
 * has heard of that, lets the source's daemon run its own again (libvirt's virDomainMigrateVersion3Full says so, and leaves it to
 * lock managers, which know nothing of a disk that is copied). By decision 0025 the source's is the guest, as for OpenStack
 * Nova.
 */

/** Where the guest is, by the words of both daemons. */
export async function whereIs(
  daemons: DaemonPair,
  order: Pick<ManagedOrder, 'id' | 'to' | 'copies'>,
  signal: AbortSignal,
): Promise<Whereabouts> {
  const destination = daemons.destination(order.to, signal).then(
    (client) => daemons.sight(client, signal),
    (): Sight => 'silent',
  );
  const [source, other] = await Promise.all([daemons.sight(daemons.source, signal), destination]);
  signal.throwIfAborted();
  const isMoving = await daemons.isMoving(signal);
  const isLeft =
    isLeftPaused(source, other, isMoving) &&
    (await pausedCopy(daemons, order, signal)) === 'private';
  const seen = whereabouts(source, other, isMoving, isLeft);
  const ended = endAt(other);
  // The definition at the source is gone with the guest, which has ended since at its destination.
  const hasMoved = presence(source) === 'absent' && isMoving === false && isDone(daemons, order);
  if (ended !== undefined && hasMoved) return { at: 'destination', busy: false, ended };
  if (presence(source) !== 'has' || seen.busy !== true) return seen;
  const isSecond = (await secondCopy(daemons, order, signal)) !== undefined;
  return isSecond ? { at: 'source', busy: false, second: true } : seen;
}

/** libvirt has answered that it moved the guest. A definition of before the move proves nothing by itself. */
export function isDone(
  { host: { outcomes } }: DaemonPair,
  { id }: Pick<ManagedOrder, 'id'>,
): boolean {
  return outcomes.get(id)?.state === 'done';
}

interface SecondCopy {
  readonly domain: Domain;
  /** The guest that it is a copy of, with its mark. */
  readonly guest: { readonly domain: Domain; readonly mark: Mark };
  /** It only waited for what never came. */
  readonly hasRun: boolean;
}

/**
 * The domain at the destination, of this migration, of a guest that is at work at its source and that nobody moves. The source
 * is asked after the destination: a guest that has arrived is not at work at its source any more.
 */
async function secondCopy(
  daemons: DaemonPair,
  { id, to }: Pick<ManagedOrder, 'id' | 'to'>,
  signal: AbortSignal,
): Promise<SecondCopy | undefined> {
  const { source } = daemons;
  const there = await daemons.destination(to, signal);
  const copy = await daemons.marked(there, id, signal);
  if (copy === undefined || isMigrating(await there.job(copy.domain, signal))) return undefined;
  const hasRun = presence(await daemons.sight(there, signal)) === 'has';
  const stayed = await daemons.marked(source, id, signal);
  if (stayed === undefined || (await daemons.isMoving(signal)) !== false) return undefined;
  if (!isAtWork(await daemons.sight(source, signal))) return undefined;
  return { domain: copy.domain, guest: stayed, hasRun };
}

/**
 * Ends it, with the definition that came along; the guest's mark says so before that, for whoever takes over. A copy that has
 * files with the guest is paused and left to a person, since libvirt would take them from it. Nothing where the destination
 * does not answer. Repeatable.
 */
export async function endSecondCopy(
  daemons: DaemonPair,
  order: Pick<ManagedOrder, 'id' | 'to' | 'guest' | 'copies'>,
  signal: AbortSignal,
): Promise<void> {
  const { to, guest, copies = [] } = order;
  let there: LibvirtClient;
  try {
    there = await daemons.destination(to, signal);
  } catch {
    signal.throwIfAborted();
    return;
  }
  const copy = await secondCopy(daemons, order, signal);
  if (copy === undefined) return;
  const { facts } = readDomain(await there.xml(copy.domain, signal));
  if (facts === undefined || !isPrivate(facts, copies)) {
    // One that waits is ended by its own daemon.
    if (!copy.hasRun) throw waits(to, guest);
    await there.stop(copy.domain, 'suspend', signal);
    throw await sharesFiles(there, copy, { to, guest }, signal);
  }
  const { domain, mark } = copy.guest;
  const isOurs = mark.defined === 'no' && (await isOfTheGuest(daemons, copy, order, signal));
  const second = copy.hasRun ? 'ran' : 'waited';
  await daemons.source.setMetadata(domain, MARK, markElement({ ...mark, second }), signal);
  await there.stop(copy.domain, 'destroy', signal);
  if (isOurs && (await daemons.domain(there, signal))?.id === -1)
    await there.undefine(copy.domain, facts.tpm !== undefined, signal);
}

/** What a person has to know of a second copy that was ended; undefined where there was none. */
export async function wordsOfSecond(
  daemons: DaemonPair,
  { id, to, guest }: Pick<ManagedOrder, 'id' | 'to' | 'guest'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  switch ((await daemons.marked(daemons.source, id, signal))?.mark.second) {
    case 'ran':
      return `libvirt ran ${guest} at both hosts, since the answer of ${to} was lost: its copy at ${to} was ended, and what that did is lost`;
    case 'waited':
      return `a copy of ${guest} that waited at ${to} was ended`;
    case undefined:
      return undefined;
  }
}

async function isOfTheGuest(
  daemons: DaemonPair,
  { domain, guest }: SecondCopy,
  { to }: Pick<ManagedOrder, 'to'>,
  signal: AbortSignal,
): Promise<boolean> {
  const there = await daemons.destination(to, signal);
  if (!(await there.isPersistent(domain, signal))) return false;
  const runs = { client: daemons.source, domain: guest.domain, where: 'at its source' };
  return (await whyNotTheSame(runs, await there.definition(domain, signal), signal)) === undefined;
}

/** libvirt may be about to end it. */
function waits(host: string, guest: string): GodwitError {
  const reason = `a copy of it waits at ${host}, and has files with it`;
  return godwitError('GODWIT_MANAGERS_DISAGREE', { guest, reason });
}

/** Not retryable: only the operator decides. A definition that was there before keeps its autostart. */
async function sharesFiles(
  there: LibvirtClient,
  copy: SecondCopy,
  { to: host, guest }: Pick<ManagedOrder, 'to' | 'guest'>,
  signal: AbortSignal,
): Promise<GodwitError> {
  const definition = await withDefinition(there, copy.domain, signal);
  const autostart =
    copy.guest.mark.defined === 'yes'
      ? 'its definition was there before'
      : await endAutostart(there, copy.domain, signal);
  const reason = `libvirt ran ${guest} at both hosts; its copy there${definition} is paused, and left to you, since libvirt may take files of the guest with it; ${autostart}`;
  return godwitError('GODWIT_HYPERVISOR', {
    hypervisor: 'libvirt',
    host,
    command: 'destroy',
    reason,
  });
}
