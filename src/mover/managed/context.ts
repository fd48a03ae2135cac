import type { Clock } from '../../clock.ts';
import type { ManagedDriver, ManagedInspection, ManagedSession } from '../../port/managed.ts';
import type { Log } from '../../log.ts';
import type { ManagedEvent } from '../../migration/managed/events.ts';
import type { ManagedState } from '../../migration/managed/state.ts';
import type { ManagedOrder, TaskSight } from '../../migration/managed/task-sight.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { Beginning } from '../engine/beginning.ts';
import type { ArrivalNotice } from './arrival-notice.ts';
import type { Looks } from './verification.ts';
import type { ManagedWire } from './wire.ts';

/** What the steps work with. */
export interface ManagedContext {
  readonly config: Beginning['config'];
  readonly clock: Clock;
  readonly log: Log;
  readonly driver: Pick<ManagedDriver, 'name' | 'capabilities'>;
  /** Wall clock when the agent was asked. */
  readonly askedAtMs: number;
  readonly order: ManagedOrder;
  readonly state: () => ManagedState;
  readonly dispatch: (event: ManagedEvent) => void;
  /** Resolves once the event lies in the journal. */
  readonly record: (event: ManagedEvent) => Promise<void>;
  /** Shows what is not worth a record to whoever follows the migration. */
  readonly live: (task: Extract<TaskSight, { state: 'running' }>) => void;
  /** Looks at the guest from outside of its hypervisor; absent: nobody does. */
  readonly verification?: Omit<Looks, 'close'> | undefined;
  /** Absent: the destination has no agent of Godwit. */
  readonly notice?: Pick<ArrivalNotice, 'announce'> | undefined;
  /** Absent: the manager sends memory by its own path. */
  readonly wire?: Pick<ManagedWire, 'check' | 'open' | 'close'> | undefined;
  /** Whether the destination has the guest's block devices; absent: nobody asks. */
  readonly proveDevices?: ProveDevices | undefined;
  /** Until the time allowed is over, ms. */
  readonly leftMs: () => number;
  /** Asks the manager, over a new connection where the last one broke. */
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
