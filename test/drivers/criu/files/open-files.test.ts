import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { test } from 'node:test';
import {
  deletedIn,
  ghostObstacle,
  ghostsObstacles,
  GHOST_BYTES,
  GHOSTS_BYTES,
} from '../../../../src/drivers/criu/files/ghosts.ts';
import {
  fileObstacles,
  mountIds,
  outsideObstacle,
} from '../../../../src/drivers/criu/files/open-files.ts';
import { until } from '../../../until.ts';

const TABLE = [
  '36 35 98:0 / / rw,noatime - ext4 /dev/root rw',
  '612 36 0:5 / /dev rw - tmpfs t rw',
].join('\n');

test('a standard stream that is a file of the host is refused by its name', () => {
  const mounts = mountIds(TABLE);
  const found = outsideObstacle(1, '/var/log/box.log', '24', mounts);
  assert.deepEqual([found?.device, found?.type], ['standard output', 'host file']);
  assert.match(found?.reason ?? '', /^\/var\/log\/box\.log was opened outside/);
  assert.match(found?.hint ?? '', /on \/dev\/null/);
  assert.equal(outsideObstacle(7, '/srv/x', '24', mounts)?.device, 'file 7');
});

test("files of the container's mounts, memory files, and files that are closed by now are accepted", () => {
  const mounts = mountIds(TABLE);
  assert.equal(outsideObstacle(1, '/log', '36', mounts), undefined);
  assert.equal(outsideObstacle(0, '/dev/null', '612', mounts), undefined);
  assert.equal(outsideObstacle(9, '/memfd:cache (deleted)', '1', mounts), undefined);
  assert.equal(outsideObstacle(9, 'anon_inode:[eventpoll]', undefined, mounts), undefined);
});

const skip = process.getuid?.() === 0 ? false : 'only root makes namespaces everywhere';

test(
  'the kernel reports that a file was opened before the container had its mounts',
  { skip },
  async () => {
    const root = readlinkSync('/proc/self/ns/mnt');
    // In its own namespace of mounts each mount has a number of its own; so has what is opened there.
    const script = 'exec 7<&0 0</dev/null 1>/dev/null 2>/dev/null; exec sleep 60';
    const opened = 'exec unshare --mount sh -c "$0" </etc/passwd';
    const child = spawn('sh', ['-c', opened, script]);
    try {
      const { pid = 0 } = child;
      await until('its files', 10_000, async () =>
        readlinkSync(`/proc/${pid}/ns/mnt`) === root ||
        !readlinkSync(`/proc/${pid}/exe`).endsWith('sleep')
          ? undefined
          : true,
      );
      const found = await fileObstacles([pid]);
      assert.deepEqual(
        found.map(({ device, type }) => [device, type]),
        [['file 7', 'host file']],
      );
    } finally {
      child.kill('SIGKILL');
    }
  },
);

test('a deleted file that is mapped is found, and memory with a path is not one', () => {
  const maps = [
    '7f00-7f01 rw-p 00000000 00:2f 123                        /data/a b (deleted)',
    '7f01-7f02 rw-s 00000000 00:01 5                          /memfd:x (deleted)',
    '7f02-7f03 r--p 00000000 00:2f 124                        /bin/node',
    '7f03-7f04 rw-p 00000000 00:00 0 ',
  ].join('\n');
  assert.deepEqual([...deletedIn(maps)], [['map_files/7f00-7f01', '/data/a b (deleted)']]);
});

test('a deleted file moves up to the limit, and is refused with the way out above it', () => {
  assert.equal(ghostObstacle('/gone', GHOST_BYTES), undefined);
  const refused = ghostObstacle('/gone', GHOST_BYTES + 1);
  assert.equal(refused?.device, '/gone');
  assert.match(refused?.hint ?? '', /close it/);
});

test('deleted files move up to a common limit, and above it the largest one is refused by name', () => {
  const many = Array.from({ length: GHOSTS_BYTES / GHOST_BYTES }, (_, at) => {
    return { file: `/gone${at}`, bytes: GHOST_BYTES };
  });
  assert.deepEqual(ghostsObstacles(many), []);
  const [refused, ...more] = ghostsObstacles([{ file: '/small', bytes: 1 }, ...many]);
  assert.equal(refused?.device, '/gone0');
  assert.match(refused.reason, /^it and 4 others were deleted .* at most 256 MiB of such files/);
  assert.equal(more.length, 0);
  // What does not move by itself is named once, and not in the sum.
  const large = { file: '/large', bytes: GHOST_BYTES + 1 };
  assert.deepEqual(
    ghostsObstacles([large, ...many]).map(({ device }) => device),
    ['/large'],
  );
});
