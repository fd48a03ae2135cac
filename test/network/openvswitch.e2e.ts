import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { networkLacks } from '../../lab/network-lacks.ts';

const run = promisify(execFile);
const lacking = await networkLacks('ovs');
const closed = await access('/dev/net/tun', constants.R_OK | constants.W_OK).then(
  () => undefined,
  () => '/dev/net/tun is not open to this user',
);

/** In namespaces of its own, of processes too, which go away with the program: nothing can be left behind. */
test(
  'ports of Open vSwitch are read, created and removed, whether it answers or not',
  { skip: lacking?.message ?? closed ?? false },
  async () => {
    const own = await mkdtemp(path.join(tmpdir(), 'godwit-ovs-'));
    try {
      const steps = path.join(import.meta.dirname, 'openvswitch-steps.ts');
      const apart = ['--map-root-user', '--net', '--mount', '--pid', '--fork', '--kill-child'];
      const argv = [...apart, process.execPath, steps];
      const marks = { OVS_RUNDIR: own, OVS_LOGDIR: own, OVS_DBDIR: own, OVS_SYSCONFDIR: own };
      const { stdout } = await run('unshare', argv, { env: { ...process.env, ...marks } });
      const ovs = { kind: 'ovs', bridge: 'ovs0', mtu: 1500 };
      assert.deepEqual(JSON.parse(stdout), {
        attachments: [
          { ...ovs, vlan: { mode: 'access', tag: 10 }, settings: { isolated: true } },
          { ...ovs, vlan: { mode: 'trunk', native: 20, tags: [30, 40] } },
        ],
        same: [],
        changed: [
          'the VLAN of the port of net1 changed from 10 to 11',
          'isolated of the port of net1 changed from on to unset',
        ],
        made: { gwnet1: '10 [] [] true', gwnet2: '20 native-untagged [30, 40] false' },
        during: ['gwnet1', 'gwnet2', 'tap1', 'tap2', 'up0'],
        isUp: true,
        after: ['gwnet2', 'tap1', 'tap2', 'up0'],
        withoutSwitch: ['tap1', 'tap2', 'up0'],
        silent: [],
        unattached: [],
        again: ['ovs0'],
        gone: [],
        left: false,
      });
    } finally {
      await rm(own, { recursive: true });
    }
  },
);
