import path from 'node:path';
import { isBlockDevice } from '../../../disks/proof/devices.ts';
import { fileUsers } from '../../../host/file-users.ts';
import { openIdentified, setAside } from '../../../host/identified-file.ts';
import type { SourceState, StepFacts } from '../../../migration/direct/source-state.ts';
import { isDevice, judgeGivenUp, REPLACED } from '../../../migration/image-identity.ts';
import type { FileIdentity, GivenUp } from '../../../migration/image-identity.ts';

/** The name of an image that is not a guest's disk any more. */
export function asideOf(file: string, migration: string): string {
  return `${file}.moved-${migration}`;
}

const NOT_KNOWN = 'it is not known whether it is the file that the guest had open';

/**
 * The source's own images of copied disks. Once the guest runs elsewhere they are renamed, so that no guest is started on
 * them, and removed unless they are to be kept. A file that is not the guest's image, or that another program has open, is
 * left as it is, and named. Devices stay as they are: their names are the host's. Repeatable.
 */
export async function giveUpDisks(
  { plan, known }: Pick<SourceState, 'plan' | 'known'>,
  migration: string,
  signal: AbortSignal,
  usersOf = fileUsers,
): Promise<StepFacts> {
  const { copied = [], copies = [], identities = {} } = known;
  if (copied.length === 0) return {};
  // A file that may differ from its copy at the other host is not removed here.
  const isDoubtful = known.diskCheck !== undefined && known.diskCheck.verdict !== 'equal';
  const isKept = plan.settings.keepSource === true || isDoubtful;
  const taken = copied.map((_, index) => identities[copies[index]?.node ?? '']);
  const ids = taken.filter((id) => id !== undefined);
  const users = await usersOf({ identities: ids, except: [] }, signal);
  const all: GivenUp[] = [];
  for (const [index, file] of copied.entries()) {
    const id = taken[index];
    const by = users.filter(({ identity }) => identity === id).map((user) => user.by);
    const why = by.length === 0 ? undefined : `${by.slice(0, 8).join(', ')} uses it`;
    all.push(await giveUp(file, asideOf(file, migration), { id, why, isKept }));
  }
  const found = judgeGivenUp(all, `NAME.moved-${migration}`);
  return { checks: found.map((each) => ({ name: 'disks', side: 'source', ...each })) };
}

/**
 * Opens the images that are to be given up, until the returned function closes them. An inode number belongs to another file
 * as soon as no program has the removed file open: held from before the end of the hypervisor, the identities stay true.
 */
export async function holdDisks({
  known: { copied = [], copies = [], identities = {} },
}: Pick<SourceState, 'known'>): Promise<() => Promise<void>> {
  const opened = await Promise.all(
    copied.map(async (file, index) => {
      const id = identities[copies[index]?.node ?? ''];
      return id === undefined || isDevice(id)
        ? undefined
        : openIdentified(file, id).catch(() => undefined);
    }),
  );
  return async () => {
    for (const handle of opened) await handle?.close();
  };
}

/** `why`: what keeps it from being changed. */
async function giveUp(
  file: string,
  aside: string,
  image: {
    readonly id: FileIdentity | undefined;
    readonly why: string | undefined;
    readonly isKept: boolean;
  },
): Promise<GivenUp> {
  if (await isBlockDevice(file)) return { file, became: 'device' };
  const { id, why, isKept } = image;
  if (why !== undefined) return { file, became: 'left', why };
  const became = await setAside(file, path.basename(aside), id, isKept);
  switch (became) {
    case 'other':
      return { file, became: 'left', why: REPLACED };
    case 'unknown':
      return { file, became: 'left', why: NOT_KNOWN };
    default:
      return { file, became };
  }
}
