import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import {
  exportOf,
  exportsOf,
  fileOn,
  fileToOpenOn,
  headOn,
  resolveOn,
  type Export,
} from '../../../src/disks/proof/exports.ts';
import {
  answerOnExports,
  besideOnExport,
  proofFile,
  verdictOf,
} from '../../../src/disks/proof/proof.ts';
import { OTHER_THERE } from '../../../src/migration/image-identity.ts';
import { MemoryServer } from './nfs/server.ts';

const HOSTS = { from: 'a', to: 'b' };
const NAME = proofFile('m-1');
const soon = (): AbortSignal => AbortSignal.timeout(10_000);

describe('exports', () => {
  const exports = exportsOf([
    { nfs: 'nfs://filer/srv' },
    { path: '/srv' },
    { nfs: 'nfs://filer/srv/fast', user: 107, group: 0 },
  ]);

  test('an export is not a directory, and its name for other hosts reveals nothing', () => {
    assert.deepEqual(
      exports.map(({ root }) => root),
      ['nfs://filer/srv', 'nfs://filer/srv/fast'],
    );
    for (const { id } of exports) assert.match(id, /^[0-9a-f]{16}$/);
  });

  test('an export contains paths below the same server name, the innermost export first', () => {
    const where = (file: string): unknown => {
      const at = exportOf(exports, file);
      return 'found' in at ? [at.found.pool.root, at.found.path] : at.problem;
    };
    assert.deepEqual(where('nfs://filer/srv/vm/a.raw'), ['nfs://filer/srv', 'vm/a.raw']);
    assert.deepEqual(where('nfs://filer/srv/fast/a?uid=5'), ['nfs://filer/srv/fast', 'a']);
    for (const file of ['nfs://other/srv/a', 'nfs://filer/srvx/a', 'nfs://filer/srv']) {
      assert.match(String(where(file)), /outside of the exports that `storage` names/);
    }
    assert.match(String(where('nfs://filer/srv/../etc')), /does not know/);
    assert.deepEqual(exportOf([], 'nfs://filer/a'), { problem: '`storage` names no NFS export' });
  });

  test('an export is opened as the configured user', () => {
    const [plain, owned] = exports;
    assert.ok(plain !== undefined && owned !== undefined);
    assert.equal(fileOn(plain, 'vm/a'), 'nfs://filer/srv/vm/a');
    assert.equal(fileOn(owned, 'a'), 'nfs://filer/srv/fast/a?uid=107&gid=0');
  });
});

describe('unmounted storage', () => {
  let here: MemoryServer;
  let elsewhere: MemoryServer;
  let shared: Export;
  let other: Export;
  beforeEach(async () => {
    here = new MemoryServer();
    elsewhere = new MemoryServer();
    const made: Export[] = [];
    for (const server of [here, elsewhere]) {
      server.add('vm', 'directory');
      const portmapperPort = await server.listen();
      const [found] = exportsOf([{ nfs: 'nfs://127.0.0.1/srv' }]);
      assert.ok(found !== undefined);
      made.push({ ...found, id: String(portmapperPort).padStart(16, '0'), portmapperPort });
    }
    [shared, other] = made as [Export, Export];
  });
  afterEach(async () => {
    await here.close();
    await elsewhere.close();
  });

  async function prove(exports: readonly Export[]) {
    const beside = besideOnExport(shared, 'vm');
    const nonce = await beside.write(NAME, soon());
    const answer = await answerOnExports(exports, { directory: 'vm', file: NAME }, soon());
    const verdict = verdictOf(nonce, answer, await beside.read(NAME, soon()), HOSTS);
    const inode = await beside.inode?.(NAME, soon());
    await beside.remove(NAME, soon());
    return { verdict, answer, inode };
  }

  test('unmounted storage is shared if each host reads on the server the bytes that the other wrote', async () => {
    for (const exports of [[shared], [other, shared]]) {
      const { verdict, answer, inode } = await prove(exports);
      assert.deepEqual([verdict, answer.pool], [{ shared: true }, shared.id]);
      assert.match(String(inode), /^\d+$/);
      assert.equal(answer.inode, inode);
      assert.deepEqual([...here.names('vm'), ...elsewhere.names('vm')], []);
    }
  });

  test('an export of the same name at another server is not shared, and nothing is left there', async () => {
    const { verdict } = await prove([other]);
    assert.ok(!verdict.shared && verdict.why.includes('none of the `storage` of b'));
    assert.deepEqual([...here.names('vm'), ...elsewhere.names('vm')], []);
    assert.ok(!elsewhere.calls.includes('100003/8'));
  });

  test('an export is not shared if its server does not answer, and the reason is given', async () => {
    await elsewhere.close();
    const { verdict } = await prove([other]);
    assert.ok(!verdict.shared && verdict.why.includes('ECONNREFUSED'), JSON.stringify(verdict));
    elsewhere = new MemoryServer();
    await elsewhere.listen();
  });

  test("unmounted storage is proved again over a dead mover's files, which may be removed twice", async () => {
    here.add(`vm/${NAME}`, 'file', 'f'.repeat(64));
    const { verdict } = await prove([shared]);
    assert.deepEqual(verdict, { shared: true });
    await besideOnExport(shared, 'vm').remove(NAME, soon());
  });

  test('a proof is never looked for through a symbolic link, nor in a file that is not a proof', async () => {
    const ask = async (directory: string): Promise<string> => {
      const answer = await answerOnExports([shared], { directory, file: NAME }, soon());
      assert.equal(answer.pool, undefined);
      return answer.problem ?? '';
    };
    here.add(`vm/${NAME}`, 'link');
    assert.match(await ask('vm'), /no nonce/);
    here.root.children.get('vm')?.children.delete(NAME);
    here.add(`vm/${NAME}`, 'file', 'short');
    assert.match(await ask('vm'), /no nonce/);
    here.add('away', 'link');
    assert.match(await ask('away'), /symbolic link/);
    assert.equal(await ask('gone'), '');
    assert.ok(!here.calls.includes('100003/7'));
  });

  test('an export reads the start of an image, and never through a link or outside of the exports', async () => {
    here.add('vm/disk.qcow2', 'file', 'x'.repeat(500));
    here.add('vm/link', 'link');
    const at = (file: string): Promise<Buffer> =>
      headOn([shared], `nfs://127.0.0.1/${file}`, 80, soon());
    assert.equal((await at('srv/vm/disk.qcow2')).toString(), 'x'.repeat(80));
    for (const file of ['srv/vm/link', 'srv/vm', 'srv/gone', 'other/vm/disk.qcow2'])
      await assert.rejects(at(file), file);
  });

  test('an export opens images that are files, and nothing through a link', async () => {
    here.add('vm/disk.raw', 'file', 'x');
    here.add('vm/link', 'link');
    here.add('away', 'link');
    const there = await resolveOn(shared, 'vm/disk.raw', soon());
    assert.ok('found' in there);
    assert.equal(there.found.file, 'nfs://127.0.0.1/srv/vm/disk.raw');
    // Another file that comes to its name has another number.
    const { inode } = there.found;
    const file = { found: there.found.file };
    assert.deepEqual(await fileToOpenOn(shared, 'vm/disk.raw', inode, soon()), file);
    here.add('vm/disk.raw', 'file', 'x');
    assert.deepEqual(await fileToOpenOn(shared, 'vm/disk.raw', undefined, soon()), file);
    assert.deepEqual(await fileToOpenOn(shared, 'vm/disk.raw', inode, soon()), {
      problem: OTHER_THERE,
    });
    for (const part of ['vm/link', 'away/disk.raw', 'vm', 'vm/gone', 'vm/disk.raw/x']) {
      assert.ok('problem' in (await resolveOn(shared, part, soon())), part);
    }
  });
});
