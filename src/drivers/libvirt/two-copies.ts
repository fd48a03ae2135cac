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
 * libvirt can run a guest twice. If the destination's daemon dies after it started the guest and before its
 * source was informed, the source's daemon resumes its copy (see libvirt's virDomainMigrateVersion3Full, which
 * relies on lock managers; they do not cover copied disks). By decision 0025 the source's copy is the guest, as
 * in OpenStack Nova.
 */

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
  // The definition at the source has moved with the guest, which has ended at its destination since.
  const hasMoved = presence(source) === 'absent' && isMoving === false && isDone(daemons, order);
  if (ended !== undefined && hasMoved) return { at: 'destination', busy: false, ended };
  if (presence(source) !== 'has' || seen.busy !== true) return seen;
  const isSecond = (await secondCopy(daemons, order, signal)) !== undefined;
  return isSecond ? { at: 'source', busy: false, second: true } : seen;
}

/** libvirt reported that it moved the guest. A definition from before the move is not proof. */
export function isDone(
  { host: { outcomes } }: DaemonPair,
  { id }: Pick<ManagedOrder, 'id'>,
): boolean {
  return outcomes.get(id)?.state === 'done';
}

interface SecondCopy {
  readonly domain: Domain;
  readonly guest: { readonly domain: Domain; readonly mark: Mark };
  /** False if it only waited for memory. */
  readonly hasRun: boolean;
}

/**
 * Domain of this migration at the destination while its guest works at the source without a move. The source is
 * queried after the destination, because a guest that has arrived no longer works at its source.
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
 * Ends the second copy and its definition, recorded in the guest's mark for a mover that takes over. A copy that
 * shares files with the guest is paused and left to the operator, since libvirt would take the files from the
 * guest. Does nothing if the destination does not answer. Can be repeated.
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
    // A waiting copy is ended by its daemon.
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

/** Message for the operator about a second copy that was ended; undefined if there was none. */
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

/** Not retryable: only the operator can decide. An earlier definition keeps its autostart. */
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
