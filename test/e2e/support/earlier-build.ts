/** Godwit as it was at an earlier commit, from the repository's own history, beside the one under test. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { AgentConfigInput } from '../../../src/config.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** The last commit of the previous build that fleets run: to be moved on with each release. */
export const PREVIOUS = 'dd23b8e';

export interface EarlierBuild {
  /** Its agent's program. */
  readonly agent: string;
  remove(): void;
}

/** Whether the checkout has that history; a shallow clone and an archive have not. */
export function hasCommit(commit: string): boolean {
  try {
    execFileSync('git', ['cat-file', '-e', `${commit}^{commit}`], { cwd: ROOT, stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Lays out the tree of `commit`; undefined where the checkout does not have it. */
export function earlierBuild(commit: string): EarlierBuild | undefined {
  if (!hasCommit(commit)) return undefined;
  const dir = mkdtempSync(path.join(os.tmpdir(), 'godwit-earlier-'));
  const remove = (): void => rmSync(dir, { recursive: true, force: true });
  try {
    const tree = execFileSync('git', ['archive', commit, 'src', 'package.json'], {
      cwd: ROOT,
      maxBuffer: 256 * 1024 * 1024,
    });
    execFileSync('tar', ['-x', '-C', dir], { input: tree });
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(dir, 'node_modules'));
    const agent = path.join(dir, 'src', 'bin', 'agent.ts');
    if (!existsSync(agent)) throw new Error(`${commit} has no agent`);
    return { agent, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/**
 * The same configuration as the previous build reads it: without `storage`, which it does not know, and with the options
 * of QEMU in their old places. It refuses settings that it does not know; this build reads these.
 */
export function asBefore({ storage: _, drivers, ...known }: AgentConfigInput): AgentConfigInput {
  const {
    programs,
    user: _user,
    ...rest
  } = z.record(z.string(), z.unknown()).parse(drivers?.['qemu'] ?? {});
  return { ...known, ...(programs === undefined ? {} : { qemu: programs }), ...rest };
}
