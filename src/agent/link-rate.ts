import type { Report } from '../protocol/public/migration.ts';

/** What an earlier migration showed of the link to a host. */

/** Less than this tells of the connection's start rather than of the link. */
const LEAST_BYTES = 32 * 1024 * 1024;
/** So many migrations are looked at, the latest first: a link changes. */
export const LOOKED_AT = 32;

type Reported = Pick<
  Report,
  'outcome' | 'settings' | 'stream' | 'bytes' | 'throughput' | 'wire' | 'finished'
>;

/**
 * Bytes/s that the newest of these migrations to one host (newest first) came to from hypervisor to hypervisor, where nothing but the
 * link and the hypervisor held it back: no cap, no compression, not the wire, whose processors may be the slower. It is
 * what a migration comes to that takes the native path again. Undefined where none tells. Pure.
 */
export function seenLinkRate(reports: Iterable<Reported>): number | undefined {
  for (const report of reports) {
    const { settings, stream, bytes = 0, throughput = 0, outcome, wire } = report;
    const { compress } = { ...settings, ...stream };
    const isFree = settings.maxBandwidth === undefined && compress === 'none';
    // In post-copy the last of memory follows in the order in which the guest asks for it.
    const isWhole = outcome === 'done' && report.finished === 'precopy' && bytes >= LEAST_BYTES;
    if (wire === undefined && isFree && isWhole && throughput > 0) return throughput;
  }
  return undefined;
}
