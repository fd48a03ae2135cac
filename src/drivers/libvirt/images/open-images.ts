import { readFile, readlink } from 'node:fs/promises';
import { toGodwitError } from '../../../errors.ts';
import { fileUsers } from '../../../system/files/file-users.ts';
import { identifyOpen, identityOf } from '../../../system/files/open-files.ts';
import { pids } from '../../../system/processes/process.ts';
import {
  judgeIdentified,
  judgeIdentity,
  judgeUsers,
  namesOfUnseen,
  NOT_KNOWN,
  REPLACED,
  type FileIdentity,
  type ImageIdentities,
  type NamedImage,
} from '../../../migration/image-identity.ts';
import type { CopiedDisk } from '../../../migration/managed/task-sight.ts';
import type { Check } from '../../../protocol/public/migration.ts';
import type { DomainFacts } from '../domain-xml.ts';

/** Images that a domain's QEMU has open, if that QEMU is a process of this host. */

export interface OpenImages {
  readonly pid: number | undefined;
  readonly images: readonly NamedImage[];
  /** Identities of the open files, or the reason why they are unknown. */
  readonly seen: ImageIdentities | string;
}

const NO_PROCESS = 'no QEMU of this host has the UUID of the domain';

export async function openImages({ uuid, disks }: DomainFacts): Promise<OpenImages> {
  const images = disks.flatMap(({ name: device, kind, source, below = [] }) =>
    (kind === 'dir' ? [] : [source, ...below]).flatMap((file, index) =>
      file.startsWith('/') ? [{ node: `${device} ${index}`, device, file }] : [],
    ),
  );
  const pid = images.length === 0 ? undefined : await processOf(uuid);
  if (pid === undefined) return { pid, images, seen: NO_PROCESS };
  try {
    // libvirt gives each QEMU a private `/dev`, and Godwit may run in another mount namespace.
    return { pid, images, seen: await identifyOpen(pid, images, `/proc/${pid}/root`) };
  } catch (thrown) {
    return { pid, images, seen: toGodwitError(thrown).message };
  }
}

/**
 * Finds QEMU by `-uuid`, which libvirt always writes. Undefined if there is not exactly one in this host's
 * namespace.
 */
export async function processOf(uuid: string): Promise<number | undefined> {
  const ours = await readlink('/proc/self/ns/net').catch(() => '');
  const found: number[] = [];
  for (const pid of pids()) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
    const words = line.split('\0');
    if (words[words.indexOf('-uuid') + 1] !== uuid) continue;
    if ((await readlink(`/proc/${pid}/ns/net`).catch(() => '')) === ours) found.push(pid);
  }
  return found.length === 1 ? found[0] : undefined;
}

export function identityChecks(guest: string, { images, seen }: OpenImages): Check[] {
  if (images.length === 0) return [];
  const found = judgeIdentified(guest, seen);
  return found.map((each) => ({ name: 'image-identity', side: 'source', ...each }));
}

/** Adds the identity of each file to copy. A file that Godwit sees under another path has none. */
export async function identified(
  copies: readonly CopiedDisk[],
  { seen }: OpenImages,
): Promise<CopiedDisk[]> {
  if (typeof seen === 'string') return [...copies];
  return Promise.all(
    copies.map(async (copy) => {
      const identity = seen.identities.get(`${copy.name} 0`);
      const isSeen = judgeIdentity(identity, await identityOf(copy.file), true) === 'same';
      return isSeen && identity !== undefined ? { ...copy, identity } : copy;
    }),
  );
}

/** Checks whether another user of this host uses a file that would be copied and removed here. */
export async function userChecks(
  guest: string,
  copies: readonly CopiedDisk[],
  { pid, seen }: OpenImages,
  signal: AbortSignal,
): Promise<Check[]> {
  const known = typeof seen === 'string' ? undefined : seen.identities;
  const leaving = copies.map(({ name: device, file }) => {
    const node = `${device} 0`;
    return { node, device, file, identity: known?.get(node), how: 'copied' } as const;
  });
  const identities = leaving.flatMap(({ identity }) => identity ?? []);
  const except = pid === undefined ? [] : [pid];
  const users = await fileUsers({ identities, except }, signal);
  const found = judgeUsers(guest, leaving, users);
  return found.map((each) => ({ name: 'image-users', side: 'source', ...each }));
}

/** Reason why a file stays at the source; undefined if it is the guest's unused image, or is gone. */
export async function whyKept(
  { file, identity }: Pick<CopiedDisk, 'file' | 'identity'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const now: FileIdentity | undefined = await identityOf(file);
  switch (judgeIdentity(identity, now)) {
    case 'other':
      return REPLACED;
    case 'unknown':
      return NOT_KNOWN;
    case 'gone':
      // libvirt may see a file that Godwit does not.
      return identity === undefined ? NOT_KNOWN : undefined;
    case 'same': {
      const asked = { identities: [identity ?? ''], except: [] };
      const { users, unseen } = await fileUsers(asked, signal);
      const named = users.slice(0, 8).map(({ by }) => by);
      if (named.length > 0) return `${named.join(', ')} uses it`;
      return unseen.length === 0 ? undefined : namesOfUnseen(unseen);
    }
  }
}
