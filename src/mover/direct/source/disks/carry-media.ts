import { GodwitError, godwitError } from '../../../../errors.ts';
import type { GuestSnapshot } from '../../../../migration/guest-changes/snapshot.ts';
import type { Disk } from '../../../../protocol/disk.ts';
import { identifyBackingFiles } from './backing-files.ts';
import { ask, preparation, type LookDependencies, type MoverParts } from '../source-base.ts';
import { proveStorage } from './storage.ts';
import { streamAsked } from '../stream/stream-asked.ts';

export type CarryDependencies = Pick<
  MoverParts,
  'config' | 'request' | 'state' | 'guest' | 'peer'
> &
  Pick<LookDependencies, 'connections' | 'dataPath'>;

/**
 * Asks the destination to insert these drives' current media: media on shared storage, or with content that the
 * destination has. Rejects with the reason if it cannot. `now`: the compared guest; a drive without a medium there
 * becomes empty.
 */
export async function carryMedia(
  context: CarryDependencies,
  drives: readonly string[],
  now: GuestSnapshot,
  signal: AbortSignal,
): Promise<void> {
  const { plan } = context.state();
  const session = await context.guest.session(signal);
  const { unplug } = plan.settings;
  const isWayBack = context.request.returns !== undefined;
  const found = await session.inspect(streamAsked(plan.settings), signal, unplug, isWayBack);
  const refusal = found.checks.find(({ error }) =>
    drives.includes(String(error?.facts?.['device'])),
  );
  if (refusal?.error !== undefined) throw new GodwitError(refusal.error);
  const { disks: all = [], ...description } = found.description;
  const disks = all.filter(({ name }) => drives.includes(name));
  const filled = now.parts.filter(({ kind, name }) => kind === 'medium' && drives.includes(name));
  const unknown = filled.find((part) => !disks.some(({ name }) => name === part.name));
  if (unknown !== undefined) throw notCarried(context, unknown.name, 'its drive has no id');
  const guest = {
    session: () => Promise.resolve(session),
    mayReachUs: context.guest.mayReachUs,
    countedBy: context.guest.countedBy,
    inspect: () => Promise.resolve({ ...found, description: { ...description, disks } }),
  };
  const { places, copies, bases, checks } = await proveStorage({ ...context, guest }, signal);
  const refused = checks.find(({ error }) => error !== undefined)?.error;
  if (refused !== undefined) throw new GodwitError(refused);
  const [copied] = copies;
  if (copied !== undefined) {
    const reason = 'it would have to be copied';
    throw notCarried(context, driveOn(disks, copied.node), reason);
  }
  const { identities = {} } = found;
  const files = await identifyBackingFiles(context, { bases: [...bases], identities }, signal);
  const body = {
    ...preparation(context),
    description: { ...description, disks },
    places: [...places],
    copies: [],
    drives: [...drives],
    bases: files.map(({ file: _, identity: _own, ...backing }) => backing),
  };
  await ask(context, signal, (api) => api.media({ body }, { signal, deadlineMs: 30_000 }));
}

function driveOn(disks: readonly Disk[], node: string): string {
  return disks.find(({ images }) => images.some((each) => each.node === node))?.name ?? node;
}

function notCarried({ state }: CarryDependencies, device: string, reason: string): GodwitError {
  const { to, guest } = state().plan;
  return godwitError('GODWIT_DISK_MISSING', { host: to, guest, device, reason });
}
