import type { ProbeKind } from '../../../protocol/public/probe.ts';

/** Asks a guest repeatedly by one kind of probe, and reports each answer. */
export interface Probe {
  readonly kind: ProbeKind;
  readonly address: string;
  /** Minimum interval for this kind, ms. */
  readonly intervalMs: number;
  /** Sends one question. Never throws; an unsent question simply has no answer. */
  ask(): void;
  close(): Promise<void>;
}

/** A probe, or the reason why this host cannot open it. */
export type ProbeOpening = { readonly probe: Probe } | { readonly why: string };

/** Maximum open connections; the oldest is closed for a new one. */
export const MAX_IN_FLIGHT = 32;
/** Limit of a connection without an answer, ms. */
export const GIVE_UP_MS = 1000;
export const OFTEN_MS = 10;
/** Interval for probes that cost the guest or its segment more than a kernel's answer. */
export const SELDOM_MS = 50;
