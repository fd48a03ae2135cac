import path from 'node:path';
import { asideOf } from '../../../../disks/proof/made-files.ts';
import { toGodwitError } from '../../../../errors.ts';
import { isBlockDevice } from '../../../../disks/proof/devices.ts';
import { fileUsers } from '../../../../system/files/file-users.ts';
import { openIdentified, setAside } from '../../../../system/files/identified-file.ts';
import type { SourceState, StepFacts } from '../../../../migration/direct/source/source-state.ts';
import {
  isDevice,
  judgeGivenUp,
  namesOfUnseen,
  NOT_KNOWN,
  REPLACED,
  type FileIdentity,
  type GivenUp,
} from '../../../../migration/image-identity.ts';

/** Images that this mover opened while the guest's hypervisor still had them open. */
export interface HeldDisks {
  readonly held: ReadonlySet<FileIdentity>;
  close(): Promise<void>;
}

/**
 * Renames the source's images of copied disks once the guest runs elsewhere, so that no guest is started on them, and
 * removes them unless they are kept. A file that is not the guest's image, is open in another program, or cannot be
 * changed is left and reported, without affecting the others. Devices stay, because their names are the host's.
 * Repeatable.
 */
export async function giveUpDisks(
  { plan, known }: Pick<SourceState, 'plan' | 'known'>,
  migration: string,
  signal: AbortSignal,
  { held, usersOf = fileUsers }: Partial<HeldDisks> & { readonly usersOf?: typeof fileUsers } = {},
): Promise<StepFacts> {
  const { copied = [], copies = [], identities = {} } = known;
  if (copied.length === 0) return {};
  // A file that may differ from its copy is not removed.
  const isDoubtful = known.diskCheck !== undefined && known.diskCheck.verdict !== 'equal';
  const isKept = plan.settings.keepSource === true || isDoubtful;
  const taken = copied.map((_, index) => identities[copies[index]?.node ?? '']);
  const ids = taken.filter((id) => id !== undefined);
  const { users, unseen } = await usersOf({ identities: ids, except: [] }, signal);
  const doubt = isKept || unseen.length === 0 ? undefined : namesOfUnseen(unseen);
  const all: GivenUp[] = [];
  for (const [index, file] of copied.entries()) {
    const id = taken[index];
    const by = users.filter(({ identity }) => identity === id).map((user) => user.by);
    const why = by.length === 0 ? undefined : `${by.slice(0, 8).join(', ')} uses it`;
    const isHeld = id !== undefined && held?.has(id) === true;
    const image = { id, why, isHeld, isKept: isKept || doubt !== undefined };
    const became = await giveUp(file, asideOf(file, migration), image).catch(
      (thrown: unknown): GivenUp => ({ file, became: 'left', why: toGodwitError(thrown).message }),
    );
    const isDoubted = became.became === 'kept' && doubt !== undefined;
    all.push(isDoubted ? { ...became, why: doubt } : became);
  }
  const found = judgeGivenUp(all, `NAME.moved-${migration}`);
  return { checks: found.map((each) => ({ name: 'disks', side: 'source', ...each })) };
}

/**
 * Opens the images that will be given up, before the hypervisor ends. A removed file's inode number is reused once it
 * is closed, so holding the files keeps their identities valid. `isOpenThere`: the guest's hypervisor lives, and has
 * had them open since their identities were taken.
 */
export async function holdDisks(
  { known: { copied = [], copies = [], identities = {} } }: Pick<SourceState, 'known'>,
  isOpenThere: boolean,
): Promise<HeldDisks> {
  const opened = await Promise.all(
    copied.map(async (file, index) => {
      const id = identities[copies[index]?.node ?? ''];
      if (id === undefined || isDevice(id)) return [];
      const handle = await openIdentified(file, id).catch(() => undefined);
      return handle === undefined ? [] : [{ id, handle }];
    }),
  );
  const all = opened.flat();
  return {
    held: new Set(isOpenThere ? all.map(({ id }) => id) : []),
    close: async () => {
      for (const { handle } of all) await handle.close();
    },
  };
}

async function giveUp(
  file: string,
  aside: string,
  image: {
    readonly id: FileIdentity | undefined;
    readonly why: string | undefined;
    readonly isHeld: boolean;
    readonly isKept: boolean;
  },
): Promise<GivenUp> {
  if (await isBlockDevice(file)) return { file, became: 'device' };
  const { id, why, isHeld, isKept } = image;
  if (why !== undefined) return { file, became: 'left', why };
  const became = await setAside(file, path.basename(aside), id, { isKept, isHeld });
  switch (became) {
    case 'other':
      return { file, became: 'left', why: REPLACED };
    case 'unknown':
      return { file, became: 'left', why: NOT_KNOWN };
    default:
      return { file, became };
  }
}
