/** What the destination admitted a guest by: its host’s list, read as the move was asked for. */
export interface AskedGuest {
  readonly vcpus?: number | undefined;
  readonly macs?: readonly string[] | undefined;
}

/**
 * What was plugged or unplugged between the list and the hypervisor’s own description, as a sentence; undefined if nothing
 * was. The destination refuses such a guest, and could only say that it is not the one that it admitted. Pure.
 */
export function changedSinceAsked(asked: AskedGuest, now: AskedGuest): string | undefined {
  const found: string[] = [];
  if (asked.vcpus !== undefined && now.vcpus !== undefined && asked.vcpus !== now.vcpus) {
    found.push(`the number of its processors changed from ${asked.vcpus} to ${now.vcpus}`);
  }
  if (asked.macs !== undefined && now.macs !== undefined) {
    const [before, after] = [asked.macs, now.macs].map((macs) =>
      macs.map((mac) => mac.toLowerCase()),
    );
    const added = after?.filter((mac) => before?.includes(mac) !== true) ?? [];
    const removed = before?.filter((mac) => after?.includes(mac) !== true) ?? [];
    found.push(...added.map((mac) => `a NIC was plugged in (${mac})`));
    found.push(...removed.map((mac) => `a NIC was unplugged (${mac})`));
  }
  return found.length === 0 ? undefined : found.join('; ');
}
