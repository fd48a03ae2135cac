import { z } from 'zod';
import { endKind } from '../../protocol/guest-end.ts';
import { halt } from '../../protocol/guest-halt.ts';
import type { Halt } from '../guest-changes/run-states.ts';

/** Truncated, not refused: a record that cannot be parsed would end the journal there. */
const reason = z.string().transform((text) => text.slice(0, 4096));

/** Stream events, in the same words on both sides and for every driver. */
export const hypervisorEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('setup') }),
  z.object({ type: z.literal('active') }),
  /** A pass over dirty memory has ended. */
  z.object({ type: z.literal('pass'), round: z.number().int() }),
  /** The guest is stopped; `halt`: for another reason than the move. */
  z.object({ type: z.literal('stopped'), halt: halt.optional() }),
  z.object({ type: z.literal('resumed') }),
  z.object({ type: z.literal('pre-switchover') }),
  z.object({ type: z.literal('device') }),
  z.object({ type: z.literal('postcopy-active') }),
  z.object({ type: z.literal('postcopy-paused'), reason }),
  z.object({ type: z.literal('postcopy-recovering') }),
  z.object({ type: z.literal('completed') }),
  z.object({ type: z.literal('cancelled') }),
  z.object({ type: z.literal('failed'), reason }),
  /** The hypervisor's process or monitor is gone; `ended`: the cause that it reported before. */
  z.object({ type: z.literal('lost'), reason, ended: endKind.optional() }),
]);
export type HypervisorEvent = z.infer<typeof hypervisorEvent>;

export interface HypervisorStatus {
  /** `shut-down`: by the guest; `incoming`: not started yet; `handed-over`: source after completion. */
  readonly run: 'running' | 'paused' | 'shut-down' | 'incoming' | 'handed-over' | 'gone';
  readonly stream:
    | 'none'
    | 'setup'
    | 'active'
    | 'pre-switchover'
    | 'device'
    | 'postcopy-active'
    | 'postcopy-paused'
    | 'postcopy-recovering'
    | 'completed'
    | 'cancelled'
    | 'failed';
  /** After post-copy: how long all processors waited for memory at once; absent if not measured. */
  readonly waitedMs?: number;
  readonly reason?: string;
  /** Reason, if the move did not stop it. */
  readonly halt?: Halt;
}
