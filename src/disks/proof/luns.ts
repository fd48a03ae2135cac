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
 * LUNs of iSCSI targets that the hypervisor opens with its own client. The proof that two hosts see the same LUN
 * needs no write: the target's identity, the size, and samples, as for block devices.
 */

export interface Target extends Pool {
  readonly place: IscsiTarget;
}

export interface TargetConfig {
  readonly iscsi: string;
  readonly initiator?: string | undefined;
  /** CHAP login. */
  readonly user?: string | undefined;
  readonly passwordFile?: string | undefined;
}

/** Limit for one target's answers, ms; others wait for the result. */
const ANSWER_MS = 5000;

/** Pure: does not check whether they are reachable. */
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
 * Finds a target by its globally unique name; other portals may lead to it. The result has the hypervisor's portal,
 * so the answer comes from the guest's LUN even if two targets share a name.
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

/** LUN of a target's place; undefined if the path is not a number. */
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

/** Identity from its target. Rejects if another host has reserved it, since no other host may then write. */
export function identityOfLun(pool: Target, path: string, signal: AbortSignal): Promise<Identity> {
  return onLun(pool, path, signal, async ({ facts }) => usable(facts));
}

function usable({ reserved, ...identity }: LunFacts): Identity {
  if (reserved === undefined) return identity;
  throw new Error(`somebody holds a persistent reservation of it (${reserved})`);
}

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

/** First `bytes` of a LUN; rejects if unreadable. */
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

/** The destination's answer about one LUN: its presence, then its content. */
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

/** Identity behind a target's path; undefined if unknown. */
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

export function fileOfLun(pool: Target, path: string): string {
  const place = lunAt(pool, path);
  return place === undefined ? '' : formatIscsi(place);
}
