import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peakBytes } from '../../bench/memory-use.ts';
import { leftBehind, socketsOf, type HostTally } from '../../bench/tally-compare.ts';

const tally: HostTally = {
  host: 'a',
  processes: ['node agent.ts', 'qemu-system-x86_64'],
  taps: ['tap1'],
  files: ['agent.sock', 'migrations', 'migrations/m-1', 'migrations/m-1/request.json'],
  agentDescriptors: 24,
  tcpSockets: 1,
  unixSockets: 6,
};

test('the same things leave nothing to report, also under another tap', () => {
  assert.deepEqual(leftBehind([tally], [{ ...tally, taps: ['gw12345678n0'] }]), []);
});

test('the record of a migration stays on purpose; sockets and keys in it do not', () => {
  const dir = 'migrations/m-2';
  const record = [
    '',
    '/request.json',
    '/mover.json',
    '/mover.log',
    '/mover-source.lock',
    '/journal-source.jsonl',
  ];
  const kept = [...tally.files, ...record.map((name) => dir + name)];
  assert.deepEqual(leftBehind([tally], [{ ...tally, files: kept }]), []);
  const more = [...kept, `${dir}/mover.sock`, `${dir}/tls`];
  assert.deepEqual(leftBehind([tally], [{ ...tally, files: more }]), [
    'host a: file migrations/m-2/mover.sock was left behind',
    'host a: file migrations/m-2/tls was left behind',
  ]);
});

test('each kind of thing that is there more often is reported', () => {
  const after = {
    ...tally,
    processes: [...tally.processes, 'qemu-system-x86_64'],
    taps: ['tap1', 'gw1'],
    agentDescriptors: 30,
    tcpSockets: 2,
    unixSockets: 7,
  };
  assert.deepEqual(leftBehind([tally], [after]), [
    'host a: process qemu-system-x86_64 was left behind',
    'host a: 2 taps, 1 before',
    'host a: 30 file descriptors of the agent, 24 before',
    'host a: 2 TCP sockets, 1 before',
    'host a: 7 unix sockets, 6 before',
  ]);
});

test('sockets are counted in the tables of the kernel, those that only wait out their time apart', () => {
  const text = [
    '  sl  local_address rem_address   st tx_queue rx_queue',
    '   0: 0B004D0A:1D13 00000000:0000 0A 00000000:00000000',
    '   1: 0B004D0A:1D13 0C004D0A:C350 01 00000000:00000000',
    '   2: 0B004D0A:C351 0C004D0A:1D13 06 00000000:00000000',
    'Num       RefCount Protocol Flags    Type St Inode Path',
    '00000000a1b2c3d4: 00000002 00000000 00010000 0001 01 12345 /state/agent.sock',
    '00000000a1b2c3d5: 00000003 00000000 00000000 0001 03 12346',
  ].join('\n');
  assert.deepEqual(socketsOf(text), { tcpSockets: 2, unixSockets: 2 });
});

test('the peak of a process is read from its status', () => {
  assert.equal(peakBytes('Name:\tnode\nVmHWM:\t   41892 kB\nVmRSS:\t 40000 kB\n'), 41892 * 1024);
  assert.equal(peakBytes(''), undefined);
});
