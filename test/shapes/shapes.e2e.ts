import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

/** One of each manager, and traits that were once lost or refused. */
const HANDFUL =
  '^(libvirt-9-q35|proxmox-8-i440fx|nova-2023|script-cloud-init|name-with-spaces|cd-ejected)$';

test('guests started as libvirt, Proxmox, Nova and scripts start them survive a round trip', async () => {
  const TMPDIR = await mkdtemp(path.join(tmpdir(), 'gt-'));
  const words = ['shapes/shapes.ts', '--json', '--only', HANDFUL];
  const { stdout } = await promisify(execFile)(process.execPath, words, {
    env: { ...process.env, TMPDIR },
  });
  const last = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as unknown;
  assert.deepEqual(last, { moved: 6, refused: 0, broken: 0, lost: 0 });
  assert.deepEqual(await readdir(TMPDIR), []);
  await rm(TMPDIR, { recursive: true });
});
