import type { SideView } from '../../../protocol/public/resolve.ts';
import type { Fence } from '../../../host/fencing.ts';
import { realpathSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../../../clock.ts';
import { hostsOf, type AgentConfig } from '../../../config.ts';
import { headOf } from '../../../disks/proof/image-heads.ts';
import type { DestinationOptions, DirectDriver } from '../../../port/direct.ts';
import type { Log } from '../../../log.ts';
import type {
  DestinationEvent,
  DestinationState,
} from '../../../migration/direct/destination/destination.ts';
import { godwitError } from '../../../errors.ts';
import type { BootTime } from '../../../migration/boot-time.ts';
import { endingMs } from '../../../migration/direct/source/ending-times.ts';
import { defined } from '../../../protocol/defined.ts';
import type { PrepareAnswer } from '../../../protocol/peer/migration.ts';
import type { FleetQuestion } from '../ask-fleet.ts';
import { logDirOf } from '../../../host/guest-logs.ts';
import type { Journal } from '../../../host/journal/journal.ts';
import type { WireOpeners } from '../../shared/wire-openers.ts';
import type { ArrivedConnections } from './connections.ts';
import type { PlaceIds } from './disks/place-ids.ts';

/**
 * Answer of the source's agent about its side. `isDark`: no sign of the host. Neither a view nor dark: the agent
 * answers but does not know the migration; that permits nothing.
 */
export type AskSource = (
  signal: AbortSignal,
) => Promise<{ readonly isDark: boolean; readonly view?: SideView }>;

export interface Others {
  readonly askSource?: AskSource | undefined;
  readonly fence?: Fence | undefined;
  readonly addresses?: readonly string[];
}

export interface DestinationContext {
  readonly dir: string;
  /** Ids for places of this host, for the source. */
  readonly placeIds: PlaceIds;
  readonly config: AgentConfig;
  readonly driver: DirectDriver;
  readonly journal: Journal<DestinationEvent>;
  readonly clock: Clock;
  readonly log: Log;
  readonly bootTime: () => BootTime;
  readonly others?: Others;
  /** Absent: connections are not taken over. */
  readonly connections?: ArrivedConnections;
  readonly fleet: FleetQuestion;
  /** ISO 8601: time of the request. */
  readonly since: string;
  /** Absent: no wire. */
  readonly wire?: WireOpeners | undefined;
}

/** Memory takes the path of the source's call, if it leads to an address of this host. */
export function listenHostFor(config: AgentConfig, calledAt: string | undefined): string {
  const hosts = hostsOf(config);
  return hosts.find((host) => host === calledAt) ?? hosts[0] ?? '';
}

function unlockedDirs({ storage }: AgentConfig): string[] {
  return storage.flatMap((each) => {
    if (!('path' in each) || each.locks !== false) return [];
    try {
      return [realpathSync(each.path)];
    } catch {
      // Missing directory: no images in it.
      return [];
    }
  });
}

/** Places of the guest on this host; with its handle if an earlier mover has started it. */
export function destinationOptions(
  config: AgentConfig,
  state: Pick<DestinationState, 'handle' | 'admission'> & Partial<Pick<DestinationState, 'launch'>>,
  calledAt?: string,
): DestinationOptions {
  const { handle, admission, launch } = state;
  return {
    host: config.name,
    guest: admission.guest,
    migration: admission.id,
    from: admission.from,
    guestDir: path.join(config.stateDir, 'guests', admission.guest),
    logDir: logDirOf(config, admission.guest),
    unlockedDirs: unlockedDirs(config),
    headOf: (file, bytes, signal) => headOf(config.storage, file, bytes, signal),
    networks: config.bridges,
    listenHost: listenHostFor(config, calledAt),
    ports: config.ports,
    memoryBytes: admission.memoryBytes,
    isCold: admission.settings?.mode === 'cold',
    ...(admission.settings?.plug && { plug: admission.settings.plug }),
    ...defined({ handle, launch }),
  };
}

/** Time to remove everything, without the end of the hypervisor's process, ms. */
const TAKE_DOWN_MS = 60_000;

/** Silence of the source's mover until its agent is asked, ms. */
export const SOURCE_SILENT_MS = 10_000;

export function takeDownMs({ admission }: Pick<DestinationState, 'admission'>): number {
  return TAKE_DOWN_MS + endingMs(admission.memoryBytes);
}

export function listening(config: AgentConfig, memoryAddress: string | undefined): PrepareAnswer {
  if (memoryAddress === undefined)
    throw godwitError('GODWIT_INTERNAL', { what: 'nothing listens here' });
  return { memoryAddress, tlsHostname: config.name };
}
