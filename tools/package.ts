/**
 * `npm run package`: a .deb, and a tarball of the same files for other distributions, in out/. Both have the Node in them
 * that the program runs on. With them come a bill of materials (CycloneDX) and SHA256SUMS. Two builds of one commit are the same bytes, wherever they are made by the same tools.
 */
import { execFileSync, type StdioOptions } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { makeDeb } from './package/deb.ts';
import { BILL, makeTree, settle, versionOf, type BuildStamp } from './package/tree.ts';

const root = path.resolve(import.meta.dirname, '..');
const packaging = path.join(root, 'packaging');
const TOOLS = ['dpkg-deb', 'dpkg-shlibdeps', 'strip', 'tar'];

/** SOURCE_DATE_EPOCH, or the time of the commit, s; outside of a clone the beginning of 1980, which every archive can say. */
function epochOf(): number {
  const given = Number(process.env['SOURCE_DATE_EPOCH']);
  if (Number.isSafeInteger(given) && given > 0) return given;
  try {
    const log = ['log', '-1', '--format=%ct'];
    const stdio: StdioOptions = ['ignore', 'pipe', 'ignore'];
    return Number(execFileSync('git', log, { cwd: root, encoding: 'utf8', stdio }));
  } catch {
    return Date.UTC(1980, 0, 1) / 1000;
  }
}

/** The files under root/, and the program that puts them into place. */
function makeTarball(tree: string, file: string, { version, epoch }: BuildStamp): void {
  const name = `godwit-${version}`;
  const folder = path.join(path.dirname(tree), name);
  fs.mkdirSync(folder);
  fs.renameSync(tree, path.join(folder, 'root'));
  for (const each of ['install.sh', 'purge.sh']) {
    fs.copyFileSync(path.join(packaging, each), path.join(folder, each));
    fs.chmodSync(path.join(folder, each), 0o755);
  }
  fs.chmodSync(folder, 0o755);
  settle(folder, epoch);
  const how = ['--sort=name', '--format=gnu', '--owner=0', '--group=0', '--numeric-owner'];
  const tar = `${folder}.tar`;
  execFileSync('tar', [...how, '-cf', tar, '-C', path.dirname(folder), name], { stdio: 'inherit' });
  fs.writeFileSync(file, gzipSync(fs.readFileSync(tar), { level: 9 }));
  fs.renameSync(path.join(folder, 'root'), tree);
}

async function main(): Promise<void> {
  const missing = TOOLS.filter((tool) => !hasTool(tool));
  if (missing.length > 0) {
    console.error(`missing: ${missing.join(', ')}; on Debian: apt-get install dpkg-dev binutils`);
    process.exit(1);
  }
  const out = path.resolve(process.argv[2] ?? path.join(root, 'out'));
  fs.mkdirSync(out, { recursive: true });
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'godwit-package-'));
  try {
    const built = { version: versionOf(), epoch: epochOf() };
    const tree = path.join(scratch, 'tree');
    await makeTree(tree, built);
    const tarball = path.join(out, `godwit-${built.version}-linux-x64.tar.gz`);
    makeTarball(tree, tarball, built);
    const deb = path.join(out, `godwit_${built.version}_amd64.deb`);
    makeDeb(tree, deb, built);
    const bill = path.join(out, `godwit-${built.version}.cdx.json`);
    fs.copyFileSync(path.join(tree, BILL), bill);
    const sums = [deb, tarball, bill].map((file) => {
      const bytes = fs.readFileSync(file);
      const sum = createHash('sha256').update(bytes).digest('hex');
      console.log(`${sum}  ${(bytes.length / 1e6).toFixed(1)} MB  ${file}`);
      return `${sum}  ${path.basename(file)}\n`;
    });
    fs.writeFileSync(path.join(out, 'SHA256SUMS'), sums.join(''));
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
}

function hasTool(name: string): boolean {
  return (process.env['PATH'] ?? '')
    .split(':')
    .some((folder) => fs.existsSync(path.join(folder, name)));
}

await main();
