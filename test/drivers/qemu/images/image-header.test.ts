import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { diskChecks } from '../../../../src/drivers/qemu/assess.ts';
import { linkOfHeader, linkOfImage } from '../../../../src/drivers/qemu/images/image-header.ts';
import type { GuestSpec } from '../../../../src/drivers/qemu/spec/schema.ts';

const run = promisify(execFile);

/** A directory with images as qemu-img makes them. */
async function withImages(work: (file: (name: string) => string) => Promise<void>): Promise<void> {
  const top = await mkdtemp(path.join(tmpdir(), 'godwit-header-'));
  const file = (name: string): string => path.join(top, name);
  const make = (...words: string[]) => run('qemu-img', ['create', '-q', ...words]);
  try {
    await make('-f', 'qcow2', file('whole'), '1M');
    await make('-f', 'qcow2', '-o', 'compat=0.10', file('old'), '1M');
    await make('-f', 'qcow2', '-o', `data_file=${file('data')}`, file('linked'), '1M');
    await writeFile(file('raw'), Buffer.alloc(4096));
    await writeFile(file('short'), 'QFI');
    await work(file);
  } finally {
    await rm(top, { recursive: true, force: true });
  }
}

describe("files opened because of an image's header", () => {
  test('an image opens other files only if its data is in a separate file', async () => {
    await withImages(async (file) => {
      for (const name of ['whole', 'old', 'raw', 'short']) {
        assert.equal(linkOfImage(file(name)), undefined, name);
      }
      assert.match(linkOfImage(file('linked')) ?? '', /names a file of its own for its data/);
    });
  });

  test('an image with a data file is refused at the destination by its name, before anything is opened', async () => {
    await withImages(async (file) => {
      const spec = {
        blockNodes: [
          { node: 'one', format: 'qcow2' },
          { node: 'two', format: 'qcow2' },
          { node: 'new', format: 'qcow2' },
        ],
      } as unknown as GuestSpec;
      const files = new Map([
        ['one', file('whole')],
        ['two', file('linked')],
        ['new', file('is not made yet')],
      ]);
      const checks = await diskChecks(
        'web1',
        spec,
        { host: 'b' },
        files,
        AbortSignal.timeout(1000),
      );
      assert.deepEqual(
        checks.map(({ verdict, error }) => [verdict, error?.code, error?.facts['device']]),
        [['refuse', 'GODWIT_DISK_LINKED', 'two']],
      );
    });
  });

  test('an unreadable image is refused; only a file that does not exist yet is free of references', async () => {
    await withImages(async (file) => {
      await mkdir(file('directory'));
      await run('mkfifo', [file('pipe')]);
      await symlink(file('linked'), file('link'));
      await symlink(file('nowhere'), file('dangling'));
      await symlink(file('whole'), file('good'));
      const names = ['directory', 'pipe', 'link', 'dangling', 'whole/below'];
      const all = [...names, 'good', 'none'];
      const blockNodes = all.map((node) => ({ node, format: 'qcow2' }));
      const files = new Map(all.map((name) => [name, file(name)]));
      const spec = { blockNodes } as unknown as GuestSpec;
      const { signal } = new AbortController();
      const found = await diskChecks('web1', spec, { host: 'b' }, files, signal);
      assert.deepEqual(
        found.map(({ error }) => [error?.code, error?.facts['device']]),
        names.map((name) => ['GODWIT_DISK_LINKED', name]),
      );
    });
  });

  test('an image on a block device is examined, too', async (t) => {
    await withImages(async (file) => {
      const attach = () => run('losetup', ['--find', '--show', '--read-only', file('linked')]);
      const device = await attach().then(({ stdout }) => stdout.trim(), String);
      if (!device.startsWith('/dev/')) return t.skip(`loop devices cannot be made: ${device}`);
      try {
        assert.match(linkOfImage(device) ?? '', /names a file of its own for its data/);
        // As LVM names its volumes.
        await symlink(device, file('volume'));
        assert.match(linkOfImage(file('volume')) ?? '', /names a file of its own for its data/);
      } finally {
        await run('losetup', ['--detach', device]);
      }
    });
  });

  test('an image on an export that QEMU opens itself is examined, too, and an unreadable one is refused', async () => {
    await withImages(async (file) => {
      const url = (name: string): string => `nfs://10.0.0.9/srv/${name}`;
      const names = ['whole', 'linked', 'raw', 'away'];
      const blockNodes = names.map((node) => ({ node, format: node === 'raw' ? 'raw' : 'qcow2' }));
      const spec = { blockNodes } as unknown as GuestSpec;
      const files = new Map(names.map((name) => [name, url(name)]));
      const headOf = async (asked: string, bytes: number): Promise<Buffer> => {
        const name = path.basename(asked);
        if (name === 'away') throw new Error('no answer');
        return (await readFile(file(name))).subarray(0, bytes);
      };
      const { signal } = new AbortController();
      const found = await diskChecks('web1', spec, { host: 'b', headOf }, files, signal);
      assert.deepEqual(
        found.map(({ error }) => [error?.code, error?.facts['device']]),
        [
          ['GODWIT_DISK_LINKED', 'linked'],
          ['GODWIT_DISK_LINKED', 'away'],
        ],
      );
      const blind = await diskChecks('web1', spec, { host: 'b' }, files, signal);
      assert.equal(blind.length, 3);
    });
  });

  test('an image may have any bytes', () => {
    const magic = fc.constantFrom(
      [],
      [0x51, 0x46, 0x49, 0xfb],
      [0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3],
    );
    fc.assert(
      fc.property(magic, fc.uint8Array({ maxLength: 120 }), (start, rest) => {
        const why = linkOfHeader(Buffer.from([...start, ...rest]));
        assert.ok(why === undefined || start.length > 0 || rest[0] === 0x51);
      }),
    );
  });
});
