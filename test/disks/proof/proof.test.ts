import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { openPools } from '../../../src/disks/proof/pools.ts';
import {
  answerProof,
  nonceSum,
  proofFile,
  readProof,
  removeProof,
  verdictOf,
  writeProof,
} from '../../../src/disks/proof/proof.ts';

const HOSTS = { from: 'a', to: 'b' };
const NAME = proofFile('m-1');

describe('shared storage', () => {
  let top: string;
  beforeEach(async () => {
    top = await realpath(await mkdtemp(path.join(tmpdir(), 'godwit-proof-')));
    for (const name of ['shared/vm', 'other/vm']) {
      await mkdir(path.join(top, name), { recursive: true });
    }
  });
  afterEach(() => rm(top, { recursive: true, force: true }));

  /** Host a writes below `shared`; host b has the pools named. */
  async function prove(...pools: string[]) {
    const directory = path.join(top, 'shared/vm');
    const nonce = await writeProof(directory, NAME);
    const opened = await openPools(pools.map((name) => ({ path: path.join(top, name) })));
    const answer = await answerProof(opened, { directory: 'vm', file: NAME });
    const verdict = verdictOf(nonce, answer, await readProof(directory, NAME), HOSTS);
    await removeProof(directory, NAME);
    return { verdict, answer };
  }

  const leftIn = (name: string): Promise<string[]> => readdir(path.join(top, name));

  test("shared storage is proved by each host reading the other's file, whatever their paths", async () => {
    await symlink('shared', path.join(top, 'mounted-elsewhere'));
    for (const pools of [['shared'], ['other', 'mounted-elsewhere']]) {
      const { verdict } = await prove(...pools);
      assert.deepEqual(verdict, { shared: true });
      assert.deepEqual([...(await leftIn('shared/vm')), ...(await leftIn('other/vm'))], []);
    }
  });

  test('shared storage is recognized by its proof if another directory of the guest has the same name', async () => {
    const shared = path.join(top, 'shared/vm');
    const other = path.join(top, 'other/vm');
    const [own, foreign] = [await writeProof(shared, NAME), await writeProof(other, NAME)];
    const pools = await openPools(
      ['other', 'shared'].map((name) => ({ path: path.join(top, name) })),
    );
    const place = { directory: 'vm', file: NAME };
    const nobody = await answerProof(pools, { ...place, sum: nonceSum('f'.repeat(64)) });
    assert.deepEqual(nobody, {});
    for (const [nonce, directory] of [
      [own, shared],
      [foreign, other],
    ] as const) {
      const answer = await answerProof(pools, { ...place, sum: nonceSum(nonce) });
      const verdict = verdictOf(nonce, answer, await readProof(directory, NAME), HOSTS);
      assert.deepEqual(verdict, { shared: true });
    }
  });

  test('storage with the same path is not shared for that reason, and nothing is left there', async () => {
    const { verdict } = await prove('other');
    assert.ok(!verdict.shared && verdict.why.includes('none of the `storage` of b'));
    assert.deepEqual(await leftIn('other/vm'), []);
  });

  test('storage that the destination cannot write, find or read is not shared', async () => {
    const { answer } = await prove('shared');
    const nonce = answer.read ?? '';
    const { wrote = '' } = answer;
    const no = (reported: typeof answer, back: string): string => {
      const verdict = verdictOf(nonce, reported, back, HOSTS);
      return verdict.shared ? 'shared' : verdict.why;
    };
    assert.equal(no(answer, nonce + wrote), 'shared');
    assert.match(no({ ...answer, read: 'f'.repeat(64) }, nonce + wrote), /b read something else/);
    assert.match(no(answer, nonce), /a did not read/);
    assert.match(no({ pool: answer.pool, read: nonce }, nonce), /b could not write/);
    assert.match(no({ problem: 'EACCES' }, nonce), /EACCES/);
    const seen = verdictOf(nonce, { read: nonce, problem: 'EROFS' }, nonce, HOSTS);
    const why = 'b reads what a wrote there, and may not write there (EROFS)';
    assert.deepEqual(seen, { shared: false, readOnly: true, why });
    const other = verdictOf(nonce, { read: 'f'.repeat(64), problem: 'EROFS' }, nonce, HOSTS);
    assert.ok(!other.shared && other.readOnly === undefined);
  });

  test('the proof does not wait for a host that replaces it with a pipe', async () => {
    const directory = path.join(top, 'shared/vm');
    execFileSync('mkfifo', [path.join(directory, NAME)]);
    assert.equal(await readProof(directory, NAME).catch(() => ''), '');
  });

  test('a proof is never looked for through a symbolic link, nor in a file that is not a proof', async () => {
    const victim = path.join(top, 'other/vm/victim');
    await writeFile(victim, 'f'.repeat(64));
    const pools = await openPools([{ path: path.join(top, 'shared') }]);
    const place = { directory: 'vm', file: NAME };
    const file = path.join(top, 'shared/vm', NAME);
    await symlink(victim, file);
    assert.match((await answerProof(pools, place)).problem ?? '', /ELOOP/);
    await rm(file);
    await writeFile(file, 'short');
    assert.match((await answerProof(pools, place)).problem ?? '', /no nonce/);
    await symlink('../other/vm', path.join(top, 'shared/away'));
    await writeFile(path.join(top, 'other/vm', NAME), 'f'.repeat(64));
    assert.deepEqual(await answerProof(pools, { directory: 'away', file: NAME }), {});
    assert.equal(await readFile(victim, 'utf8'), 'f'.repeat(64));
    assert.equal(await readFile(path.join(top, 'other/vm', NAME), 'utf8'), 'f'.repeat(64));
  });

  test("shared storage is proved again over a dead mover's files", async () => {
    const directory = path.join(top, 'shared/vm');
    const first = await writeProof(directory, NAME);
    const second = await writeProof(directory, NAME);
    assert.notEqual(first, second);
    assert.equal(await readProof(directory, NAME), second);
  });
});
