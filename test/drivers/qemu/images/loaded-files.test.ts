import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  openSync,
  readFileSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { loadedFrom } from '../../../../src/drivers/qemu/images/loaded-files.ts';
import { ImageStore } from '../../../../src/drivers/qemu/images/images.ts';
import type { BlockFacts } from '../../../../src/drivers/qemu/spec/disks/disk-facts.ts';
import { inspectFacts } from '../../../../src/drivers/qemu/inspect.ts';
import { tempDir } from '../../../rpc/test-contract.ts';
import { commandLine, factsOf } from '../spec/facts.ts';

/** A process that has these files open, as QEMU has the files of flash chips. */
async function holder(t: TestContext, ...files: string[]): Promise<number> {
  const stdio = files.map((file) => openSync(file, 'r'));
  const child = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore', ...stdio] });
  await once(child, 'spawn');
  t.after(() => child.kill('SIGKILL'));
  return child.pid ?? 0;
}

function written(directory: string, name: string, content: string): string {
  const file = path.join(directory, name);
  writeFileSync(file, content);
  return file;
}

/** What QEMU reports of the chip with the code. */
function chipOf(file: string): BlockFacts {
  const common = {
    file,
    readOnly: true,
    direct: false,
    noFlush: false,
    detectZeroes: 'off' as const,
    encrypted: false,
    bytes: 3,
    allocatedBytes: 4096,
    backing: undefined,
    volatileBitmaps: 0,
  };
  const of = { qdev: '/machine/system.flash0', root: '#block1' };
  return {
    disks: [{ drive: 'pflash0', ...of, writeCache: true, builtIn: undefined }],
    nodes: [
      { name: '#block1', driver: 'raw', ...common },
      { name: '#block1-f', driver: 'file', ...common },
    ],
    edges: [{ parent: '#block1', child: '#block1-f', role: 'file' }],
    jobs: [],
  };
}

describe('the code of a flash chip', () => {
  test('the code is the file at its path as long as the guest has that file open', async (t) => {
    const file = written(tempDir(t), 'CODE.fd', 'old');
    const pid = await holder(t, file);
    assert.deepEqual(await loadedFrom(pid, file, true), { at: file });
  });

  test("an upgraded file of the same size counts as the code: the guest's own code moves with its memory", async (t) => {
    const directory = tempDir(t);
    const file = written(directory, 'CODE.fd', 'old');
    const pid = await holder(t, file);
    renameSync(written(directory, 'CODE.fd.new', 'new'), file);
    const loaded = await loadedFrom(pid, file, true);
    assert.ok('at' in loaded);
    assert.equal(loaded.at, file);
    assert.match(loaded.note ?? '', /the code of before an upgrade/);
  });

  test('the code is read from the open file if its replacement has another size, even if its path is a link', async (t) => {
    const directory = tempDir(t);
    const file = written(directory, 'CODE_4M.fd', 'old');
    const link = path.join(directory, 'CODE.fd');
    symlinkSync(file, link);
    const pid = await holder(t, file);
    renameSync(written(directory, 'CODE_4M.fd.new', 'newer'), file);
    for (const given of [file, link]) {
      const loaded = await loadedFrom(pid, given, true);
      assert.ok('at' in loaded);
      assert.equal(readFileSync(loaded.at, 'utf8'), 'old');
      assert.match(loaded.note ?? '', /which was replaced after the guest was started/);
      assert.ok(loaded.hint?.includes(loaded.at));
    }
  });

  test('the code is refused if the guest has neither the file at the path nor the removed one open', async (t) => {
    const directory = tempDir(t);
    const file = written(directory, 'CODE.fd', 'old');
    const pid = await holder(t, file);
    renameSync(file, `${file}.old`);
    assert.deepEqual(await loadedFrom(pid, file, true), {
      why: `${file}: there is no file at this path, and the guest has a removed file open`,
    });
    written(directory, 'CODE.fd', 'new');
    assert.deepEqual(await loadedFrom(pid, file, true), {
      why: `${file}: the file at this path is not the file that the guest has open`,
    });
  });

  test('replaced code is in the description as the guest runs it, with a warning', async (t) => {
    const directory = tempDir(t);
    const file = written(directory, 'CODE.fd', 'old');
    const pid = await holder(t, file);
    const chips = `-drive if=pflash,format=raw,unit=0,readonly=on,file=${file}`;
    const seen = async () => {
      const facts = factsOf(commandLine(`-machine pc-q35-7.2 -m 512M ${chips}`), {
        block: chipOf(file),
      });
      const parts = {
        store: new ImageStore(directory),
        signal: new AbortController().signal,
        pid,
      };
      const abilities = { version: '7.2.22', capabilities: [], multifdCompression: [] };
      const stream = { mode: 'precopy', streams: 1, compress: 'none' } as const;
      const { description, checks } = await inspectFacts('web1', facts, abilities, stream, parts);
      const { flash } = description.spec as { flash: { image: { sha256: string } }[] };
      const noted = checks.filter(({ evidence }) => evidence.includes('was replaced'));
      return [flash[0]?.image.sha256, noted.map(({ verdict }) => verdict)] as const;
    };
    const [sum, none] = await seen();
    assert.deepEqual(none, []);
    renameSync(written(directory, 'CODE.fd.new', 'newer'), file);
    assert.deepEqual(await seen(), [sum, ['warn']]);
  });
});

describe("files read at the hypervisor's start", () => {
  test('a file that was written or replaced since the start is named', async (t) => {
    const directory = tempDir(t);
    const file = written(directory, 'bios.bin', 'old');
    const earlier = new Date(Date.now() - 3_600_000);
    utimesSync(file, earlier, earlier);
    const pid = await holder(t);
    const before = await loadedFrom(process.pid, '/proc/self/exe', false);
    assert.deepEqual(before, { at: '/proc/self/exe' });
    writeFileSync(file, 'new');
    const later = new Date(Date.now() + 1000);
    utimesSync(file, later, later);
    const loaded = await loadedFrom(pid, file, false);
    assert.ok('at' in loaded);
    assert.match(loaded.note ?? '', /bios\.bin as it was when the guest was started/);
  });
});
