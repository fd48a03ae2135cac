import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  boundPaths,
  lookForOpen,
  mappedPaths,
  openObstacle,
} from '../../../../src/drivers/criu/files/open-in-volume.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';

const name = fc.stringMatching(/^[a-z]{1,6}$/);
const file = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join('/')}`);

test('an open deleted file blocks the volume that contains it, and no other', () => {
  fc.assert(
    fc.property(file, file, (volume, open) => {
      const within = open === volume || open.startsWith(`${volume}/`);
      const found = openObstacle(volume, [`${open} (deleted)`], []);
      assert.equal(found !== undefined, within);
      if (found !== undefined) assert.ok(found.reason.startsWith(`${open} is open there`));
      // What has its name is restored by it.
      assert.equal(openObstacle(volume, [open], []), undefined);
    }),
  );
});

test("a file that NFS keeps for a deleted one, and a server's socket, block the volume as well", () => {
  assert.match(openObstacle('/data', ['/data/.nfs000000001'], [])?.reason ?? '', /\.nfs0/);
  assert.match(openObstacle('/data', [], ['/data/db.sock'])?.reason ?? '', /db\.sock is a socket/);
  assert.equal(openObstacle('/data', [], ['/database/db.sock']), undefined);
});

test('a lock blocks the volume of its file, with a hint about a cold move', () => {
  const { reason, hint } = openObstacle('/data', ['/data/db'], [], ['/run/x', '/data/db']) ?? {};
  assert.match(reason ?? '', /^\/data\/db is locked there/);
  assert.match(hint ?? '', /--mode cold/);
  assert.equal(openObstacle('/data', ['/data/db'], [], ['/database']), undefined);
});

test('sockets of the processes are found by their bound path, a relative one from each directory', () => {
  const table = [
    'Num       RefCount Protocol Flags    Type St Inode Path',
    '0000000000000000: 00000002 00000000 00010000 0001 01 12345 /data/a b.sock',
    '0000000000000000: 00000002 00000000 00010000 0001 01 12346 run/x.sock',
    '0000000000000000: 00000002 00000000 00000000 0002 01 12347 @abstract',
    '0000000000000000: 00000003 00000000 00000000 0001 03 12348',
    // Another program's on the same network.
    '0000000000000000: 00000002 00000000 00010000 0001 01 12349 control-7',
  ].join('\n');
  const held = new Set([12345, 12346, 12347, 12348].map((inode) => `socket:[${inode}]`));
  assert.deepEqual(boundPaths(table, ['/data', '/'], held), [
    '/data/a b.sock',
    '/data/run/x.sock',
    '/run/x.sock',
  ]);
});

test('mapped files are found by their paths', () => {
  const maps = [
    '7f0000000000-7f0000001000 rw-s 00000000 08:01 77 /data/shared (deleted)',
    '7f0000002000-7f0000003000 r-xp 00000000 08:01 78    /bin/a b',
    '7ffe00000000-7ffe00001000 rw-p 00000000 00:00 0 [stack]',
    '7f0000004000-7f0000005000 rw-p 00000000 00:00 0 ',
  ].join('\n');
  assert.deepEqual(mappedPaths(maps), ['/data/shared (deleted)', '/bin/a b']);
});

test("a process with a deleted file or directory, a lock, or a socket is detected by the kernel's report", async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-open-'));
  const script = `
    const fs = require('fs');
    process.chdir(process.argv[1]);
    if (process.argv[2] === 'deleted') { fs.openSync('x', 'w'); fs.unlinkSync('x'); console.log('ready'); }
    else if (process.argv[2] === 'place') { fs.mkdirSync('y'); process.chdir('y'); fs.rmdirSync('../y'); console.log('ready'); }
    else if (process.argv[2] === 'lock') {
      const fd = fs.openSync('z', 'w');
      // A kernel in a namespace of process ids shows no lock whose taker has ended: this one goes on until its input ends.
      const take = ['-c', 'flock 3 && echo ready && exec cat'];
      require('child_process').spawn('sh', take, { stdio: ['inherit', 'inherit', 'ignore', fd] });
    }
    else require('net').createServer().listen('s.sock', () => console.log('ready'));
    setInterval(() => {}, 1000);`;
  try {
    for (const [how, words] of [
      ['deleted', /x is open there and was deleted/],
      ['place', /y is open there and was deleted/],
      ['lock', /z is locked there/],
      ['socket', /s\.sock is a socket there/],
    ] as const) {
      const child = spawn(process.execPath, ['-e', script, directory, how]);
      try {
        await new Promise((resolve) => child.stdout.once('data', resolve));
        const { pid = 0 } = child;
        assert.match((await lookForOpen([pid], directory))?.reason ?? '', words);
        assert.equal(await lookForOpen([pid], path.join(directory, 'other')), undefined);
      } finally {
        child.kill('SIGKILL');
        child.stdin.end();
        await new Promise((resolve) => child.once('exit', resolve));
      }
    }
  } finally {
    await removeTree(directory);
  }
});
