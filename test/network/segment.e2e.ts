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
  'a segment reports which machine has an address, by ARP and ND, and is left unchanged',
  { skip },
  async () => {
    const steps = path.join(import.meta.dirname, 'segment-steps.ts');
    const argv = ['--net', '--mount', process.execPath, steps];
    const { stdout } = await run('unshare', argv);
    assert.deepEqual(JSON.parse(stdout), {
      all: [
        '10.9.0.21 52:54:00:00:00:21',
        'fd09::21 52:54:00:00:00:21',
        'fd09::21 52:54:00:00:00:22',
      ],
      // Only the guest was asked.
      guest: ['10.9.0.21 52:54:00:00:00:21', 'fd09::21 52:54:00:00:00:21'],
      isThere: true,
      isGone: true,
      // Nobody knows us.
      neighbours: '',
    });
  },
);
