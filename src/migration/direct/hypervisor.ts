import { z } from 'zod';
import { endKind } from '../../protocol/guest-end.ts';
import { halt } from '../../protocol/guest-halt.ts';
import type { Halt } from '../guest-changes/run-states.ts';

/** Cut rather than refused: a record that cannot be read again would end the journal before it. */
const reason = z.string().transform((text) => text.slice(0, 4096));

/** What a hypervisor reports about the stream; the same words on both sides and for every driver. */
export const hypervisorEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('setup') }),
  z.object({ type: z.literal('active') }),
  /** A pass over dirty memory has ended. */
  z.object({ type: z.literal('pass'), round: z.number().int() }),
  /** The guest's processors are stopped; `halt`: for another reason than the move. */
  z.object({ type: z.literal('stopped'), halt: halt.optional() }),
  z.object({ type: z.literal('resumed') }),
  /** Stopped, and waiting for continueSwitchover. */
  z.object({ type: z.literal('pre-switchover') }),
  z.object({ type: z.literal('device') }),
  z.object({ type: z.literal('postcopy-active') }),
  z.object({ type: z.literal('postcopy-paused'), reason }),
  z.object({ type: z.literal('postcopy-recovering') }),
  z.object({ type: z.literal('completed') }),
  z.object({ type: z.literal('cancelled') }),
  z.object({ type: z.literal('failed'), reason }),
  /** The hypervisor's process or its monitor is gone; `ended`: it reported before how it would end. */
  z.object({ type: z.literal('lost'), reason, ended: endKind.optional() }),
]);
export type HypervisorEvent = z.infer<typeof hypervisorEvent>;

/** Where the hypervisor stands, asked for afresh; what recovery decides on. */
export interface HypervisorStatus {
  /** Processors: running, stopped, switched off by the guest, not yet started, or handed over (source after completion). */
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
  /** Post-copy that is over: how long all of the guest's processors waited for memory at once; absent where nobody counted. */
  readonly waitedMs?: number;
  readonly reason?: string;
  /** Stopped, and not by the move. */
  readonly halt?: Halt;
}
