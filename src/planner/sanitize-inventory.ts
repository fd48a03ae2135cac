import { defined } from '../protocol/defined.ts';
import type { Inventory, PlannerGuest, PlannerHost } from './inventory.ts';

/**
 * The inventory without implausible values. A host with an implausible size counts as silent. A guest with an
 * implausible size fills its host and has no samples, so it never moves. Implausible links, power and used memory are
 * dropped; an implausible dirty rate becomes all memory per second.
 */
export function sanitizeInventory(inventory: Inventory): Inventory {
  const hosts = inventory.hosts.map(sanitizedHost);
  const byName = new Map(hosts.map((host) => [host.name, host]));
  return { hosts, guests: inventory.guests.map((guest) => sanitizedGuest(guest, byName)) };
}

const isPositive = (value: number): boolean => Number.isFinite(value) && value > 0;
const isFine = (value: number | undefined): boolean =>
  value === undefined || (Number.isFinite(value) && value >= 0);

function sanitizedHost(host: PlannerHost): PlannerHost {
  const { cpu, coreCpu, memoryBytes, linkBytesPerSecond, watts } = host;
  const hasSize = isPositive(cpu) && isPositive(coreCpu) && isPositive(memoryBytes);
  const hasLink = linkBytesPerSecond === undefined || isPositive(linkBytesPerSecond);
  const hasPower = watts === undefined || (watts.length > 0 && watts.every(isFine));
  if (hasSize && hasLink && hasPower) return host;
  const { linkBytesPerSecond: _link, watts: _watts, ...rest } = host;
  return {
    ...rest,
    ...(linkBytesPerSecond === undefined || !hasLink ? {} : { linkBytesPerSecond }),
    ...(watts === undefined || !hasPower ? {} : { watts }),
    ...(hasSize ? {} : NO_SIZE),
  };
}

const NO_SIZE = { cpu: 1, coreCpu: 1, memoryBytes: 1, silent: true };

function sanitizedGuest(
  guest: PlannerGuest,
  hosts: ReadonlyMap<string, PlannerHost>,
): PlannerGuest {
  const { cpu, memoryBytes, dirtyBytesPerSecond, usedBytes, workingSetBytes, left } = guest;
  // Some guests' processors are not reported: 0 is plausible.
  const isSized = isFine(cpu) && isFine(memoryBytes);
  const isClocked = left === undefined || left.every(({ secondsAgo }) => isFine(secondsAgo));
  const isMeasured =
    isFine(dirtyBytesPerSecond) && isFine(usedBytes) && isFine(workingSetBytes) && isClocked;
  if (isSized && isMeasured) return guest;
  const { usedBytes: _used, workingSetBytes: _set, dirtyBytesPerSecond: _dirty, ...rest } = guest;
  const host = hosts.get(guest.host);
  const memory = isFine(memoryBytes) ? memoryBytes : (host?.memoryBytes ?? 0);
  const dirty = isFine(dirtyBytesPerSecond) ? dirtyBytesPerSecond : memory;
  return {
    ...rest,
    ...(isSized ? {} : { demand: [] }),
    cpu: isFine(cpu) ? cpu : (host?.cpu ?? 1),
    memoryBytes: memory,
    ...defined({ dirtyBytesPerSecond: dirty }),
    ...(usedBytes === undefined || !isFine(usedBytes) ? {} : { usedBytes }),
    ...(workingSetBytes === undefined || !isFine(workingSetBytes) ? {} : { workingSetBytes }),
    // A guest with a wrong clock counts as having left just now.
    ...(left === undefined
      ? {}
      : {
          left: left.map(({ host, secondsAgo }) => ({
            host,
            secondsAgo: isFine(secondsAgo) ? secondsAgo : 0,
          })),
        }),
  };
}
