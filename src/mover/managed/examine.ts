import type { ManagedInspection } from '../../port/managed.ts';
import type { CopiedDisk } from '../../migration/managed/task-sight.ts';
import { defined } from '../../protocol/defined.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { ManagedContext } from './context.ts';
import type { ManagedWire } from './wire.ts';

/**
 * Looks of the steps `inspect` and `check`, before the manager acts. A migration takes them as steps of lifecycle.ts,
 * and a check without a migration; there is no other list.
 */
export interface LookDependencies extends Pick<ManagedContext, 'ask' | 'order' | 'proveDevices'> {
  /** Absent: the manager uses its own path for memory. */
  readonly wire?: Pick<ManagedWire, 'check'> | undefined;
}

/** Asks the manager about the guest, and the destination about the guest's block devices. */
export async function inspect(
  { ask, order, proveDevices }: LookDependencies,
  signal: AbortSignal,
): Promise<ManagedInspection> {
  const found = await ask((session, inner) => session.inspect(inner), signal);
  const held = (await proveDevices?.(found, order, signal)) ?? [];
  return { ...found, checks: [...found.checks, ...held] };
}

/** Asks the manager whether it would move the guest, and which disks it would copy. */
export async function checkMove(
  { ask, order, wire }: LookDependencies,
  signal: AbortSignal,
): Promise<{ readonly checks: readonly Check[]; readonly copies?: readonly CopiedDisk[] }> {
  const found = await ask((session, inner) => session.check(order, inner), signal);
  // A guest that stays needs no copies.
  const stays = found.some(({ verdict }) => verdict === 'refuse');
  const copies = stays
    ? undefined
    : await ask(async (session, inner) => session.copies?.(order, inner), signal);
  const path = wire === undefined ? [] : [await wire.check((copies ?? []).length > 0, signal)];
  return { checks: [...path, ...found], ...defined({ copies }) };
}
