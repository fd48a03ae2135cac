import type { DiscoveredGuest } from '../drivers/port/inventory.ts';

/**
 * Two drivers may see one guest: its manager's, and that of the hypervisor in which the manager has it. Who can take hold of
 * it has it.
 */
export function withoutDuplicates(found: readonly DiscoveredGuest[]): DiscoveredGuest[] {
  const held = found.filter(({ handle }) => handle !== undefined).map(({ info }) => info);
  const [dropped, kept]: [DiscoveredGuest[], DiscoveredGuest[]] = [[], []];
  for (const each of found) {
    const { handle, info } = each;
    const isTwice =
      handle === undefined &&
      info.uuid !== undefined &&
      held.some((other) => other.uuid === info.uuid && other.driver !== info.driver);
    (isTwice ? dropped : kept).push(each);
  }
  return kept.map((each) => {
    const twin = dropped.find(({ info }) => info.uuid === each.info.uuid)?.countedBy;
    // Its manager may be anywhere; the process is on this host.
    return each.countedBy === undefined && twin !== undefined ? { ...each, countedBy: twin } : each;
  });
}

/** A manager's container: nothing is done with it here, and its name is its manager's. A virtual machine has a uuid. */
export const isManagersOwn = ({ handle, info }: DiscoveredGuest): boolean =>
  handle === undefined && info.manager !== undefined && info.uuid === undefined;
