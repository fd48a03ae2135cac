import type { ManagedInspection } from '../../port/managed.ts';
import type { CopiedDisk } from '../../migration/managed/task-sight.ts';
import { defined } from '../../protocol/defined.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { ManagedContext } from './context.ts';
import type { ManagedWire } from './wire.ts';

/**
 * The looks of the steps `inspect` and `check`: all that happens before the manager is to do anything. A migration takes them
 * as steps of lifecycle.ts, and a check takes them without a migration: there is no other list.
 */
export interface LookDependencies extends Pick<ManagedContext, 'ask' | 'order' | 'proveDevices'> {
  /** Absent: the manager sends memory by its own path. */
  readonly wire?: Pick<ManagedWire, 'check'> | undefined;
}

/** Asks the manager what the guest is, and the destination whether it has the guest's block devices. */
export async function inspect(
  { ask, order, proveDevices }: LookDependencies,
  signal: AbortSignal,
): Promise<ManagedInspection> {
  const found = await ask((session, inner) => session.inspect(inner), signal);
  const held = (await proveDevices?.(found, order, signal)) ?? [];
  return { ...found, checks: [...found.checks, ...held] };
}

/** Asks the manager whether it would move the guest, and which disks would be copied. */
export async function checkMove(
  { ask, order, wire }: LookDependencies,
  signal: AbortSignal,
): Promise<{ readonly checks: readonly Check[]; readonly copies?: readonly CopiedDisk[] }> {
  const found = await ask((session, inner) => session.check(order, inner), signal);
  // No disk is copied of a guest that stays.
  const stays = found.some(({ verdict }) => verdict === 'refuse');
  const copies = stays
    ? undefined
    : await ask(async (session, inner) => session.copies?.(order, inner), signal);
  const path = wire === undefined ? [] : [await wire.check((copies ?? []).length > 0, signal)];
  return { checks: [...path, ...found], ...defined({ copies }) };
}
