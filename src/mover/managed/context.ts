import type { Clock } from '../../clock.ts';
import type { ManagedDriver, ManagedInspection, ManagedSession } from '../../port/managed.ts';
import type { Log } from '../../log.ts';
import type { ManagedEvent } from '../../migration/managed/events.ts';
import type { ManagedState } from '../../migration/managed/state.ts';
import type { ManagedOrder, TaskSight } from '../../migration/managed/task-sight.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { Beginning } from '../shared/beginning.ts';
import type { ArrivalNotice } from './arrival-notice.ts';
import type { Looks } from './verification.ts';
import type { ManagedWire } from './wire.ts';

export interface ManagedContext {
  readonly config: Beginning['config'];
  readonly clock: Clock;
  readonly log: Log;
  readonly driver: Pick<ManagedDriver, 'name' | 'capabilities'>;
  /** Wall clock of the request to the agent. */
  readonly askedAtMs: number;
  readonly order: ManagedOrder;
  readonly state: () => ManagedState;
  readonly dispatch: (event: ManagedEvent) => void;
  readonly record: (event: ManagedEvent) => Promise<void>;
  /** Shows unrecorded progress to live view followers. */
  readonly live: (task: Extract<TaskSight, { state: 'running' }>) => void;
  /** External checks of the guest; absent: none. */
  readonly verification?: Omit<Looks, 'close'> | undefined;
  /** Absent: the destination has no agent. */
  readonly notice?: Pick<ArrivalNotice, 'announce'> | undefined;
  /** Absent: the manager uses its own path for memory. */
  readonly wire?: Pick<ManagedWire, 'check' | 'open' | 'close'> | undefined;
  /** Proves that the destination has the guest's block devices; absent: not asked. */
  readonly proveDevices?: ProveDevices | undefined;
  readonly leftMs: () => number;
  /** Asks the manager, over a new connection if the last one broke. */
  readonly ask: <T>(
    question: (session: ManagedSession, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ) => Promise<T>;
}

export type ProveDevices = (
  found: Pick<ManagedInspection, 'devices' | 'memoryBytes'>,
  order: ManagedOrder,
  signal: AbortSignal,
) => Promise<Check[]>;
