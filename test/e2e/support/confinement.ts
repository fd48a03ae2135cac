import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { seenQemus } from '../../../src/lab/witness/qemus.ts';
import type { World } from './world.ts';

/** What the kernel says of the QEMU that Godwit started for a guest: it can gain nothing, and its calls are filtered. */
export async function assertConfined(world: World, guest: string, host: string): Promise<void> {
  const seen = await seenQemus(world.lab);
  const qemu = seen.find((each) => each.guest === guest && each.host === host);
  assert.ok(qemu !== undefined, `${guest} has no QEMU on ${host}`);
  const status = await readFile(`/proc/${qemu.pid}/status`, 'utf8');
  const field = (name: string): string =>
    new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? '';
  assert.equal(field('NoNewPrivs'), '1', `${guest} on ${host}`);
  assert.equal(field('Seccomp'), '2', `${guest} on ${host}`);
}
