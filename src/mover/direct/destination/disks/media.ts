import path from 'node:path';
import { findBackingFiles } from '../../../../disks/backing/find.ts';
import { openPools } from '../../../../disks/proof/pools.ts';
import type { DestinationSession } from '../../../../port/direct.ts';
import { godwitError } from '../../../../errors.ts';
import type { DestinationState } from '../../../../migration/direct/destination/destination.ts';
import type { MediaChange } from '../../../../protocol/peer/migration.ts';
import { checkAdmitted } from '../admitted.ts';
import type { DestinationContext } from '../destination-context.ts';
import { filesToOpen, mustHaveOpened, withOwnPlaces } from './storage.ts';

/**
 * Inserts the source's current media into the built guest's drives. Same rules as in `prepare`: an image counts as
 * present if it is the same file on proved storage, or if a file here has the same content.
 */
export async function changeMedia(
  context: Pick<DestinationContext, 'config' | 'placeIds'>,
  session: DestinationSession,
  { admission }: Pick<DestinationState, 'admission'>,
  asked: MediaChange,
  signal: AbortSignal,
): Promise<void> {
  const { config } = context;
  checkAdmitted(config, admission, asked, session.nics(asked.description));
  if (session.changeMedia === undefined) {
    const what = `a driver for ${asked.description.driver} that changes media`;
    throw godwitError('GODWIT_HOST_LACKS', { what });
  }
  const change = await withOwnPlaces(context, asked, true);
  const files = new Map([
    ...(await filesToOpen(context, change)),
    ...(await filesByContent(config, session, change, signal)),
  ]);
  await session.changeMedia(change.description, change.drives, files, signal);
  await mustHaveOpened(session, change, files, signal);
}

async function filesByContent(
  { name: host, storage }: DestinationContext['config'],
  { disks }: DestinationSession,
  { bases, description }: MediaChange,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  if (bases.length === 0) return new Map();
  const pools = await openPools(storage);
  const found =
    disks === undefined ? [] : await findBackingFiles(bases, pools, disks.images, signal);
  return new Map(
    bases.map(({ node, path: name }) => {
      const place = found.find((each) => each.node === node);
      const pool = pools.find(({ id }) => id === place?.pool);
      if (place !== undefined && pool !== undefined)
        return [node, path.join(pool.root, place.path)];
      const reason = 'it is not on storage that both hosts see, and no file there holds the same';
      throw godwitError('GODWIT_DISK_MISSING', {
        host,
        guest: description.name,
        device: name,
        reason,
      });
    }),
  );
}
