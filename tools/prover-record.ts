/**
 * What a prover (faults, chaos, hostile, meddle, model) came to, and on which commit: `out/proofs/PROVER.json`. A run that was ended
 * goes on with `--from`, and its parts are one record as long as commit, working tree and options are the same.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { writeWhole } from '../src/system/files/whole-file.ts';

const part = z.object({
  /** Where this part began; absent: at the beginning. */
  from: z.string().optional(),
  /** Where the next part begins; absent: this one was played to its end. */
  next: z.string().optional(),
  startedAt: z.string(),
  endedAt: z.string(),
  /** All that was tried held. */
  ok: z.boolean(),
  figures: z.record(z.string(), z.unknown()),
});
export type ProverPart = z.infer<typeof part>;

const record = z.object({
  prover: z.string(),
  commit: z.string(),
  /** The working tree was not as the commit has it. */
  isChanged: z.boolean(),
  /** What was asked for, but for `--from`. */
  options: z.record(z.string(), z.unknown()),
  parts: z.array(part),
  /** The parts follow one another from the beginning to the end, and all that was tried held. */
  isWhole: z.boolean(),
});
export type ProverRecord = z.infer<typeof record>;

export type ProverHead = Omit<ProverRecord, 'parts' | 'isWhole'>;

/** The record with a part added; parts that the new one does not follow are dropped. Pure. */
export function withPart(
  before: ProverRecord | undefined,
  head: ProverHead,
  added: ProverPart,
): ProverRecord {
  const earlier = before !== undefined && isSameRun(before, head) ? before.parts : [];
  const at = earlier.findIndex(({ from }) => from === added.from);
  const kept = added.from === undefined ? [] : at === -1 ? earlier : earlier.slice(0, at);
  const parts = [...kept, added];
  const follows = parts.every(({ from }, index) => from === parts[index - 1]?.next);
  const isWhole = follows && added.next === undefined && parts.every(({ ok }) => ok);
  return { ...head, parts, isWhole };
}

function isSameRun(before: ProverRecord, { commit, isChanged, options }: ProverHead): boolean {
  return (
    before.commit === commit &&
    !before.isChanged &&
    !isChanged &&
    JSON.stringify(before.options) === JSON.stringify(options)
  );
}

export interface ProverRun {
  readonly prover: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly from: string | undefined;
}

/** Records one run as it goes on: `keep` may be called after each step. */
export function proverRecorder(
  { prover, options, from }: ProverRun,
  root: string = path.join(import.meta.dirname, '..'),
): { keep(so: Pick<ProverPart, 'next' | 'ok' | 'figures'>): ProverRecord; readonly file: string } {
  const file = path.join(root, 'out', 'proofs', `${prover}.json`);
  const head = { prover, ...commitOf(root), options: { ...options } };
  const before = readRecord(file);
  const startedAt = new Date().toISOString();
  return {
    file,
    keep: ({ next, ok, figures }) => {
      const endedAt = new Date().toISOString();
      const places = {
        ...(from === undefined ? {} : { from }),
        ...(next === undefined ? {} : { next }),
      };
      const all = withPart(before, head, { ...places, startedAt, endedAt, ok, figures });
      mkdirSync(path.dirname(file), { recursive: true });
      writeWhole(file, `${JSON.stringify(all, undefined, 2)}\n`);
      return all;
    },
  };
}

export function readRecord(file: string): ProverRecord | undefined {
  try {
    return record.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
}

function commitOf(root: string): { commit: string; isChanged: boolean } {
  const git = (...words: string[]): string =>
    execFileSync('git', words, {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  try {
    const changed = git('status', '--porcelain').trim();
    return { commit: git('rev-parse', 'HEAD').trim(), isChanged: changed !== '' };
  } catch {
    // A package has no repository.
    return { commit: 'unknown', isChanged: true };
  }
}
