import { defined } from '../../../protocol/defined.ts';
import type { PlannerGuest, PlannerHost } from '../../inventory.ts';
import type { RecordedGuest } from './history.ts';

export interface WorldGuest {
  readonly recorded: RecordedGuest;
  /** Undefined before the start, while waiting for a place, and after the stop. */
  host: string | undefined;
  going: { readonly to: string; readonly since: number } | undefined;
  left: { readonly host: string; readonly at: number }[];
  /** Reported samples, newest first, and the false value of the sensor. */
  readonly reported: number[];
  lie: number | undefined;
  movingSeconds: number;
}

export interface WorldHost {
  readonly host: PlannerHost;
  failed: boolean;
  silent: boolean;
  draining: boolean;
  bootedAt: number;
}

export const reportedHost = (
  { host, failed, silent, draining }: WorldHost,
  on: boolean,
): PlannerHost => ({
  ...host,
  on,
  ...(failed || silent ? { silent: true } : {}),
  ...(draining ? { draining: true } : {}),
});

/** Empty for a guest that is not there. */
export function reportedGuest(
  { recorded, host, going, left, reported }: WorldGuest,
  now: number,
): PlannerGuest[] {
  if (host === undefined) return [];
  const { dirtyBytesPerSecond, apart } = recorded;
  return [
    {
      name: recorded.name,
      host,
      memoryBytes: recorded.memoryBytes,
      cpu: recorded.cores,
      demand: [...reported],
      ...(going === undefined ? {} : { moving: true, movingTo: going.to }),
      ...defined({ dirtyBytesPerSecond }),
      ...(apart === undefined ? {} : { apart: [apart] }),
      left: left.map((past) => ({ host: past.host, secondsAgo: now - past.at })),
    },
  ];
}
