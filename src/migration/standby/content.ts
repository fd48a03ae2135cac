import type { Preparation } from '../../protocol/peer/migration.ts';

/** Disks that are listed; a guest may have 64. */
const MAX_DISKS = 16;
const MAX_CHARACTERS = 1024;

/**
 * Disks that a kept description would open: `vda: vms/web1.qcow2 (qcow2) on vms/base.raw (raw)`, below the proved
 * storage.
 */
export function disksOf({
  description: { disks = [] },
  places = [],
}: Pick<Preparation, 'description' | 'places'>): string {
  if (disks.length === 0) return 'no disks';
  const paths = new Map(places.map(({ node, path }) => [node, path]));
  const named = disks.slice(0, MAX_DISKS).map(({ name, images }) => {
    const chain = images.map(
      ({ node, format, readOnly }, index) =>
        `${paths.get(node) ?? node} (${format}${index === 0 && readOnly ? ', read-only' : ''})`,
    );
    return `${name}: ${chain.join(' on ')}`;
  });
  const left = disks.length - named.length;
  const all = left === 0 ? named : [...named, `${left} more`];
  return all.join('; ').slice(0, MAX_CHARACTERS);
}

/** Shown to an operator before a start from a possibly outdated description. */
export interface ShownDescription {
  readonly from: string;
  readonly guest: string;
  readonly disks: string;
  readonly digest: string | undefined;
  readonly reportedDigest: string | undefined;
  /** ISO 8601; absent: its host never confirmed it. */
  readonly confirmedAt: string | undefined;
}

/** Number of the shown description; differs for another description or time. `hash`: SHA-256 in hexadecimal. */
export function numberOf(shown: ShownDescription, hash: (text: string) => string): string {
  const { from, guest, disks, digest, reportedDigest, confirmedAt } = shown;
  const parts = [from, guest, disks, digest ?? '', reportedDigest ?? '', confirmedAt ?? ''];
  return hash(JSON.stringify(parts)).slice(0, 16);
}
