import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { TRACER, TraceReader, type TracedCall } from '../../../hostile/witness/trace.ts';

function readAll(lines: readonly string[]): TracedCall[] {
  const reader = new TraceReader();
  return lines.flatMap((line) => reader.read(line) ?? []);
}

describe('a trace', () => {
  test('a trace shows the named and the opened file', () => {
    const [seen] = readAll([
      '7 1000.5 openat(AT_FDCWD</run>, "a/../link", O_RDWR|O_CLOEXEC, 0600) = 9</etc/shadow>',
    ]);
    assert.deepEqual(
      [seen?.pid, seen?.atMs, seen?.call, seen?.paths, seen?.opened, seen?.error],
      [7, 1_000_500, 'openat', ['/run/a/../link'], '/etc/shadow', undefined],
    );
    assert.match(seen?.words ?? '', /O_RDWR/);
  });

  test('a trace shows the link that was read, and does not treat its target as a name', () => {
    const seen = readAll([
      '7 1.0 readlink("/proc/9/exe", "/usr/bin/other", 4095) = 14',
      '7 1.1 readlinkat(AT_FDCWD</run>, "link", "/etc/shadow", 4095) = 11',
    ]);
    assert.deepEqual(
      seen.map(({ paths }) => paths),
      [['/proc/9/exe'], ['/run/link']],
    );
  });

  test('a trace shows calls that failed, and names with quotes and bytes in them', () => {
    const [seen] = readAll([
      String.raw`7 1.0 openat(AT_FDCWD</>, "/a\"b\n\303\251", O_RDONLY) = -1 ENOENT (No such file)`,
    ]);
    assert.deepEqual([seen?.paths, seen?.error], [['/a"b\né'], 'ENOENT']);
  });

  test('a trace joins a call that another process has split', () => {
    const seen = readAll([
      '7 1.0 openat(AT_FDCWD</>, "/one", O_RDONLY <unfinished ...>',
      '8 1.1 unlink("/two") = 0',
      '7 1.2 <... openat resumed>) = 3</one>',
    ]);
    assert.deepEqual(
      seen.map(({ pid, paths }) => [pid, paths]),
      [
        [8, ['/two']],
        [7, ['/one']],
      ],
    );
  });

  test('a trace shows the program that was run, with its arguments', () => {
    const [seen] = readAll(['7 1.0 execve("/bin/sh", ["sh", "-c", "true"], 0x7 /* 3 vars */) = 0']);
    assert.deepEqual([seen?.paths, seen?.argv], [['/bin/sh'], ['sh', '-c', 'true']]);
  });

  test('a trace names sockets that are connected to', () => {
    const [seen] = readAll([
      '7 1.0 connect(21<UNIX-STREAM:[1]>, {sa_family=AF_UNIX, sun_path="/run/qmp.sock"}, 110) = 0',
    ]);
    assert.deepEqual(seen?.paths, ['/run/qmp.sock']);
  });

  test('a trace is written by the tracer for a program and its children', (t) => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'godwit-trace-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const file = path.join(dir, 'trace');
    const [program = '', ...args] = TRACER.filter((word) => word !== '-DDD');
    const run = spawnSync(program, [...args, '-o', file, 'sh', '-c', 'cat /etc/hostname | cat']);
    if (run.error !== undefined) return t.skip(`no ${program} here`);
    const seen = readAll(readFileSync(file, 'utf8').split('\n'));
    assert.ok(seen.some(({ opened }) => opened === '/etc/hostname'));
    assert.equal(new Set(seen.map(({ pid }) => pid)).size, 3);
  });
});
