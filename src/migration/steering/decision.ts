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

/** All that a decision rests on. */
export interface SteeringView {
  readonly sample: MemorySample;
  readonly trace: SteeringTrace | undefined;
  /** What the hypervisor lets one change now. */
  readonly levers: readonly SteeringMeasure[];
  readonly settings: Limits & Pick<MigrationSettings, 'maxDowntimeMs'>;
  /** What the link carried in the last seconds, bytes/s; absent: nobody has seen enough of it. */
  readonly recentRate?: number | undefined;
  /**
   * Bytes of memory that a byte over the link stands for, more than 1 where the stream is compressed; absent: nobody counts
   * it. What the guest writes is memory. Post-copy is not compressed, and a hypervisor plans its downtime by the link.
   */
  readonly packing?: number;
  /** Until the time allowed is over, ms. */
  readonly leftMs: number;
  /** For how long the link has work when the guest stops, before it comes to its last pages, ms; absent: none. */
  readonly underWayMs?: number;
  /** Somebody else slows the guest down, and by more than the strategy may: where that does not help, nothing will. */
  readonly isBeyond?: boolean;
  /** A look at the guest's pages while the first round ran; absent: nobody looked. */
  readonly writes?: Writes | undefined;
}

/** What is to be done, on which numbers. */
export interface Decision {
  readonly what: SteeringMeasure | 'give-up';
  readonly rule: SteeringRule;
  /** In words, with the figures. */
  readonly why: string;
  readonly inputs: SteeringInputs;
  readonly change?: SteeringChange;
  readonly hint?: string;
}
