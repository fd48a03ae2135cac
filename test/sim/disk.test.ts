import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JournalFile } from '../../src/system/journal-file.ts';
import { SimDisk } from '../../sim/disk.ts';
import { SimProcess } from '../../sim/process.ts';
import { Random } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';

const FILE = 'journal';

function scene(seed: number): { disk: SimDisk; scheduler: Scheduler; file: JournalFile } {
  const scheduler = new Scheduler();
  const disk = new SimDisk(scheduler, new Random(seed));
  const who = { name: 'a mover', host: 'a', pid: 1 } as const;
  const process = new SimProcess(
    who,
    scheduler,
    () => 0,
    () => {},
  );
  return { disk, scheduler, file: disk.opener(process)(FILE) };
}

const all = (scheduler: Scheduler): Promise<void> =>
  scheduler.run(
    () => false,
    1_000_000,
    () => {},
  );

describe('a simulated disk', () => {
  test('a simulated disk keeps synced data, and any part of later data, after a power loss', async () => {
    const lengths = new Set<number>();
    for (let seed = 1; seed <= 200; seed += 1) {
      const { disk, scheduler, file } = scene(seed);
      file.write(Buffer.from('synced\n'), 0);
      const synced = file.sync();
      await all(scheduler);
      await synced;
      file.write(Buffer.from('later\n'), 0);
      disk.losePower();
      const text = disk.text(FILE);
      assert.ok(text.startsWith('synced\n') && 'synced\nlater\n'.startsWith(text));
      lengths.add(text.length);
    }
    assert.ok(lengths.has(7) && lengths.has(13) && lengths.size > 4, 'nothing, all, and torn');
  });

  test('a full simulated disk accepts nothing or a part, and reports that', () => {
    const { disk, file } = scene(1);
    disk.state = 'full';
    const line = Buffer.from('a record\n');
    const write = (): void => {
      for (let sent = 0; sent < line.length;) sent += file.write(line, sent);
    };
    for (let tried = 0; tried < 20; tried += 1) assert.throws(write, { code: 'ENOSPC' });
    file.truncate(0);
    assert.equal(file.read().length, 0);
  });

  test('a broken simulated disk accepts writes and never stores them', async () => {
    const { disk, scheduler, file } = scene(1);
    disk.state = 'broken';
    file.write(Buffer.from('a record\n'), 0);
    const synced = assert.rejects(file.sync(), { code: 'EIO' });
    await all(scheduler);
    await synced;
    assert.equal(disk.files.get(FILE)?.synced, 0);
  });
});
