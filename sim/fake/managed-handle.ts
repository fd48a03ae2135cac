import { z } from 'zod';
import type { GuestHandle } from '../../src/port/inventory.ts';

/** What both sides of the pretended manager know: this is loaded by every agent and mover, and stays small. */

export const FAKE_CAPABILITIES = {
  shape: 'managed',
  modes: ['precopy'],
  compression: ['none'],
  maxStreams: 1,
  postcopyRecovery: false,
  measures: true,
  keepsCap: true,
  levers: ['downtime', 'postcopy'],
  figures: ['sentBytes', 'rounds', 'downtimeMs', 'finished', 'pageRequests'],
} as const;

const handle = z.object({ managed: z.string() });

export function managedHandle(name: string): GuestHandle {
  const made: GuestHandle & z.infer<typeof handle> = { driver: 'fake', name, managed: name };
  return made;
}

/** The guest's name in a handle; undefined for what is no handle of this driver. */
export function nameIn(given: GuestHandle): string | undefined {
  return handle.safeParse(given).data?.managed;
}
