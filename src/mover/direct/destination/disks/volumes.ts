import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../../../clock.ts';
import type { AgentConfig } from '../../../../config.ts';
import { withDeadline } from '../../../../deadline.ts';
import { identityOf, isBlockDevice, resolveDevice } from '../../../../disks/proof/devices.ts';
import type { Maker, OwnVolume } from '../../../../disks/volumes/maker.ts';
import { openVolumePools, type VolumePool } from '../../../../disks/volumes/pools.ts';
import { ProgramError } from '../../../../disks/volumes/program.ts';
import { judgeVolume, neededBytes } from '../../../../disks/volumes/store.ts';
import { godwitError, toGodwitError, type GodwitError } from '../../../../errors.ts';
import type { Log } from '../../../../log.ts';
import type { DestinationState } from '../../../../migration/direct/destination/destination.ts';
import type { DiskImage, ImagePlace } from '../../../../protocol/disk.ts';
import { formatBytes } from '../../../../protocol/quantity.ts';

/** Delay between the end of the creating program and its device, ms. */
const APPEARS_MS = 10_000;
const POLL_MS = 50;

export interface PlannedVolume {
  readonly node: string;
  readonly pool: VolumePool;
  readonly name: string;
  readonly bytes: number;
}

interface Facts {
  readonly host: string;
  readonly guest: string;
}

/**
 * Pool for the copy's volume; undefined: the copy is a file. A qcow2 image on a device becomes a file, because no
 * source reports its size, only its virtual size.
 */
export function volumePoolFor(
  pools: readonly VolumePool[],
  { pool: wanted, onDevice }: ImagePlace,
  image: DiskImage | undefined,
): VolumePool | { readonly problem: string } | undefined {
  const own = pools.find(({ id }) => id === wanted);
  if (own !== undefined) return own;
  if (onDevice !== true || image?.format !== 'raw' || pools.length === 0) return undefined;
  const [only, ...others] = pools;
  const same = pools.find(({ directoryId }) => directoryId === wanted);
  if (same !== undefined || others.length === 0) return same ?? only;
  const roots = pools.map(({ root }) => root).join(', ');
  return { problem: `none of the \`devices\` with \`make\` lies where the source’s do (${roots})` };
}

/** Problems with making these volumes; read-only. `migration`: owner of volumes that may already exist. */
export async function volumeProblems(
  facts: Facts,
  volumes: readonly PlannedVolume[],
  migration: string | undefined,
  signal: AbortSignal,
): Promise<GodwitError[]> {
  const errors: GodwitError[] = [];
  for (const [{ maker }, here] of Map.groupBy(volumes, ({ pool }) => pool)) {
    const refuse = (device: string, reason: string, hint: string): void => {
      errors.push(godwitError('GODWIT_DISK_PLACE', { ...facts, device, reason }, { hint }));
    };
    const named = here.filter(({ node, name }) => {
      const problem = maker.nameProblem(name);
      if (problem !== undefined) refuse(node, `${name}: ${problem}`, OTHER_NAME);
      return problem === undefined;
    });
    const device = named.map(({ node }) => node).join(', ');
    if (named.length === 0) continue;
    const names = named.map(({ name }) => name);
    const seen = await maker.look(names, signal).catch((thrown: unknown) => notSeen(thrown, maker));
    if (seen instanceof Error) {
      errors.push(seen);
      continue;
    }
    if ('refused' in seen) {
      refuse(device, seen.refused.reason, seen.refused.hint);
      continue;
    }
    const wanted = named.map((each) => ({ ...each, migration }));
    for (const each of wanted) {
      const judged = judgeVolume(seen.store, each, maker.called(each.name));
      if (typeof judged !== 'string') refuse(each.node, judged.reason, judged.hint);
    }
    const needed = neededBytes(seen.store, wanted);
    if (needed <= seen.store.freeBytes) continue;
    const room = { needed: formatBytes(needed), free: formatBytes(seen.store.freeBytes) };
    const hint = `Free room in ${maker.where}, or extend it.`;
    errors.push(godwitError('GODWIT_DISK_SPACE', { ...facts, device, ...room }, { hint }));
  }
  return errors;
}

const OTHER_NAME = 'Give the source’s device a name that volumes may have.';

function notSeen(thrown: unknown, { program, where }: Maker): GodwitError {
  if (!(thrown instanceof ProgramError)) return toGodwitError(thrown);
  const hint = thrown.isMissing
    ? `Install the package ${program.package}, or take \`make\` out of \`storage\` of that host’s configuration.`
    : `See what \`${program.name}\` says on that host.`;
  const what = thrown.isMissing
    ? `the program \`${program.name}\`, by which it makes volumes`
    : `an answer about ${where}: ${thrown.message}`;
  return godwitError('GODWIT_HOST_LACKS', { what }, { hint, cause: thrown });
}

export async function makeVolumes(
  guest: string,
  volumes: readonly PlannedVolume[],
  migration: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const made = new Map<string, string>();
  for (const volume of volumes) {
    try {
      made.set(volume.node, await makeVolume(volume, migration, signal));
    } catch (cause) {
      signal.throwIfAborted();
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw godwitError('GODWIT_DISK_FAILED', { guest, device: volume.node, reason }, { cause });
    }
  }
  return made;
}

async function makeVolume(
  { pool, name, bytes }: PlannedVolume,
  migration: string,
  signal: AbortSignal,
): Promise<string> {
  const { maker } = pool;
  const seen = await maker.look([name], signal);
  if ('refused' in seen) throw new Error(seen.refused.reason);
  const judged = judgeVolume(seen.store, { name, bytes, migration }, maker.called(name));
  if (typeof judged !== 'string') throw new Error(judged.reason);
  if (judged === 'make') await maker.make({ name, bytes, migration }, signal);
  await untilDevice(path.join(pool.root, name), bytes, signal);
  const device = await resolveDevice({ id: pool.id, root: pool.root }, name);
  if ('problem' in device) throw new Error(`${maker.called(name)}: ${device.problem}`);
  return device.found;
}

async function untilDevice(file: string, bytes: number, signal: AbortSignal): Promise<void> {
  await withDeadline(`the device ${file} of ${bytes} bytes`, APPEARS_MS, signal, async (inner) => {
    for (;;) {
      const real = await realpath(file).catch(() => '');
      if ((await isBlockDevice(real)) && (await identityOf(real)).bytes === bytes) return;
      await systemClock.sleep(POLL_MS, inner);
    }
  });
}

/** Volumes from the journal, without those of pools that left the configuration. */
async function volumesOf(
  { storage }: Pick<AgentConfig, 'storage'>,
  { preparation, admission }: DestinationState,
): Promise<{ maker: Maker; volume: OwnVolume }[]> {
  const pools = await openVolumePools(storage);
  return (preparation?.copies ?? []).flatMap(({ pool: id, path: name }) => {
    const pool = pools.find((each) => each.id === id);
    const volume = { name, migration: admission.id };
    return pool === undefined ? [] : [{ maker: pool.maker, volume }];
  });
}

/** Hands them over to the guest. A mark that cannot be removed has no effect after this migration. */
export async function keepVolumes(
  config: AgentConfig,
  state: DestinationState,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  for (const { maker, volume } of await volumesOf(config, state)) {
    await maker.keep(volume, signal).catch((error: unknown) => {
      log.warn({ error: toGodwitError(error), volume: maker.called(volume.name) }, 'mark left');
    });
  }
}

export async function discardVolumes(
  config: AgentConfig,
  state: DestinationState,
  signal: AbortSignal,
): Promise<void> {
  for (const { maker, volume } of await volumesOf(config, state)) {
    await maker.remove(volume, signal);
  }
}
