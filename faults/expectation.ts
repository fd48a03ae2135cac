/** What must hold at the end of a cell. Pure. */

export type Outcome = 'done' | 'failed' | 'held' | 'lost';

export interface Expectation {
  /** How Godwit may say that it ended. */
  readonly outcomes: readonly Outcome[];
  /** `dies`: what was killed was the guest itself; `may-die`: it depends on how far its memory had come. */
  readonly guest: 'lives' | 'dies' | 'may-die';
  /** The guest must not have been paused because of the fault: longest time in which no copy ran, ms. */
  readonly darkMs: number | undefined;
  /** Godwit has to say within this time after the fault how it ended, ms. */
  readonly reportedMs: number;
  readonly words: string;
}
