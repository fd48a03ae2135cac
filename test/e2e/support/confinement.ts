import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { qemuOptions } from '../../../src/drivers/qemu/options.ts';
import { seenQemus } from '../../../lab/witness/qemus.ts';
import type { World } from './world.ts';

/** What the kernel says of the QEMU that Godwit started for a guest: nobody's user, who can gain nothing, its calls filtered. */
export async function assertConfined(world: World, guest: string, host: string): Promise<void> {
  const seen = await seenQemus(world.lab);
  const qemu = seen.find((each) => each.guest === guest && each.host === host);
  assert.ok(qemu !== undefined, `${guest} has no QEMU on ${host}`);
  const status = await readFile(`/proc/${qemu.pid}/status`, 'utf8');
  const field = (name: string): string =>
    new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? '';
  assert.equal(field('NoNewPrivs'), '1', `${guest} on ${host}`);
  assert.equal(field('Seccomp'), '2', `${guest} on ${host}`);
  if (process.getuid?.() !== 0) return;
  const uids = new Set(field('Uid').split('\t'));
  assert.equal(uids.size, 1, field('Uid'));
  const uid = Number([...uids][0]);
  assert.ok(uid > FROM && uid < FROM + COUNT, `uid ${uid}`);
  assert.deepEqual(new Set(field('Gid').split('\t')), uids);
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
    assert.equal(Number(`0x${field(set)}`), 0, set);
  }
}

const { user } = qemuOptions.parse({});
const { from: FROM, count: COUNT } = user === 'agent' ? { from: 0, count: 0 } : user;
