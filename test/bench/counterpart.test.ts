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
