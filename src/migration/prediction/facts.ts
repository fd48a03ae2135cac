import type { Capabilities } from '../preflight/capabilities.ts';
import type { MigrationSettings } from '../../protocol/public/migration.ts';
import type { CurvePoint, LinkMeasure, PageMix } from '../../protocol/public/prediction.ts';
import type { SteeringMeasure } from '../../protocol/public/steering.ts';
import type { CostFactors } from './own-costs.ts';
import type { OwnMove } from './own-moves.ts';
import type { MemoryPath } from './parameters.ts';

/** Everything that a prediction rests on: the guest, both hosts, the link and the settings. */

/** Of a host. */
export interface Processors {
  readonly cores: number;
  /** Threads that run on them or wait for one, on average over the last minute; absent: nobody has counted them. */
  readonly load?: number | undefined;
}

/** The disks that are copied, all together. */
export interface CopiedBytes {
  /** To copy at first. */
  readonly bytes: number;
  /** What the guest writes to its disks; absent: nobody has seen that, and nothing is reckoned with. */
  readonly writtenBytesPerS?: number | undefined;
}

export interface Facts {
  readonly memoryBytes: number;
  /** Empty: nothing is known of what the guest writes, and nothing is reckoned with. */
  readonly curve: readonly CurvePoint[];
  /** Absent: nobody has looked at its pages. */
  readonly mix?: PageMix | undefined;
  /** Free memory of which the guest gives hints: pre-copy leaves most of it out. */
  readonly hintedFreeBytes?: number | undefined;
  /** Absent: only the processors bound it. */
  readonly link?: Pick<LinkMeasure, 'rate' | 'how' | 'roundTripMs' | 'isLeast'> | undefined;
  /** Of the hosts of which they are known: one at least. */
  readonly processors: readonly Processors[];
  readonly memoryPath: MemoryPath;
  /** What this host's own migrations took around their memory, or what is assumed of it, ms; absent: as a quiet machine. */
  readonly aroundMs?: number | undefined;
  /** This host's latest migrations to that host, the newest first. */
  readonly ownMoves?: readonly OwnMove[] | undefined;
  /** What these make of the costs of its path; absent: as they are assumed. */
  readonly factors?: CostFactors | undefined;
  /** What its hypervisor lets one change of a stream that runs; absent: whatever the strategy asks for. */
  readonly levers?: readonly SteeringMeasure[] | undefined;
  /** Who moves it; absent: Godwit’s own movers. */
  readonly shape?: Capabilities['shape'] | undefined;
  /** Pages of the sample; 0 or absent: nobody could look at them from outside. */
  readonly pages?: number | undefined;
  /** Disks that are copied before memory moves; absent: none is, or nobody knows how much that is. */
  readonly disks?: CopiedBytes | undefined;
  /** How its driver makes rounds of pre-copy; absent: by what was written. */
  readonly rounds?: 'content' | undefined;
  readonly settings: Pick<
    MigrationSettings,
    'mode' | 'maxDowntimeMs' | 'maxBandwidth' | 'hybridRounds' | 'timeoutMs' | 'steering'
  >;
}
