/** What the tests of guests with disks look at, whatever those lie on. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { readGuestStats, verifyGuest } from '../../../lab/guest/talk.ts';
import { until } from '../../until.ts';
import type { World } from './world.ts';

/** The guest writes to its disks, and what it wrote is there. */
export async function assertWrites({ lab }: World, name: string): Promise<void> {
  const was = await readGuestStats(lab, name);
  await until('the guest to write to its disks', 20_000, async () => {
    const now = await readGuestStats(lab, name);
    return now.diskBytes > was.diskBytes ? true : undefined;
  });
  const found = await verifyGuest(lab, name);
  assert.ok(found.ok, JSON.stringify(found));
  assert.equal(found.badDiskChunks, 0);
  assert.ok(found.diskChunks > 0);
}

/** Files that a proof of shared storage left. */
export async function proofsIn(directory: string): Promise<string[]> {
  const files = await readdir(directory, { recursive: true });
  return files.filter((file) => path.basename(file).startsWith('.godwit-'));
}
