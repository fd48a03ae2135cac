/** Basis of the destination's admission: its host's list, read when the move was requested. */
export interface AskedGuest {
  readonly vcpus?: number | undefined;
  readonly macs?: readonly string[] | undefined;
}

/**
 * Sentence about hardware that changed between the list and the hypervisor's description; undefined if none did.
 * Without it, the destination's refusal could only report a different guest. Pure.
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
