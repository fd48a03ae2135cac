import type { MaintenanceSight } from '../../protocol/public/hosts/managed-host.ts';
import { isUnderWay, reasonOf, type Task } from './task.ts';

/** Maintenance state of a host from its property and recent tasks. Pure. */

export const ENTERING = 'HostSystem.enterMaintenanceMode';
export const LEAVING = 'HostSystem.exitMaintenanceMode';

export function sightOfHost(
  isIn: boolean,
  tasks: readonly Pick<Task, 'kind' | 'state' | 'queuedMs' | 'fault'>[],
): MaintenanceSight {
  const isOpen = (kind: string): boolean =>
    tasks.some((task) => task.kind === kind && isUnderWay(task));
  if (isIn) return { state: isOpen(LEAVING) ? 'leaving' : 'in' };
  if (isOpen(ENTERING)) return { state: 'entering' };
  const [last] = tasks
    .filter(({ kind }) => kind === ENTERING)
    .toSorted((left, right) => right.queuedMs - left.queuedMs);
  if (last?.state !== 'error') return { state: 'out' };
  const { fault } = last;
  const cancelled = fault?.type === 'RequestCanceled';
  return { state: 'out', failed: { reason: reasonOf(fault).slice(0, 1000), cancelled } };
}
