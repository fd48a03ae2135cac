import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counterpartArgv } from '../../bench/counterpart.ts';

const from = { dir: '/state/a/guests/web1', tap: 'tap1' };
const to = { dir: '/state/b/guests/web1', tap: 'byhand0' };

test('the counterpart has its sockets and its tap on the other host, and waits for a stream', () => {
  const argv = [
    'qemu',
    '-name',
    'web1',
    '-qmp',
    'unix:/state/a/guests/web1/qmp.sock,server=on,wait=off',
    '-netdev',
    'tap,id=net0,ifname=tap1,script=no',
  ];
  assert.deepEqual(counterpartArgv(argv, from, to), [
    'qemu',
    '-name',
    'web1',
    '-qmp',
    'unix:/state/b/guests/web1/qmp.sock,server=on,wait=off',
    '-netdev',
    'tap,id=net0,ifname=byhand0,script=no',
    '-incoming',
    'defer',
  ]);
});

test('a QEMU that was started paused for an earlier stream is made anew, not paused', () => {
  const argv = ['qemu', '-display', 'none', '-S', '-incoming', 'tcp:10.0.0.1:4000'];
  const once = counterpartArgv(argv, from, to);
  assert.deepEqual(once, ['qemu', '-display', 'none', '-incoming', 'defer']);
  assert.deepEqual(counterpartArgv(once, to, from), once);
});

test('a tap is found in JSON too, and only as a whole name', () => {
  const json = '{"type":"tap","id":"net0","ifname":"tap1"}';
  const other = 'tap,id=net1,ifname=tap10';
  assert.deepEqual(counterpartArgv(['qemu', '-netdev', json, '-netdev', other], from, to), [
    'qemu',
    '-netdev',
    '{"type":"tap","id":"net0","ifname":"byhand0"}',
    '-netdev',
    other,
    '-incoming',
    'defer',
  ]);
});

test('a disk is found on the other host’s storage where that is another one', () => {
  const json =
    '{"driver":"file","node-name":"disk0-file","filename":"/lab/a/storage/db1/disk0.raw"}';
  const drive = 'if=none,id=disk1,file=/lab/a/storage/db1/disk1.qcow2,format=qcow2';
  const argv = ['qemu', '-blockdev', json, '-drive', drive];
  const local = [
    { ...from, storage: '/lab/a/storage' },
    { ...to, storage: '/lab/b/storage' },
  ] as const;
  assert.deepEqual(
    counterpartArgv(argv, ...local).slice(1, -2),
    ['-blockdev', json, '-drive', drive].map((word) => word.replace('/lab/a/', '/lab/b/')),
  );
  assert.deepEqual(counterpartArgv(argv, from, to).slice(0, -2), argv);
});
