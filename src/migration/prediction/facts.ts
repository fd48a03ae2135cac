import type { Capabilities } from '../preflight/capabilities.ts';
import type { MigrationSettings } from '../../protocol/public/migration.ts';
import type { CurvePoint, LinkMeasure, PageMix } from '../../protocol/public/prediction.ts';
import type { SteeringMeasure } from '../../protocol/public/steering.ts';
import type { CostFactors } from './own-costs.ts';
import type { OwnMove } from './own-moves.ts';
import type { MemoryPath } from './parameters.ts';

/** Inputs of a prediction: the guest, both hosts, the link and the settings. */

export interface Processors {
  readonly cores: number;
  /** Threads that run or wait for a processor, averaged over the last minute. */
  readonly load?: number | undefined;
}

export interface CopiedBytes {
  readonly bytes: number;
  /** Guest writes to its disks; absent: unknown, and taken as none. */
  readonly writtenBytesPerS?: number | undefined;
}

export interface Facts {
  readonly memoryBytes: number;
  /** Empty: the guest's writes are unknown, and taken as none. */
  readonly curve: readonly CurvePoint[];
  /** Absent: its pages were not sampled. */
  readonly mix?: PageMix | undefined;
  /** Free memory that the guest hints at; pre-copy skips most of it. */
  readonly hintedFreeBytes?: number | undefined;
  /** Absent: only the processors limit it. */
  readonly link?: Pick<LinkMeasure, 'rate' | 'how' | 'roundTripMs' | 'isLeast'> | undefined;
  readonly processors: readonly Processors[];
  readonly memoryPath: MemoryPath;
  /** Learned or assumed time around memory, ms; absent: as on a quiet machine. */
  readonly aroundMs?: number | undefined;
  readonly ownMoves?: readonly OwnMove[] | undefined;
  /** Factors on the path's assumed costs, from these moves. */
  readonly factors?: CostFactors | undefined;
  /** Settings that the hypervisor can change in a running stream; absent: all that the strategy uses. */
  readonly levers?: readonly SteeringMeasure[] | undefined;
  /** Absent: Godwit's movers move it. */
  readonly shape?: Capabilities['shape'] | undefined;
  /** Sampled pages; 0 or absent: they cannot be read from outside. */
  readonly pages?: number | undefined;
  /** Disks copied before memory; absent: none, or an unknown amount. */
  readonly disks?: CopiedBytes | undefined;
  /** How the driver makes pre-copy rounds; absent: from written pages. */
  readonly rounds?: 'content' | undefined;
  readonly settings: Pick<
    MigrationSettings,
    'mode' | 'maxDowntimeMs' | 'maxBandwidth' | 'hybridRounds' | 'timeoutMs' | 'steering'
  >;
}
