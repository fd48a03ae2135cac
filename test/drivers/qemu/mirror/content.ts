import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { askProgram } from '../../../../src/drivers/qemu/programs/one-shot-qemu.ts';
import { makeEmptyFile } from '../../../../src/drivers/qemu/images/make-image.ts';
import type { QmpClient } from '../../../../src/drivers/qemu/qmp/client.ts';
import { untilSo } from '../../../until.ts';

const MIB = 1024 ** 2;

/** What a file takes on its file system. */
export async function allocated(file: string): Promise<number> {
  return (await stat(file)).blocks * 512;
}

/** First byte and length. */
export type Range = readonly [number, number];

/**
 * Hash of what a guest would read of an image, or of parts of it. Whoever has it open writes to it no more, and has
 * flushed.
 */
export async function contentOf(
  program: string,
  file: string,
  format: 'raw' | 'qcow2',
  ranges: readonly Range[] = [[0, Number.POSITIVE_INFINITY]],
): Promise<string> {
  if (format === 'raw') return hashOf(file, ranges);
  const top = await mkdtemp(path.join(tmpdir(), 'godwit-flat-'));
  const flat = path.join(top, 'flat');
  try {
    const question = {
      file: program,
      accelerator: 'tcg',
      host: 'a',
      deadlineMs: 60_000,
      incoming: false,
    } as const;
    const signal = AbortSignal.timeout(60_000);
    await askProgram(question, signal, async (client, inner) => {
      const shared = { 'read-only': true, 'force-share': true };
      const below = { driver: 'file', filename: file, ...shared };
      const image = { driver: format, 'node-name': 'image', file: below, ...shared };
      await client.execute('blockdev-add', image, inner);
      const { size } = await sizeOf(client);
      await makeEmptyFile(flat, size);
      const plain = { driver: 'file', 'node-name': 'flat', filename: flat, discard: 'unmap' };
      await client.execute('blockdev-add', plain, inner);
      const copy = { 'job-id': 'copy', device: 'image', target: 'flat', sync: 'full' };
      await client.execute('blockdev-backup', { ...copy, 'auto-dismiss': false }, inner);
      await untilSo(async () => {
        const jobs = (await client.execute('query-jobs', {}, inner)) as {
          status: string;
          error?: string;
        }[];
        const [job] = jobs;
        assert.equal(job?.error, undefined);
        return job?.status === 'concluded';
      });
    });
    return await hashOf(flat, ranges);
  } finally {
    await rm(top, { recursive: true });
  }
}

async function sizeOf(client: QmpClient): Promise<{ size: number }> {
  const all = (await client.execute('query-named-block-nodes', { flat: true })) as {
    'node-name': string;
    image: { 'virtual-size': number };
  }[];
  const found = all.find((each) => each['node-name'] === 'image');
  return { size: found?.image['virtual-size'] ?? 0 };
}

async function hashOf(file: string, ranges: readonly Range[]): Promise<string> {
  const hash = createHash('sha256');
  const handle = await open(file);
  try {
    const buffer = Buffer.allocUnsafe(MIB);
    for (const [from, length] of ranges) {
      let at = from;
      while (at < from + length) {
        const most = Math.min(MIB, from + length - at);
        const { bytesRead } = await handle.read(buffer, 0, most, at);
        if (bytesRead === 0) break;
        hash.update(buffer.subarray(0, bytesRead));
        at += bytesRead;
      }
    }
    return hash.digest('hex');
  } finally {
    await handle.close();
  }
}
