import type { MemorySample, MigrationSettings } from '../../protocol/public/migration.ts';
import type {
  SteeringChange,
  SteeringInputs,
  SteeringMeasure,
  SteeringRule,
} from '../../protocol/public/steering.ts';
import type { Limits } from './fixes.ts';
import type { SteeringTrace } from './trace.ts';
import type { Writes } from './write-rate.ts';

export interface SteeringView {
  readonly sample: MemorySample;
  readonly trace: SteeringTrace | undefined;
  readonly levers: readonly SteeringMeasure[];
  readonly settings: Limits & Pick<MigrationSettings, 'maxDowntimeMs'>;
  /** Link rate of the last seconds, bytes/s; absent: not observed long enough. */
  readonly recentRate?: number | undefined;
  /**
   * Memory bytes per link byte, above 1 for a compressed stream; absent: not counted. Guest writes count in memory
   * bytes. Post-copy is not compressed, and a hypervisor plans its downtime by link bytes.
   */
  readonly packing?: number;
  /** Time to the limit, ms. */
  readonly leftMs: number;
  /** Link time of bytes queued when the guest stops, before its last pages, ms; absent: none. */
  readonly underWayMs?: number;
  readonly isBeyond?: boolean;
  /** Sample of the guest's pages during the first round; absent: none. */
  readonly writes?: Writes | undefined;
}

export interface Decision {
  readonly what: SteeringMeasure | 'give-up';
  readonly rule: SteeringRule;
  readonly why: string;
  readonly inputs: SteeringInputs;
  readonly change?: SteeringChange;
  readonly hint?: string;
}
