/**
 * `npm run release -- --key FILE [--out DIR]`: builds the packages and signs their checksums with an SSH key. Refuses while
 * anything is open: an address in package.json, the changelog, the tag, a change that is not committed. Publishes nothing.
 */
import { execFileSync, type StdioOptions } from 'node:child_process';
import * as fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';

const root = path.resolve(import.meta.dirname, '..');
const SUMS = 'SHA256SUMS';
/** What the signature is for: a signature for another purpose does not count. */
const NAMESPACE = 'godwit-release';
const SIGNER = 'release@godwit';

const manifest = z.object({
  version: z.string(),
  repository: z.object({ url: z.string() }).optional(),
  bugs: z.object({ url: z.string() }).optional(),
  security: z.string().optional(),
});

export interface ReleaseState {
  /** The text of package.json. */
  readonly manifest: string;
  readonly changelog: string;
  /** Of `git status --porcelain`. */
  readonly changes: string;
  /** The tags of the commit that is checked out. */
  readonly tags: readonly string[];
}

/** What keeps this state from being released. Pure. */
export function releaseProblems(state: ReleaseState): string[] {
  const { version, repository, bugs, security } = manifest.parse(JSON.parse(state.manifest));
  const addresses = { 'repository.url': repository?.url, 'bugs.url': bugs?.url, security };
  const empty = Object.entries(addresses).flatMap(([name, value]) =>
    value === undefined || value.trim() === '' ? [`package.json: ${name} is empty`] : [],
  );
  const isListed = state.changelog.split('\n').some((line) => line.startsWith(`## [${version}]`));
  return [
    ...empty,
    ...(isListed ? [] : [`CHANGELOG.md has no section [${version}]`]),
    ...(state.tags.includes(`v${version}`) ? [] : [`the commit has no tag v${version}`]),
    ...(state.changes.trim() === '' ? [] : ['there are changes that are not committed']),
  ];
}

/** Signs SHA256SUMS in `folder`, and checks the signature as a user does. Answers the line of the key for allowed_signers. */
export function signSums(folder: string, key: string): string {
  const sums = path.join(folder, SUMS);
  const quiet: { stdio: StdioOptions } = { stdio: ['ignore', 'ignore', 'inherit'] };
  fs.rmSync(`${sums}.sig`, { force: true });
  execFileSync('ssh-keygen', ['-q', '-Y', 'sign', '-f', key, '-n', NAMESPACE, sums], quiet);
  const shown = execFileSync('ssh-keygen', ['-y', '-f', key], { encoding: 'utf8' }).trim();
  const signer = `${SIGNER} namespaces="${NAMESPACE}" ${shown}`;
  checkSums(folder, signer);
  return signer;
}

/** Throws if the signature is not of that signer, or is for another text. */
export function checkSums(folder: string, signer: string): void {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'godwit-signers-'));
  try {
    const signers = path.join(scratch, 'allowed_signers');
    fs.writeFileSync(signers, `${signer}\n`);
    const sums = path.join(folder, SUMS);
    const argv = [
      '-Y',
      'verify',
      '-f',
      signers,
      '-I',
      SIGNER,
      '-n',
      NAMESPACE,
      '-s',
      `${sums}.sig`,
    ];
    execFileSync('ssh-keygen', argv, { input: fs.readFileSync(sums), stdio: 'pipe' });
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
}

function stateHere(): ReleaseState {
  const git = (...argv: string[]): string =>
    execFileSync('git', argv, { cwd: root, encoding: 'utf8' });
  const text = (name: string): string => fs.readFileSync(path.join(root, name), 'utf8');
  return {
    manifest: text('package.json'),
    changelog: text('CHANGELOG.md'),
    changes: git('status', '--porcelain'),
    tags: git('tag', '--points-at', 'HEAD').split('\n'),
  };
}

function main(): void {
  const options = { key: { type: 'string' }, out: { type: 'string' } } as const;
  const { key, out = path.join(root, 'out') } = parseArgs({ options }).values;
  const problems = releaseProblems(stateHere());
  if (key === undefined || !fs.existsSync(key))
    problems.push('--key names no file: the SSH key that signs releases');
  if (key === undefined || problems.length > 0) {
    console.error(`No release:\n${problems.map((each) => `  ${each}\n`).join('')}`);
    process.exit(1);
  }
  execFileSync(process.execPath, [path.join(root, 'tools/package.ts'), out], { stdio: 'inherit' });
  const signer = signSums(out, key);
  console.log(
    `signed: ${path.join(out, SUMS)}.sig\nUsers verify it with this line in allowed_signers:\n${signer}`,
  );
}

if (import.meta.main) main();
