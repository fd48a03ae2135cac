import type { EncodeTally } from '../codec/thread-messages.ts';

export interface Relay {
  readonly failed: Promise<never>;
  readonly figures: RelayFigures;
  close(deadlineMs: number): Promise<void>;
  fail(error: unknown): void;
}

export interface RelayFigures {
  readonly streamBytes: number;
  readonly returnBytes: number;
  readonly tallies: readonly EncodeTally[];
}
