import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { ovsDatabase } from '../../src/network/openvswitch.ts';

test("a host's Open vSwitch is in OVS_RUNDIR, and then at no other place", async () => {
  const own = await mkdtemp(path.join(tmpdir(), 'godwit-ovs-'));
  try {
    assert.equal(await ovsDatabase({ OVS_RUNDIR: own }), undefined);
    await writeFile(path.join(own, 'db.sock'), '');
    assert.equal(await ovsDatabase({ OVS_RUNDIR: own }), `${own}/db.sock`);
  } finally {
    await rm(own, { recursive: true });
  }
});
