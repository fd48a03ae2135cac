import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeSeen, type Ground } from '../../../hostile/witness/files.ts';
import type { TracedCall } from '../../../hostile/witness/trace.ts';

const GROUND: Ground = {
  stateDir: '/state',
  storage: '/storage',
  readable: ['/code', '/boot'],
  writable: ['/cache'],
  traps: ['/traps'],
  programs: ['/code/node', 'ip', 'qemu-system-x86_64'],
  bystanders: ['/storage/calm1', '/state/guests/calm1'],
  strangers: new Set([99]),
};
const call = (name: string, file: string, rest: Partial<TracedCall> = {}): TracedCall => ({
  pid: 1,
  atMs: 0,
  call: name,
  paths: [file],
  words: 'O_RDONLY',
  ...rest,
});
const judged = (seen: TracedCall): string => judgeSeen(seen, GROUND) ?? 'fine';

describe('file access of a process', () => {
  test("file access within the host's directories, its code and the system's is accepted", () => {
    for (const file of [
      '/state/migrations/m-1/x',
      '/storage/new.img',
      '/code/src/a.ts',
      '/dev/kvm',
    ]) {
      assert.equal(judged(call('openat', file)), 'fine', file);
    }
    assert.equal(judged(call('unlink', '/state/guests/own1/qmp.sock')), 'fine');
  });

  test('file access anywhere else is reported, even if it failed', () => {
    assert.match(judged(call('openat', '/etc/shadow')), /outside of what is read/);
    const tried = call('openat', '/etc/cron.d/x', { error: 'ENOENT', words: 'O_CREAT' });
    assert.match(judged(tried), /outside of what is written/);
    assert.match(judged(call('connect', '/traps/sock')), /nobody/);
    assert.match(judged(call('openat', '/code/../etc/shadow')), /outside/);
  });

  test('a change to read-only files, or to an uninvolved guest, is reported', () => {
    assert.match(judged(call('rename', '/boot/vmlinuz')), /outside of what is written/);
    assert.match(
      judged(call('openat', '/storage/calm1/disk0.qcow2', { words: 'O_RDWR' })),
      /stands by/,
    );
    assert.equal(judged(call('openat', '/storage/calm1/disk0.qcow2', { pid: 99 })), 'fine');
  });

  test('the file that was really opened counts if a link led elsewhere', () => {
    const opened = call('openat', '/state/guests/own1/log', { opened: '/etc/shadow' });
    assert.match(judged(opened), /outside/);
  });

  test('an unexpected program that was run is reported', () => {
    const shell = (...argv: string[]): string => judged(call('execve', '/bin/sh', { argv }));
    assert.match(shell('sh', '-c', 'id > x'), /was run: sh -c id/);
    assert.equal(shell('/bin/sh', '/usr/bin/qemu-system-x86_64', '-version'), 'fine');
    assert.match(judged(call('execve', '/usr/bin/nc')), /was run/);
    assert.equal(judged(call('execve', '/usr/sbin/ip')), 'fine');
    assert.equal(judged(call('execve', '/code/node')), 'fine');
  });
});
