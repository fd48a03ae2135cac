import { toGodwitError } from '../../errors.ts';
import { identifyOpen } from '../../host/open-files.ts';
import {
  judgeIdentified,
  type FileIdentity,
  type NamedImage,
} from '../../migration/image-identity.ts';
import type { Finding } from '../../migration/preflight/finding.ts';
import { isOnNetwork } from '../../protocol/network-file.ts';
import type { Inspection } from '../port/inspection.ts';
import type { QemuHandle } from './handle.ts';

/** Which files a guest's images are, and whether each is still the file at its path. */
export async function openImages(
  { name, pid }: Pick<QemuHandle, 'name' | 'pid'>,
  { description, files = {} }: Pick<Inspection, 'description' | 'files'>,
): Promise<{
  readonly identities: Readonly<Record<string, FileIdentity>>;
  readonly found: readonly Finding[];
}> {
  const images = imagesOf(description.disks ?? [], files);
  if (images.length === 0) return { identities: {}, found: [] };
  try {
    const seen = await identifyOpen(pid, images);
    return { identities: Object.fromEntries(seen.identities), found: judgeIdentified(name, seen) };
  } catch (thrown) {
    return { identities: {}, found: judgeIdentified(name, toGodwitError(thrown).message) };
  }
}

/** Each image of this host's files and devices once: disks may share a backing file. */
function imagesOf(
  disks: NonNullable<Inspection['description']['disks']>,
  files: Readonly<Record<string, string>>,
): NamedImage[] {
  const found = new Map<string, NamedImage>();
  for (const { name: device, images } of disks) {
    for (const { node, allocatedBytes } of images) {
      const file = files[node];
      if (file === undefined || isOnNetwork(file) || found.has(node)) continue;
      found.set(node, { node, device, file, allocatedBytes });
    }
  }
  return [...found.values()];
}
