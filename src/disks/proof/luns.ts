import { createHash } from 'node:crypto';
import { withDeadline } from '../../deadline.ts';
import { defined } from '../../protocol/defined.ts';
import type { LunPlace } from '../../protocol/disk.ts';
import {
  formatIscsi,
  parseIscsi,
  parseIscsiTarget,
  type IscsiPlace,
  type IscsiTarget,
} from '../../protocol/iscsi-url.ts';
import { judgeReported, samplesOf, type Sample, type SampleQuestion } from './device-samples.ts';
import type { DeviceQuestion, Identity, OwnAnswer } from './devices.ts';
import type { Lun, LunFacts } from './iscsi/lun.ts';
import type { LookupResult, ImageLocation, Pool } from './pools.ts';

/**
 * LUNs of iSCSI targets that the hypervisor opens with a client of its own. Whether two hosts see the same one is proved as
 * for block devices, without a write: by what the target says that it is, its size, and samples of what it holds.
 */

export interface Target extends Pool {
  readonly place: IscsiTarget;
}

/** As a host's configuration has it. */
export interface TargetConfig {
  readonly iscsi: string;
  readonly initiator?: string | undefined;
  /** Of a login by CHAP. */
  readonly user?: string | undefined;
  readonly passwordFile?: string | undefined;
}

/** One target's answers take so long at most, ms: it may be gone, and others wait for what is found. */
const ANSWER_MS = 5000;

/** Pure: whether they can be reached shows when they are. */
export function targetsOf(storage: readonly (TargetConfig | object)[]): Target[] {
  return storage.flatMap((each) => {
    const found = 'iscsi' in each ? parseIscsiTarget(each.iscsi) : undefined;
    if (found === undefined || !('iscsi' in each)) return [];
    const { initiator, user, passwordFile } = each;
    const hasLogin = user !== undefined && passwordFile !== undefined;
    const id = createHash('sha256').update(each.iscsi).digest('hex').slice(0, 16);
    const place = {
      ...found,
      ...defined({ initiator }),
      ...(hasLogin ? { user, passwordFile } : {}),
    };
    return [{ id, root: each.iscsi, place }];
  });
}

/**
 * By the target's name, which is its own in the whole world: another portal may lead to it, too. The found pool has the portal
 * that the hypervisor uses: what answers there is the LUN that the guest has, even if two targets have one name.
 */
export function targetOf(
  targets: readonly Target[],
  file: string,
): LookupResult<ImageLocation & { pool: Target }> {
  const wanted = parseIscsi(file);
  if (wanted === undefined) return { problem: 'Godwit does not know which LUN it is' };
  const pool = targets.find(({ place }) => place.target === wanted.target);
  if (pool !== undefined) {
    const place = { ...pool.place, host: wanted.host, port: wanted.port };
    return { found: { pool: { ...pool, place }, path: String(wanted.lun) } };
  }
  const where = targets.map(({ root }) => root).join(', ');
  if (where === '') return { problem: '`storage` names no iSCSI target' };
  return { problem: `it is of none of the targets that \`storage\` names (${where})` };
}

/** The LUN of a place that a target has; undefined: the path is no number of one. */
function lunAt({ place }: Target, path: string): IscsiPlace | undefined {
  if (!/^\d{1,5}$/.test(path)) return undefined;
  return parseIscsi(formatIscsi({ ...place, lun: Number(path) }));
}

async function onLun<T>(
  pool: Target,
  path: string,
  signal: AbortSignal,
  work: (lun: Lun) => Promise<T>,
): Promise<T> {
  const place = lunAt(pool, path);
  if (place === undefined) throw new Error(`${path} is no number of a LUN`);
  const { Lun: Client } = await import('./iscsi/lun.ts');
  return withDeadline(pool.root, ANSWER_MS, signal, (inner) => Client.with(place, inner, work));
}

/** What it is, by what its target says. Rejects where another has reserved it: no host but that one may write. */
export function identityOfLun(pool: Target, path: string, signal: AbortSignal): Promise<Identity> {
  return onLun(pool, path, signal, async ({ facts }) => usable(facts));
}

function usable({ reserved, ...identity }: LunFacts): Identity {
  if (reserved === undefined) return identity;
  throw new Error(`somebody holds a persistent reservation of it (${reserved})`);
}

/** Reads it in the places that the question says. */
export function sampleLun(
  pool: Target,
  path: string,
  question: SampleQuestion,
  signal: AbortSignal,
): Promise<Sample[]> {
  return onLun(pool, path, signal, (lun) =>
    samplesOf((at, bytes) => lun.read(at, bytes), question, signal),
  );
}

/** The first `bytes` of a LUN that a hypervisor opens; rejects where they cannot be read. */
export async function headOfLun(
  targets: readonly Target[],
  file: string,
  bytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const at = targetOf(targets, file);
  if ('problem' in at) throw new Error(at.problem);
  return onLun(at.found.pool, at.found.path, signal, (lun) => lun.read(0, bytes));
}

/** The destination's answer about one LUN: whether it is there, then what it holds. */
export async function answerLun(
  targets: readonly Target[],
  { asked, iscsi, ...question }: DeviceQuestion & { readonly iscsi: LunPlace },
  signal: AbortSignal,
): Promise<OwnAnswer> {
  const { bytes, ids, samples: theirs } = asked;
  const path = String(iscsi.lun);
  const problems: string[] = [];
  for (const pool of targets.filter(({ place }) => place.target === iscsi.target)) {
    try {
      const own = await identityOfLun(pool, path, signal);
      const stamp = stampFor(own);
      if (own.ids.length === 0 || own.ids.join() !== ids.join()) {
        problems.push(`LUN ${path} of ${pool.root} is another one there`);
        continue;
      }
      if (theirs === undefined) return { challenge: question.challenge };
      if (own.bytes !== bytes) return { problem: 'the LUN of the same ids has another size' };
      const samples = await sampleLun(pool, path, { ...question, device: asked }, signal);
      const reported = judgeReported(samples, theirs);
      if (!reported.same) return { problem: reported.why };
      return { pool: pool.id, path, samples: samples.map(({ sum }) => sum), stamp };
    } catch (error) {
      signal.throwIfAborted();
      problems.push(`${pool.root}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return problems.length === 0 ? {} : { problem: problems.join('; ').slice(0, 1024) };
}

/** Which LUN a path of a target is; undefined where it cannot be known. */
export async function stampOfLun(
  pool: Target,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (lunAt(pool, path) === undefined) return undefined;
  return identityOfLun(pool, path, signal).then(stampFor, () => undefined);
}

function stampFor({ bytes, ids }: Identity): string {
  return JSON.stringify(['iscsi', bytes, ids]);
}

/** The LUN as its hypervisor is to open it. */
export function fileOfLun(pool: Target, path: string): string {
  const place = lunAt(pool, path);
  return place === undefined ? '' : formatIscsi(place);
}
