import type { DestinationSession } from '../../../port/direct.ts';
import type { Admission, Assessment, Preparation } from '../../../protocol/peer/migration.ts';
import type { NicNetwork } from '../../../protocol/network.ts';
import { ownSettings } from '../../../migration/preflight/port-settings.ts';
import { checkAdmitted } from './admitted.ts';
import { expectBackingFiles } from './disks/backing-plan.ts';
import type { BuildContext } from './build.ts';
import { planImages, withPlanned } from './disks/images.ts';
import { diskFiles, refuseWrittenBackingFiles, withOwnPlaces } from './disks/storage.ts';

/** All checks of this host on the guest: hypervisor, disks, networks. Read-only. */
export async function assess(
  { config, ports, placeIds }: Pick<BuildContext, 'config' | 'ports' | 'placeIds'>,
  admission: Admission,
  session: DestinationSession,
  asked: Preparation,
  signal: AbortSignal,
): Promise<Assessment> {
  const preparation = await withOwnPlaces({ config, placeIds }, asked, false);
  refuseWrittenBackingFiles(config, preparation.description, preparation.bases ?? []);
  checkAdmitted(config, admission, preparation, session.nics(preparation.description));
  const networks = await ports.map(preparation, signal);
  const shared = await diskFiles({ config, placeIds }, preparation);
  const { images, checks } = await planImages(config, preparation, signal);
  const { description, stream } = preparation;
  const bases = await expectBackingFiles(config, preparation);
  const files = withPlanned(new Map([...shared.files, ...bases.files]), images);
  const [found, segments] = await Promise.all([
    session.assess(description, stream, signal, files),
    ports.segments(admission, preparation, signal),
  ]);
  const plugs = admission.settings?.plug;
  const copies = images.map(({ place }) => ({
    ...place,
    pool: placeIds.made(place.pool, place.path),
  }));
  return {
    checks: [...shared.checks, ...bases.checks, ...checks, ...found, ...networks, ...segments],
    ...(copies.length === 0 ? {} : { copies }),
    ...judgedSettings(preparation.networks),
    ...(plugs === undefined || session.plug === undefined ? {} : { plugs }),
  };
}

/** Port settings that this build has judged; the source refuses to lose any other. */
function judgedSettings(networks: readonly NicNetwork[] = []): Pick<Assessment, 'portSettings'> {
  const judged: Record<string, string[]> = {};
  for (const nic of networks) {
    const own = ownSettings(nic);
    if (own.length > 0) judged[nic.id] = own;
  }
  return Object.keys(judged).length === 0 ? {} : { portSettings: judged };
}
