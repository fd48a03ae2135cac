import { hasCode, godwitError, type GodwitError } from '../../../errors.ts';
import { pass, refusal, warn, type NamedCheck } from '../../../migration/preflight/check.ts';
import { isAbandonedCopy } from '../host/container-ownership.ts';
import type { HostContext } from '../host/host-context.ts';
import type { PodmanSpec } from '../spec.ts';
import { ONLY_PRECOPY } from './runtime.ts';
import { Podman, type PodmanInfo, type PodmanNetwork } from './podman.ts';

/** Checks whether this host's podman can create a container from another host's record. Changes nothing. */

/** First podman version with a runtime per call (CONTAINERS_CONF_OVERRIDE). */
export const MIN_PODMAN = 5;
const TESTED = '5.8';

interface Where {
  readonly host: string;
  readonly guest: string;
  readonly migration?: string;
  /** 0 in a cold move. */
  readonly memoryBytes: number;
}

export async function judgePodman(
  { runc, records }: Pick<HostContext, 'runc' | 'records'>,
  spec: PodmanSpec,
  where: Where,
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  const { host, guest } = where;
  const podman = new Podman((argv, options) => runc.run(argv, options));
  const refused = (device: string, what: string, hint: string): NamedCheck =>
    refusal(
      'images',
      godwitError('GODWIT_DEVICE_UNMAPPED', { device, guest, host, what }, { hint }),
      'destination',
    );
  if (where.memoryBytes === 0) {
    const facts = { what: `to move ${guest} cold`, reason: ONLY_PRECOPY };
    const error = godwitError('GODWIT_CAPABILITY', facts, { hint: 'Use --mode precopy.' });
    return [refusal('stream', error, 'destination')];
  }
  const info = await readInfo(podman, signal);
  if (!isRecent(info)) return [refusal('machine', tooOld(info, where), 'destination')];
  const [missing, images, containers, networks] = await Promise.all([
    missingProgram(runc, spec, signal),
    podman.images(signal),
    podman.containers(signal),
    podman.networks(signal),
  ]);
  if (missing !== undefined) {
    const hint = `Install ${missing} on ${host}, or name its directory in \`drivers.criu.programs\`.`;
    return [refused(`the program ${missing}`, 'not installed', hint)];
  }
  const found: NamedCheck[] = [];
  if (!images.has(spec.image)) {
    const hint = `Bring the same image to ${host}: \`podman save ${spec.image} | ssh ${host} podman load\`.`;
    found.push(refused(`the image ${spec.imageName}`, `no image ${spec.image.slice(0, 12)}`, hint));
  }
  if (info.graph !== spec.graph || info.run !== spec.run) {
    const what = `podman keeps containers in ${info.graph} and ${info.run}`;
    const hint = `Give ${host} the source's graphroot (${spec.graph}) and runroot (${spec.run}) in storage.conf.`;
    found.push(refused('the storage of podman', what, hint));
  }
  // A copy that an earlier migration left is removed before the next one arrives.
  const isOurs = isAbandonedCopy(records.readSync(guest), where);
  if ((containers.has(spec.id) || containers.has(spec.name)) && !isOurs) {
    const hint = `podman of ${host} has a container ${spec.name}. Remove it with \`podman rm ${spec.name}\`, if it is not needed.`;
    const error = godwitError('GODWIT_NAME_IN_USE', { host, guest }, { hint });
    found.push(refusal('name', error, 'destination'));
  }
  for (const each of spec.networks) {
    const here = networks.find(({ name }) => name === each.name);
    const what = networkDiffers(each, here);
    if (what === undefined) continue;
    const hint = `Create the network on ${host} as it is at the source (\`podman network create\`).`;
    const facts = { device: `the network ${each.name}`, guest, host, what };
    const error = godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint });
    found.push(refusal('network', error, 'destination'));
  }
  if (found.length > 0) return found;
  return [
    pass(
      'images',
      `podman ${info.version} has the image ${spec.imageName} by its id`,
      'destination',
    ),
    pass('network', `${spec.networks.length} networks of podman`, 'destination'),
    ...untested(info, 'destination'),
  ];
}

export function tooOld(
  info: PodmanInfo | undefined,
  { host, guest }: Pick<Where, 'host' | 'guest'>,
): GodwitError {
  const reason =
    info === undefined ? `${host} has no podman` : `${host} has podman ${info.version}`;
  const hint = `Install podman ${MIN_PODMAN} or later on ${host}, or name its directory in \`drivers.criu.programs\`.`;
  return godwitError('GODWIT_CAPABILITY', { what: `to move ${guest}`, reason }, { hint });
}

export async function readInfo(
  podman: Pick<Podman, 'info'>,
  signal: AbortSignal,
): Promise<PodmanInfo | undefined> {
  try {
    return await podman.info(signal);
  } catch (error) {
    if (hasCode(error, 'GODWIT_HOST_LACKS')) return undefined;
    throw error;
  }
}

export function isRecent(info: PodmanInfo | undefined): info is PodmanInfo {
  return Number.parseInt(info?.version ?? '', 10) >= MIN_PODMAN;
}

export function untested({ version }: PodmanInfo, side: 'source' | 'destination'): NamedCheck[] {
  if (version.startsWith(`${TESTED}.`)) return [];
  const evidence = `podman ${version}; the tests run with ${TESTED}`;
  return [warn('machine', evidence, 'Rehearse the move first (--rehearse).', side)];
}

/** Programs for the restore, and podman's for its network; undefined if all are present. */
async function missingProgram(
  runc: HostContext['runc'],
  { runtime }: Pick<PodmanSpec, 'runtime'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const script = 'for each; do command -v "$each" >/dev/null || { echo "$each"; break; }; done';
  const wanted = [runtime, 'nft', 'setsid', 'timeout', 'mkfifo'];
  const text = await runc.run(['sh', '-c', script, 'sh', ...wanted], { signal });
  const [missing = ''] = text.trim().split('\n');
  if (missing !== '') return missing;
  if (runtime !== 'crun') return undefined;
  // crun loads the library only on use.
  const features = await runc.run(['crun', 'features'], { signal }).catch(() => '');
  return /"run\.oci\.crun\.checkpoint\.enabled": "true"/.test(features) ? undefined : 'libcriu2';
}

export function networkDiffers(
  wanted: PodmanSpec['networks'][number],
  here: PodmanNetwork | undefined,
): string | undefined {
  if (here === undefined) return `podman has no network ${wanted.name}`;
  if (here.driver !== wanted.driver) return `its driver is ${here.driver}, not ${wanted.driver}`;
  const subnets = (here.subnets ?? []).map(({ subnet }) => subnet);
  const missing = wanted.subnets.find((each) => !subnets.includes(each));
  return missing === undefined ? undefined : `it has no subnet ${missing}`;
}
