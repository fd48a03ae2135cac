/** Possible EVC mode of a cluster without one, from its hosts' processor features. Pure. */

export interface HostFeatures {
  readonly name: string;
  /** Keys such as `cpuid.AVX2`. Undefined if the vCenter does not report them. */
  readonly features: ReadonlySet<string> | undefined;
}

export interface EvcMode {
  readonly key: string;
  /** A vendor's higher tiers have more features. */
  readonly tier: number;
  readonly features: ReadonlySet<string>;
}

export interface Baseline {
  /** Hosts with unknown features; they prevent advice. */
  readonly unread: readonly string[];
  /** Highest mode that every host supports. */
  readonly mode: EvcMode | undefined;
  /** Missing features of each host, compared with the others. */
  readonly lacking: ReadonlyMap<string, readonly string[]>;
}

export function baselineOf(hosts: readonly HostFeatures[], modes: readonly EvcMode[]): Baseline {
  const unread = hosts.filter(({ features }) => features === undefined).map(({ name }) => name);
  const known = hosts.flatMap(({ name, features }) =>
    features === undefined ? [] : [{ name, features }],
  );
  const every = new Set(known.flatMap(({ features }) => [...features]));
  const lacking = new Map<string, readonly string[]>();
  for (const { name, features } of known) {
    const lacks = [...every].filter((each) => !features.has(each)).toSorted();
    if (lacks.length > 0) lacking.set(name, lacks);
  }
  if (unread.length > 0 || known.length === 0) return { unread, mode: undefined, lacking };
  // A mode without listed features would match every host.
  const possible = modes.filter(
    ({ features }) =>
      features.size > 0 && known.every((host) => features.isSubsetOf(host.features)),
  );
  const [mode] = possible.toSorted(
    (left, right) => right.tier - left.tier || right.features.size - left.features.size,
  );
  return { unread, mode, lacking };
}

/**
 * Features that a guest could start to use on that host after a power cycle, and the hosts that it could then
 * not move to.
 */
export function trapAt(
  to: string,
  { features }: Pick<HostFeatures, 'features'>,
  { lacking }: Pick<Baseline, 'lacking'>,
): { readonly hosts: readonly string[]; readonly features: readonly string[] } | undefined {
  const barred = [...lacking].flatMap(([name, lacks]) => {
    const there = lacks.filter((each) => features?.has(each) === true);
    return name === to || there.length === 0 ? [] : [{ name, there }];
  });
  if (barred.length === 0) return undefined;
  const hosts = barred.map(({ name }) => name);
  return { hosts, features: [...new Set(barred.flatMap(({ there }) => there))].toSorted() };
}

export function adviceOf({ unread, mode, lacking }: Baseline): string {
  if (unread.length > 0) return `no advice: the features of ${some(unread)} are not shown`;
  if (mode === undefined) return 'its hosts have no EVC mode in common';
  const alike = lacking.size === 0 ? 'its hosts have the same features; ' : '';
  return `${alike}the highest EVC mode that all its hosts can have is ${mode.key}`;
}

const MAX = 6;

export function some(names: readonly string[]): string {
  const more = names.length - MAX;
  return names.slice(0, MAX).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
