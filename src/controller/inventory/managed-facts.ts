import { z } from 'zod';
import { hostName, shortText } from '../../protocol/names.ts';
import { maintenanceMode, powerMode } from '../../protocol/public/hosts/managed-host.ts';
import { name64 } from '../../protocol/public/hosts/host.ts';

const managedFacts = z.object({
  manager: hostName,
  /** Guests move only within a realm. */
  realm: name64,
  closed: shortText.optional(),
  maintenanceMode: maintenanceMode.optional(),
  powerMode: powerMode.optional(),
});
export type ManagedFacts = z.infer<typeof managedFacts>;

export function managedText(facts: ManagedFacts): string {
  return JSON.stringify(facts);
}

/** Undefined for a host that has an agent. */
export function managedIn({
  managed,
}: {
  readonly managed: string | null;
}): ManagedFacts | undefined {
  return managed === null ? undefined : managedFacts.parse(JSON.parse(managed));
}
