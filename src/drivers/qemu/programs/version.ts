/** Compares `7.2.22` and `10.0`: negative if the first is older. Missing parts count as 0. Pure. */
export function compareVersions(left: string, right: string): number {
  const one = left.split('.').map(Number);
  const two = right.split('.').map(Number);
  for (let part = 0; part < 3; part++) {
    const difference = (one[part] ?? 0) - (two[part] ?? 0);
    if (difference !== 0 && !Number.isNaN(difference)) return difference;
  }
  return 0;
}

/** Returns `7.2` for `7.2.22`. */
export function release(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}
