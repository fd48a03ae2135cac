import type { Admission } from '../../../src/protocol/peer/migration.ts';

/** Guest web1, which comes from host a. */
export const admissionOf = (change: Partial<Admission> = {}): Admission => ({
  id: 'm-00000001',
  guest: 'web1',
  from: 'a',
  memoryBytes: 1,
  epoch: 1,
  timeoutMs: 1000,
  ...change,
});
