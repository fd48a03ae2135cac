import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { checkSums, releaseProblems, signSums, type ReleaseState } from '../../tools/release.ts';
import { tempDir } from '../rpc/test-contract.ts';

const MANIFEST = {
  version: '1.2.3',
  repository: { url: 'https://git.example/godwit' },
  bugs: { url: 'https://git.example/godwit/issues' },
  security: 'security@example',
};
const READY: ReleaseState = {
  manifest: JSON.stringify(MANIFEST),
  changelog: '# Changelog\n\n## [1.2.3] - 2027-01-01\n',
  changes: '',
  tags: ['v1.2.3'],
};

test('a release is refused while an address, the changelog, the tag or a commit is missing', () => {
  assert.deepEqual(releaseProblems(READY), []);
  const cases: [Partial<ReleaseState>, RegExp][] = [
    [{ manifest: JSON.stringify({ ...MANIFEST, security: '' }) }, /^package\.json: security/],
    [{ manifest: JSON.stringify({ ...MANIFEST, bugs: { url: ' ' } }) }, /bugs\.url is empty/],
    [{ manifest: '{"version":"1.2.3","security":"x","bugs":{"url":"y"}}' }, /repository\.url/],
    [{ changelog: '## [Unreleased]\n\n## [1.2.30]\n' }, /no section \[1\.2\.3\]/],
    [{ tags: ['v1.2.30'] }, /no tag v1\.2\.3/],
    [{ changes: ' M src/agent.ts\n' }, /not committed/],
  ];
  for (const [change, message] of cases) {
    const problems = releaseProblems({ ...READY, ...change });
    assert.equal(problems.length, 1, problems.join(', '));
    assert.match(problems[0] ?? '', message);
  }
});

test('the release script exits with an error before it builds, and names all open points', () => {
  const script = path.resolve(import.meta.dirname, '../../tools/release.ts');
  const { status, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  assert.equal(status, 1);
  assert.match(stderr, /^No release:\n {2}\S/);
  assert.match(stderr, /--key names no file/);
});

test('checksums are signed, and neither another key nor other sums pass', (t) => {
  const folder = tempDir(t);
  const keyAt = (name: string): string => {
    const file = path.join(folder, name);
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file]);
    return file;
  };
  const sums = path.join(folder, 'SHA256SUMS');
  fs.writeFileSync(sums, `${'0'.repeat(64)}  godwit.deb\n`);
  const other = signSums(folder, keyAt('other'));
  const signer = signSums(folder, keyAt('release'));
  checkSums(folder, signer);
  assert.throws(() => checkSums(folder, other));
  fs.appendFileSync(sums, `${'1'.repeat(64)}  godwit.tar.gz\n`);
  assert.throws(() => checkSums(folder, signer));
});
