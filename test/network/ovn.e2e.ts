import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { before, test } from 'node:test';
import { promisify } from 'node:util';
import { cacheDirectory } from '../../src/system/files/cache-directory.ts';
import { networkLacks } from '../../lab/network-lacks.ts';

const run = promisify(execFile);
const lacking = await networkLacks('ovs');
const closed = await access('/dev/net/tun', constants.R_OK | constants.W_OK).then(
  () => undefined,
  () => '/dev/net/tun is not open to this user',
);
const skip = lacking?.message ?? closed ?? false;

before(() => {
  if (skip !== false) return;
  const setup = path.join(import.meta.dirname, '../../tools/setup.sh');
  execFileSync('bash', [setup, '--only', 'ovn'], { stdio: ['ignore', 2, 2] });
});

/** In namespaces of its own, of processes too, which go away with the program: nothing can be left behind. */
test(
  'a logical OVN port follows its guest to the other host and back, silent until the guest announces itself',
  { skip },
  async () => {
    const own = await mkdtemp(path.join(tmpdir(), 'godwit-ovn-'));
    try {
      const steps = path.join(import.meta.dirname, 'ovn-steps.ts');
      const apart = ['--map-root-user', '--net', '--mount', '--pid', '--fork', '--kill-child'];
      const top = path.join(cacheDirectory(), 'ovn/usr');
      const env = {
        ...process.env,
        OWN_DIR: own,
        PATH: `${path.join(top, 'bin')}:${process.env['PATH']}`,
        OVN_PKGDATADIR: path.join(top, 'share/ovn'),
      };
      const { stdout } = await run('unshare', [...apart, process.execPath, steps], { env });
      const unbound = "the port lp1 of the network's controller is not bound at o2";
      assert.deepEqual(JSON.parse(stdout), {
        attachment: { kind: 'ovs', bridge: 'br-int', mtu: 1500, ids: { 'iface-id': 'lp1' } },
        unbound: `${unbound}: its port has no iface-id here`,
        strange: 'nobody is not bound at o1: it is at no host',
        unprepared: { early: 'ok', changed: false },
        prepared: 'ok',
        both: {
          options: '{activation-strategy=rarp, requested-chassis="o1,o2"}',
          chassis: 'o1',
          further: 'o2',
        },
        back: 'ok',
        rolledBack: { options: '{requested-chassis=o1}', chassis: 'o1' },
        again: 'ok',
        resumed: 'ok',
        moved: { options: '{requested-chassis=o2}', further: '' },
      });
    } finally {
      await rm(own, { recursive: true });
    }
  },
);
