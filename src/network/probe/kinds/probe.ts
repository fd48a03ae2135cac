import type { ProbeKind } from '../../../protocol/public/probe.ts';

/** Asks a guest by one kind of question, over and over; each answer is reported as it comes. */
export interface Probe {
  readonly kind: ProbeKind;
  readonly address: string;
  /** Between two questions, ms: no shorter than the guest should be asked this way. */
  readonly intervalMs: number;
  /** Sends one question. Never throws: one that cannot be sent is one without an answer. */
  ask(): void;
  close(): Promise<void>;
}

/** What became of opening one: or why this host cannot. */
export type ProbeOpening = { readonly probe: Probe } | { readonly why: string };

/** Questions that are waited for at once over connections; the oldest is given up for a new one. */
export const MAX_IN_FLIGHT = 32;
/** A connection that is not answered for so long is given up, ms. */
export const GIVE_UP_MS = 1000;
export const OFTEN_MS = 10;
/** For what costs the guest, or all others on its segment, more than a word of its kernel. */
export const SELDOM_MS = 50;
