import type { Bounds, Flaw } from './model.ts';

export const SCENES: readonly { readonly name: string; readonly bounds: Bounds }[] = [
  { name: 'one guest', bounds: { guests: 1, faults: 2, cancel: 'no' } },
  {
    name: 'one guest, and a cancel that lets moves run',
    bounds: { guests: 1, faults: 2, cancel: 'let-run' },
  },
  {
    name: 'one guest, and a cancel that rolls back',
    bounds: { guests: 1, faults: 2, cancel: 'roll-back' },
  },
  { name: 'two guests and a cancel', bounds: { guests: 2, faults: 1, cancel: 'let-run' } },
  {
    name: 'one guest, and another that a person moves there',
    bounds: { guests: 1, faults: 1, cancel: 'no', byHand: true },
  },
  { name: 'a roll', bounds: { kind: 'roll', guests: 1, faults: 2, cancel: 'no' } },
  {
    name: 'a roll and a cancel',
    bounds: { kind: 'roll', guests: 1, faults: 2, cancel: 'let-run' },
  },
];

/** Each rule that the engine, the store and the agents rest on, left out. */
export const MUTANTS: readonly { readonly flaw: Flaw; readonly bounds: Bounds }[] = [
  { flaw: 'ask-before-store', bounds: { guests: 1, faults: 3, cancel: 'no' } },
  { flaw: 'begin-after-cancel', bounds: { guests: 1, faults: 3, cancel: 'let-run' } },
  { flaw: 'write-without-epoch', bounds: { guests: 1, faults: 3, cancel: 'no' } },
  { flaw: 'late-write', bounds: { guests: 2, faults: 4, cancel: 'no' } },
  { flaw: 'epoch-by-owner', bounds: { guests: 1, faults: 3, cancel: 'let-run' } },
  { flaw: 'agent-takes-any-epoch', bounds: { guests: 1, faults: 3, cancel: 'let-run' } },
  { flaw: 'program-runs-twice', bounds: { kind: 'roll', guests: 1, faults: 3, cancel: 'no' } },
  {
    flaw: 'host-is-not-asked',
    bounds: { guests: 1, faults: 0, cancel: 'no', byHand: true },
  },
  { flaw: 'drop-without-epoch', bounds: { guests: 1, faults: 3, cancel: 'let-run' } },
];
