import type { ManagedOrder } from '../../../../src/migration/managed/task-sight.ts';

/** An order to move a guest by pre-copy, with nothing else asked for. */
export const ORDER = {
  id: 'm-00000001',
  guest: 'web1',
  from: 'a',
  to: 'b',
  mode: 'precopy',
  maxDowntimeMs: 300,
  streams: 1,
  compress: 'none',
} as const satisfies ManagedOrder;
