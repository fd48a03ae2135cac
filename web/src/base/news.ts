import type { FleetNews } from '../../../src/protocol/controller/events.ts';

/** `id`: the event's. */
export type FleetChange = Extract<
  FleetNews,
  { type: 'host' | 'host-gone' | 'guest' | 'guest-gone' | 'conflict' }
> & { readonly id?: string };

/** What the controller reports as it happens. `lost` and `reset`: what was missed is not known; ask for everything again. */
export type News = (FleetNews & { readonly id?: string }) | { readonly type: 'reset' };
