import type { Capabilities } from '../../src/port/inventory.ts';

/** A driver that can do only what every driver can. */
export const PLAIN = {
  shape: 'direct',
  modes: ['precopy'],
  compression: ['none'],
  maxStreams: 1,
  postcopyRecovery: false,
} as const satisfies Capabilities;
