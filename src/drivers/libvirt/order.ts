import { systemClock } from '../../clock.ts';
import { godwitError } from '../../errors.ts';
import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import type { Domain, LibvirtClient } from './client.ts';
import type { DaemonPair } from './daemon-pair.ts';
import { isMigrating } from './job.ts';
import { MARK, markElement, type Mark } from './mark.ts';
import { uriOf } from './options.ts';
import type { LibvirtRefusal } from './rpc/connection.ts';
import { migrateCall, outcomeOf, type Outcome } from './task.ts';
import { whereabouts } from './whereabouts.ts';

/** Interval of looks for a new order's job, ms. */
const BEGUN_MS = 50;
const NOTE_MS = 35_000;

/**
 * Orders a migration once: the mark is stored before the order is sent. Resolves once libvirt has begun, or if
 * this migration was already ordered.
 */
export async function giveOrder(
  daemons: DaemonPair,
  order: ManagedOrder,
  signal: AbortSignal,
): Promise<void> {
  const { source, host } = daemons;
  const before = host.outcomes.get(order.id);
  if (before !== undefined && before.state !== 'unheard') return;
  const domain = await daemons.running(source, signal);
  if (domain === undefined) {
    const there = await daemons.destination(order.to, signal);
    if ((await daemons.marked(there, order.id, signal)) !== undefined) return;
    throw daemons.refused('migrate', 'it does not run here');
  }
  if ((await daemons.marked(source, order.id, signal)) !== undefined) return;
  if (isMigrating(await source.job(domain, signal))) {
    throw daemons.refused('migrate', 'another migration of it is under way');
  }
  const isPersistent = await source.isPersistent(domain, signal);
  const autostart = isPersistent && (await source.autostart(domain, signal));
  const isDefined = await isDefinedAt(daemons, order.to, signal);
  const mark: Mark = {
    id: order.id,
    state: 'sent',
    reason: '',
    autostart: autostart ? 'yes' : 'no',
    persistent: isPersistent ? 'yes' : 'no',
    defined: isDefined ? 'yes' : 'no',
  };
  await source.setMetadata(domain, MARK, markElement(mark), signal);
  const ended = await send(daemons, order, { domain, mark, isPersistent }, signal);
  if (ended?.state === 'failed') throw await notBegun(daemons, order, ended.cause, signal);
  if (ended === undefined) {
    // libvirt may refuse a limit now and keep its default.
    await source.setMaxDowntime(domain, order.maxDowntimeMs, signal).catch(() => undefined);
  }
}

/** If the daemon does not answer, a later definition is not ours to remove. */
async function isDefinedAt(daemons: DaemonPair, to: string, signal: AbortSignal): Promise<boolean> {
  try {
    return (await daemons.domain(await daemons.destination(to, signal), signal)) !== undefined;
  } catch {
    signal.throwIfAborted();
    return true;
  }
}

interface MarkedDomain {
  readonly domain: Domain;
  readonly mark: Mark;
  readonly isPersistent: boolean;
}

/** Undefined once its job is seen; the outcome if the call ended before. */
async function send(
  daemons: DaemonPair,
  order: ManagedOrder,
  { domain, mark, isPersistent }: MarkedDomain,
  signal: AbortSignal,
): Promise<Outcome | undefined> {
  const { outcomes, hear, options } = daemons.host;
  const caller = await daemons.another(signal);
  const { migrateUri } = options.hosts[order.to] ?? {};
  const { tls, sockets } = options;
  const facts = { isPersistent, tls, migrateUri, sockets: sockets.directory };
  const { params, flags } = migrateCall(order, facts);
  signal.throwIfAborted();
  outcomes.set(order.id, { state: 'under way' });
  let ended: Outcome | undefined;
  void caller
    .migrate(domain, uriOf(options, order.to), params, flags)
    .then((): Outcome => ({ state: 'done' }), outcomeOf)
    .then(async (outcome) => {
      ended = outcome;
      outcomes.set(order.id, outcome);
      for (const listener of hear) listener();
      await note(caller, domain, mark, outcome);
    })
    .finally(() => caller.close());
  while (ended === undefined) {
    if (isMigrating(await daemons.source.job(domain, signal))) return undefined;
    await systemClock.sleep(BEGUN_MS, signal);
  }
  return ended;
}

/** No job was seen: libvirt has not begun if the guest is unchanged. */
async function notBegun(
  daemons: DaemonPair,
  { guest, to }: ManagedOrder,
  cause: LibvirtRefusal,
  signal: AbortSignal,
): Promise<Error> {
  const there = await daemons.destination(to, signal).then(
    (client) => daemons.sight(client, signal),
    () => 'silent' as const,
  );
  const here = await daemons.sight(daemons.source, signal);
  const { at, busy } = whereabouts(here, there, await daemons.isMoving(signal));
  const reason = cause.message;
  if (at === 'source' && busy === false) return daemons.refused('migrate', reason, cause);
  return godwitError('GODWIT_TASK_FAILED', { guest, reason }, { cause });
}

/** Records in the mark why a task did not move the guest, for a mover that takes over. */
async function note(
  client: LibvirtClient,
  domain: Domain,
  mark: Mark,
  outcome: Outcome,
): Promise<void> {
  if (outcome.state !== 'failed' && outcome.state !== 'cancelled') return;
  const { state, reason } = outcome;
  const element = markElement({ ...mark, state, reason });
  const signal = AbortSignal.timeout(NOTE_MS);
  await client.setMetadata(domain, MARK, element, signal).catch(() => undefined);
}
