import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { AddressSpace } from '../../../../src/drivers/criu/pager/address-space.ts';
import { JournalFile } from '../../../../src/drivers/criu/pager/journal-file.ts';
import { replay } from '../../../../src/drivers/criu/pager/journal.ts';
import { run } from './place.ts';

const skip = process.getuid?.() === 0 ? false : 'only root mounts';
const MIB = 2 ** 20;

interface Disk {
  readonly directory: string;
  readonly journal: JournalFile;
  /** Takes up all of its room. */
  readonly fill: () => Promise<void>;
}

async function disk(t: TestContext): Promise<Disk> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-journal-'));
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory]);
  t.after(async () => {
    await run('umount', ['-l', directory]);
    await rm(directory, { recursive: true });
  });
  const journal = new JournalFile(path.join(directory, 'journal'));
  const filler = path.join(directory, 'filler');
  return {
    directory,
    journal,
    fill: () => writeFile(filler, Buffer.alloc(MIB)).catch(() => undefined),
  };
}

/** A process with so many regions, which takes about 25 bytes for each. */
const known = (regions: number) => ({
  spaces: new Map([
    [
      1000,
      new AddressSpace(
        Array.from({ length: regions }, (_, at) => ({ from: at * 8192, pages: 1, file: 1, at })),
      ),
    ],
  ]),
  keepers: [],
  restored: true,
  all: false,
});

test(
  'a journal that cannot be rewritten stays unchanged, and takes no more room',
  { skip },
  async (t) => {
    const { directory, journal } = await disk(t);
    journal.write({ over: 1000 });
    assert.ok(journal.hasRoom());
    await writeFile(path.join(directory, 'filler'), Buffer.alloc(MIB - 3 * 64 * 1024));
    journal.shorten(known(10_000));
    assert.deepEqual((await readdir(directory)).toSorted(), ['filler', 'journal']);
    journal.write({ over: 1001 });
    assert.equal(journal.text, '{"over":1000}\n{"over":1001}\n');
  },
);

test(
  'a rewritten journal has reserved room, even if the disk is full a moment later',
  { skip },
  async (t) => {
    const { journal, fill } = await disk(t);
    assert.ok(journal.hasRoom());
    journal.shorten(known(10));
    await fill();
    assert.ok(journal.hasRoom());
    for (let at = 0; at < 100; at += 1) journal.write({ over: at });
    assert.equal(replay(journal.text, () => []).spaces.size, 1);
  },
);

test('room for the next records counts: without it the old journal stays', { skip }, async (t) => {
  const { directory, journal } = await disk(t);
  journal.write({ over: 1000 });
  assert.ok(journal.hasRoom());
  // 128 KiB are left at most, and the journal has 64 of them.
  await writeFile(path.join(directory, 'filler'), Buffer.alloc(MIB - 2 * 64 * 1024));
  journal.shorten(known(1000));
  assert.deepEqual((await readdir(directory)).toSorted(), ['filler', 'journal']);
  assert.equal(journal.text, '{"over":1000}\n');
  assert.ok(journal.hasRoom());
});
