import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { GodwitError } from '../../src/errors.ts';
import { networkLacks } from '../../lab/network-lacks.ts';
import { labUp } from '../../lab/up.ts';
import { labDirectory } from '../../src/cli/connection/labs.ts';

const run = promisify(execFile);
const lacking = await networkLacks('vlan');
const root = process.getuid?.() === 0 ? undefined : 'a macvtap’s file belongs to root';

/** In namespaces of its own, which go away with the process: nothing can be left behind. */
test(
  'a guest in a VLAN of a Linux bridge gets its port in it on the other host, reachable through the trunk',
  { skip: lacking?.message ?? root ?? false },
  async () => {
    const steps = path.join(import.meta.dirname, 'vlan-steps.ts');
    const { stdout } = await run('unshare', ['--net', '--mount', process.execPath, steps]);
    assert.partialDeepStrictEqual(JSON.parse(stdout), {
      nics: [{ attachment: { kind: 'bridge', bridge: 'br0', vlan: { mode: 'access', tag: 10 } } }],
      vlans: [{ ifname: 'gw0', vlans: [{ vlan: 10, flags: ['PVID', 'Egress Untagged'] }] }],
      other: 'no port of br0 carries VLAN 20',
      heard: [{ address: '10.88.0.21', mac: '52:54:00:00:00:21' }],
    });
  },
);

const there = lacking === undefined ? 'this kernel has them' : false;
test(
  'a lab with VLANs is refused if the kernel lacks them, and leaves nothing',
  { skip: there },
  async () => {
    const name = `e2e-vl-${process.pid.toString(36)}`;
    await assert.rejects(labUp({ name, network: 'vlan' }), (error) => {
      assert.ok(error instanceof GodwitError);
      assert.equal(error.code, 'GODWIT_HOST_LACKS');
      assert.match(`${error.message} ${error.hint}`, /bridges that know VLANs .* --network ovs/);
      return true;
    });
    assert.equal(existsSync(labDirectory(name)), false);
  },
);
