import { hasCode, toGodwitError } from '../../errors.ts';
import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import { VsphereFault, type VsphereClient } from './client.ts';
import { denied, wordsOf } from './faults.ts';
import type { GuestSight, VsphereGuest } from './guest.ts';
import { otherSpec } from './other-target.ts';
import { datastoreNamed, poolOf, type HostPlace } from './places.ts';
import { group, ref, sameRef, text, type Part, type Ref } from './soap.ts';
import { isMoving } from './task.ts';

/** Faults that leave open whether the order had an effect. */
const OPEN: ReadonlySet<string> = new Set([
  'RuntimeFault',
  'MethodFault',
  'SystemError',
  'HostCommunication',
  'Timedout',
]);

export interface Target {
  readonly host: HostPlace;
  readonly client: VsphereClient;
  /** Configured name, if it is not the guest's vCenter. */
  readonly other?: string;
  readonly spec: Part;
}

/** Destination for vSphere: a host, its resource pool if it is in another cluster, and a datastore. */
export async function targetOf(
  of: VsphereGuest,
  sight: Pick<GuestSight, 'host'>,
  order: Pick<ManagedOrder, 'guest' | 'to' | 'datastore'>,
  signal: AbortSignal,
): Promise<Target> {
  const { guest, to } = order;
  try {
    const host = await of.hosts.named({ guest, to }, signal);
    return await ownTarget(of, sight, { ...order, host }, signal);
  } catch (thrown) {
    if (of.others === undefined || !hasCode(thrown, 'GODWIT_HOST_UNKNOWN')) throw thrown;
    const place = await of.others.named({ guest, to }, thrown, signal);
    const { name: other, host, client } = place;
    return { host, client, other, spec: await otherSpec(of, place, order, signal) };
  }
}

async function ownTarget(
  { client }: VsphereGuest,
  { host: source }: Pick<GuestSight, 'host'>,
  {
    guest,
    to,
    datastore,
    host,
  }: Pick<ManagedOrder, 'guest' | 'to' | 'datastore'> & { readonly host: HostPlace },
  signal: AbortSignal,
): Promise<Target> {
  const store =
    datastore === undefined
      ? undefined
      : await datastoreNamed(client, host, { guest, to, datastore }, signal);
  const before = source === undefined ? undefined : await parentOf(source);
  const pool = sameRef(before, host.parent) ? undefined : await poolOf(client, host, signal);
  // vSphere requires the schema's order.
  const spec = group('spec', [
    ...(store === undefined ? [] : [ref('datastore', store)]),
    ...(pool === undefined ? [] : [ref('pool', pool)]),
    ref('host', host.ref),
  ]);
  return { host, client, spec };

  async function parentOf(at: Ref): Promise<Ref | undefined> {
    const [seen] = await client.retrieve([{ ref: at, properties: ['parent'] }], signal);
    const parent = seen?.properties.get('parent');
    const type = parent?.attributes['type'];
    return parent === undefined || type === undefined ? undefined : { type, value: parent.text };
  }
}

/**
 * Orders a move once: the mark is written before the order. Returns the task, or undefined if this migration was
 * already ordered. Throws GODWIT_HYPERVISOR if vSphere began none.
 */
export async function giveOrder(
  guest: VsphereGuest,
  order: ManagedOrder,
  signal: AbortSignal,
): Promise<Ref | undefined> {
  // A guest that is already at another vCenter has left by this order, or needs none.
  const isGone = (await guest.sight(signal)) === undefined;
  if (isGone && (await guest.elsewhere(signal)) !== undefined) return undefined;
  const sight = await guest.needed(order.guest, signal);
  const before = await guest.markText(sight, signal);
  if ((await guest.mark(sight, order.id, signal)) !== undefined) return undefined;
  const tasks = await guest.tasks(sight.tasks, signal);
  if (tasks.some((task) => isMoving(task))) {
    throw guest.refused('RelocateVM_Task', 'another task moves it now');
  }
  if (!sight.isMovable) {
    const why =
      'vSphere does not offer the move now: another task is under way, or a product for backups has disabled it';
    throw guest.refused('RelocateVM_Task', why);
  }
  const { spec } = await placed(guest, sight, order, signal);
  const mark = { id: order.id, since: await guest.now(signal) };
  await guest.setMark(mark, signal);
  const { id, priority } = order;
  const task = await send(guest, { id, priority, spec, before }, signal);
  // If this fails, the next mover finds the task in the guest's list.
  await guest.setMark({ ...mark, task: task.value }, signal).catch(() => undefined);
  return task;
}

/** An invalid destination is refused before the order. */
async function placed(
  guest: VsphereGuest,
  sight: GuestSight,
  order: ManagedOrder,
  signal: AbortSignal,
): Promise<Target> {
  try {
    return await targetOf(guest, sight, order, signal);
  } catch (thrown) {
    const error = toGodwitError(thrown);
    const isPlace = ['GODWIT_HOST_UNKNOWN', 'GODWIT_MANAGER_REFUSES'].includes(error.code);
    throw isPlace ? guest.refused('RelocateVM_Task', error.message, thrown) : thrown;
  }
}

interface RelocationOrder extends Pick<ManagedOrder, 'id' | 'priority'> {
  readonly spec: Part;
  /** Earlier text of the attribute. */
  readonly before: string | undefined;
}

async function send(
  guest: VsphereGuest,
  { id, priority, spec, before }: RelocationOrder,
  signal: AbortSignal,
): Promise<Ref> {
  const parts = [spec, text('priority', `${priority ?? 'default'}Priority`)];
  try {
    return await guest.client.callForRef('RelocateVM_Task', guest.ref, parts, signal);
  } catch (thrown) {
    if (!(thrown instanceof VsphereFault)) throw thrown;
    const isDenied = thrown.fault.type === 'NoPermission';
    const reason = isDenied ? denied(thrown.fault).message : wordsOf(thrown.fault);
    if (OPEN.has(thrown.fault.type)) throw guest.client.unreachable(reason);
    await takeMarkBack(guest, id, before, signal).catch(() => undefined);
    throw guest.refused('RelocateVM_Task', reason, thrown);
  }
}

/** Restores the earlier text, unless another order has written a mark since: its task continues. */
async function takeMarkBack(
  guest: VsphereGuest,
  id: string,
  before: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const sight = await guest.sight(signal);
  if (sight === undefined || (await guest.mark(sight, id, signal)) === undefined) return;
  await guest.setMarkText(before ?? '', signal);
}
