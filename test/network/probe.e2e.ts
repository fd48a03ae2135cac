import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const skip = process.getuid?.() === 0 ? false : 'a macvtap’s file belongs to root';

/**
 * In namespaces of its own, which go away with the process: nothing can be left behind. As root itself: where another
 * namespace has the file of a macvtap of that number under /dev, one is made, which a mapped root may not.
 */
test(
  'a guest is watched by its answers, in its segment or over IP, and a cut is measured completely',
  { skip },
  async () => {
    const steps = path.join(import.meta.dirname, 'probe-steps.ts');
    const argv = ['--net', '--mount', process.execPath, steps];
    const { stdout } = await run('unshare', argv);
    const seen = {
      address: '10.9.0.21',
      isWhole: true,
      isOpen: false,
      fits: true,
      answered: true,
      mtu: 9000,
    };
    const { nobody, wrong, ...story } = JSON.parse(stdout) as Record<string, { notTried?: string }>;
    assert.deepEqual(story, {
      near: { kind: 'arp', ...seen },
      nearOverIp: { kind: 'tcp', ...seen },
      far: { kind: 'icmp', ...seen },
      tcp: { kind: 'tcp', ...seen },
      open: { kind: 'tcp', ...seen },
      http: { kind: 'http', ...seen },
      links: [],
      left: [],
    });
    assert.equal(nobody?.notTried, 'no address of the guest is known');
    assert.equal(wrong?.notTried, 'ARP: there is no bridge br0');
  },
);
