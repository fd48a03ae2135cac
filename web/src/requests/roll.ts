/** Where a roll is with each of its hosts. Pure. */
import type { FleetRequest } from '../../../src/protocol/controller/fleet-request.ts';
import { isOpen } from './requests.ts';

export interface RolledHost {
  readonly host: string;
  readonly state: 'done' | 'now' | 'stopped' | 'ahead';
}

/** In the order in which they are taken. */
export function rollOf({ ask, roll, phase }: FleetRequest): readonly RolledHost[] {
  const at = phase === 'done' ? ask.hosts.length : (roll?.at ?? 0);
  return ask.hosts.map((host, index) => {
    if (index < at) return { host, state: 'done' };
    if (index > at) return { host, state: 'ahead' };
    return { host, state: isOpen({ phase }) ? 'now' : 'stopped' };
  });
}
