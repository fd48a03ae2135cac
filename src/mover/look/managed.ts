import { withDeadline } from '../../deadline.ts';
import { isManaged, type Driver } from '../../drivers/registry.ts';
import type { ManagedDriver } from '../../port/managed.ts';
import { toGodwitError } from '../../errors.ts';
import { orderOf } from '../../migration/managed/events.ts';
import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import { refusal } from '../../migration/preflight/check.ts';
import {
  deviceQuestion,
  heldDeviceChecks,
  type HeldDevicesAsked,
} from '../managed/held-devices.ts';
import { checkWire, copiesOf } from '../managed/wire-offer.ts';
import {
  check,
  MAX_CHECKS,
  migrationSettings,
  type Check,
  type MigrationSettings,
} from '../../protocol/public/migration.ts';
import type { CheckDependencies, Examined, ExaminedHost } from './questions.ts';
import { linkChecks, type LinkAsked } from './managed-link.ts';

/** At most so much of why a guest was not measured is reported, characters. */
const MAX_WORDS = 4096;
const OFFER_MS = 8000;
const STORAGE_MS = 10_000;

/** The driver of a guest that a manager moves; undefined where Godwit takes hold of it itself. */
export function managerOf(
  drivers: readonly Driver[],
  { handle }: Pick<Examined, 'handle'>,
): ManagedDriver | undefined {
  const driver = drivers.find(({ name }) => name === handle.driver);
  return driver !== undefined && isManaged(driver) ? driver : undefined;
}

export interface ManagerAsked extends Pick<LinkAsked, 'lookAtPath'> {
  /** This host's name. */
  readonly here: string;
  readonly withinMs: number;
  readonly peers: Pick<CheckDependencies['peers'], 'preflight' | 'address' | 'linkProbe'>;
  /** Told whether disks would be copied, as far as it comes to that. */
  readonly copies?: (has: boolean) => void;
}

/** What the guest's manager finds for or against the move, as a migration would hear it first. It starts nothing. */
export async function askManager(
  driver: ManagedDriver,
  {
    id,
    request,
    handle,
    from,
    seen,
  }: Pick<Examined, 'id' | 'request' | 'handle' | 'from' | 'seen'>,
  { here, withinMs, peers, lookAtPath, copies }: ManagerAsked,
  signal: AbortSignal,
): Promise<Check[]> {
  const { guest, to } = request;
  const settings = migrationSettings.parse(request);
  const order = orderOf({ id, guest, from: from ?? here, to, settings });
  const what = `the manager of ${guest}, asked about ${to}`;
  try {
    return await withDeadline(what, Math.max(0, withinMs), signal, async (within) => {
      const session = await driver.openManaged(handle, within);
      try {
        const { checks, memoryBytes, devices } = await session.inspect(within);
        const found = await session.check(order, within);
        const { link } = seen;
        const asked = { here, order, memoryBytes, link, peers, lookAtPath };
        const path: Check[] = [];
        if (order.wire === true || copies !== undefined) {
          // The manager's storage is asked once more for that: not where nothing rests on it.
          const hasCopies = ((await copiesOf(session, order, found, within)) ?? []).length > 0;
          copies?.(hasCopies);
          if (order.wire === true)
            path.push(await wireCheck(driver, order, hasCopies, { here, peers }, within));
        }
        const ask = storageOf(peers, { here, order, memoryBytes, settings }, within);
        const held = await heldDeviceChecks({ devices, order, id, ask }, within);
        const all = [...checks, ...held, ...path, ...found, ...(await linkChecks(asked, within))];
        return check.array().parse(all.slice(0, MAX_CHECKS));
      } finally {
        await session.close();
      }
    });
  } catch (thrown) {
    signal.throwIfAborted();
    return [refusal('destination', toGodwitError(thrown), 'both')];
  }
}

/** What the guest writes, as its manager measures it, or why nobody knows. Its own connection: the checks are made meanwhile. */
export async function measureByManager(
  driver: ManagedDriver,
  { handle, request: { guest } }: Pick<Examined, 'handle' | 'request'>,
  withinMs: number,
  signal: AbortSignal,
): Promise<Pick<ExaminedHost, 'measured' | 'unmeasured'>> {
  const { measures = false, noMeasures = `the driver ${driver.name} cannot` } = driver.capabilities;
  if (!measures) return { unmeasured: `its manager moves it, and ${noMeasures}` };
  const what = `what ${guest} writes, asked of its manager`;
  try {
    return await withDeadline(what, Math.max(0, withinMs), signal, async (within) => {
      const session = await driver.openManaged(handle, within);
      try {
        const measured = await session.measure?.(within);
        return measured === undefined ? { unmeasured: noMeasures } : { measured };
      } finally {
        await session.close();
      }
    });
  } catch (thrown) {
    signal.throwIfAborted();
    return { unmeasured: toGodwitError(thrown).message.slice(0, MAX_WORDS) };
  }
}

interface StorageAsked {
  readonly here: string;
  readonly order: ManagedOrder;
  readonly memoryBytes: number;
  readonly settings: MigrationSettings;
}

/** The question of a guest's devices, as another host's agent answers it before there is a migration. */
function storageOf(
  peers: ManagerAsked['peers'],
  { here, ...of }: StorageAsked,
  signal: AbortSignal,
): HeldDevicesAsked['ask'] {
  const { from, to, id } = of.order;
  if (from !== here) return `the guest is at ${from}, and this agent at ${here}`;
  if (peers.address(to) === undefined) return `${here} knows no agent of Godwit at ${to}`;
  return async (devices) => {
    const body = deviceQuestion({ id, ...of }, devices);
    const options = { signal, deadlineMs: STORAGE_MS };
    return (await peers.preflight(to).preflightStorage({ body }, options)).devices ?? [];
  };
}

function wireCheck(
  { name: driver, memorySockets: sockets }: ManagedDriver,
  { guest, to }: ManagedOrder,
  disks: boolean,
  { here: from, peers }: Pick<ManagerAsked, 'here' | 'peers'>,
  signal: AbortSignal,
): Promise<Check> {
  const query = { guest, from, driver };
  const ask = () => peers.preflight(to).offerReceiver({ query }, { signal, deadlineMs: OFFER_MS });
  return checkWire({ sockets, from, to, disks, ask }, signal);
}
