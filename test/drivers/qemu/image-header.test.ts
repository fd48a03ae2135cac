import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { diskChecks } from '../../../src/drivers/qemu/disk-checks.ts';
import { linkOfHeader, linkOfImage } from '../../../src/drivers/qemu/image-header.ts';
import type { GuestSpec } from '../../../src/drivers/qemu/spec/schema.ts';

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

describe('what the header of an image makes QEMU open', () => {
  test('is nothing but for one whose data lies in a file of its own', async () => {
    await withImages(async (file) => {
      for (const name of ['whole', 'old', 'raw', 'short']) {
        assert.equal(linkOfImage(file(name)), undefined, name);
      }
      assert.match(linkOfImage(file('linked')) ?? '', /names a file of its own for its data/);
    });
  });

  test('is refused at the destination by the image’s name, before anything is opened', async () => {
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
      const checks = diskChecks('web1', spec, 'b', files);
      assert.deepEqual(
        checks.map(({ verdict, error }) => [verdict, error?.code, error?.facts['device']]),
        [['refuse', 'GODWIT_DISK_LINKED', 'two']],
      );
    });
  });

  test('may be any bytes', () => {
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
