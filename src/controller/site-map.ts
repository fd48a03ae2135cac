import { z } from 'zod';
import type { Trunk } from '../planner/inventory.ts';
import { siteName } from '../protocol/names.ts';
import { covers, parsePrefix } from '../protocol/prefix.ts';
import { didYouMean } from '../protocol/nearest.ts';
import type { SiteProblem } from '../config/site-settings.ts';

/** A line that all moves between two sites share; each direction has the full rate. */
export const siteLink = z.strictObject({
  between: z.tuple([siteName, siteName]),
  /** Rate in each direction, bytes/s. */
  bytesPerS: z.number().int().min(1000).max(1e12),
  roundTripMs: z.number().nonnegative().max(10_000).default(0),
  /** Price of a GB (1e9 bytes) in any currency; absent or 0: not metered. */
  costPerGb: z.number().nonnegative().max(1e6).default(0),
});
export type SiteLink = z.infer<typeof siteLink>;

export interface SiteMap {
  readonly sites: Readonly<Record<string, { readonly networks: readonly string[] }>>;
  readonly siteLinks: readonly SiteLink[];
}

/** The first error of a map. Cycles are allowed: a move uses only the direct line between its two sites. */
export function siteMapProblem(map: SiteMap): SiteProblem | undefined {
  return overlap(map) ?? badLink(map);
}

function overlap({ sites }: SiteMap): SiteProblem | undefined {
  const all = Object.entries(sites).flatMap(([site, { networks }]) =>
    networks.map((network) => ({ site, network, prefix: parsePrefix(network) })),
  );
  for (const [place, one] of all.entries()) {
    for (const other of all.slice(place + 1)) {
      if (one.site === other.site) continue;
      if (one.prefix === undefined || other.prefix === undefined) continue;
      if (!covers(one.prefix, other.prefix) && !covers(other.prefix, one.prefix)) continue;
      const words = `${other.network} of ${other.site} overlaps ${one.network} of ${one.site}: an address in both does not identify a site. Leave networks out that both sites use`;
      return { setting: ['sites', other.site], words };
    }
  }
  return undefined;
}

function badLink({ sites, siteLinks }: SiteMap): SiteProblem | undefined {
  const setting = ['siteLinks'];
  const seen = new Set<string>();
  for (const { between } of siteLinks) {
    const [one, other] = between;
    if (one === other)
      return { setting, words: `a link leads from ${one} to ${one} itself: a loop of one site` };
    const strange = between.find((site) => !Object.hasOwn(sites, site));
    if (strange !== undefined) {
      const near = didYouMean(strange, Object.keys(sites));
      const words = `${strange} is no site of \`sites\`${near === undefined ? '' : `. ${near}`}`;
      return { setting, words };
    }
    const pair = between.toSorted().join(' and ');
    if (seen.has(pair)) return { setting, words: `two links are between ${pair}; name one` };
    seen.add(pair);
  }
  return undefined;
}

export const trunksOf = (links: readonly SiteLink[] = []): Trunk[] =>
  links.map(({ between, bytesPerS }) => ({ between, bytesPerSecond: bytesPerS }));

export const lineBetween = (
  links: readonly SiteLink[] = [],
  { from, to }: { readonly from: string; readonly to: string },
): SiteLink | undefined =>
  links.find(({ between }) => from !== to && between.includes(from) && between.includes(to));
