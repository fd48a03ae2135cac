import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { cpioArchive, type ArchiveEntry } from '../../../../../lab/image/cpio.ts';
import { guestKernel } from '../../../../../lab/image/kernel.ts';
import { hostProgram } from '../../../../../lab/image/program.ts';
import { qemuPrograms } from '../../../../conformance/qemu-place.ts';
import { tempDir } from '../../../../rpc/test-contract.ts';

const HERE = 'test/drivers/qemu/user/cgroup-v2';
const APPLETS = 'sh cat tail sleep mount poweroff'.split(' ');
const BOOT_MS = 240_000;

test("a guest's QEMU has its limits on a kernel with cgroup v2 alone, and nothing of it stays", async (t) => {
  const kernel = await guestKernel();
  const initramfs = path.join(tempDir(t), 'initramfs');
  writeFileSync(initramfs, cpioArchive(await entries(kernel.busybox)));
  const [qemu] = await qemuPrograms();
  assert.ok(qemu !== undefined);
  const groups = [
    ['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-m', '1024'],
    ['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-serial', 'stdio'],
    ['-kernel', kernel.vmlinuz, '-initrd', initramfs],
    ['-append', 'console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on'],
  ];
  const { stdout } = await promisify(execFile)(qemu.file, groups.flat(), {
    timeout: BOOT_MS,
    killSignal: 'SIGKILL',
  });
  const line = /^SEEN (\{.*\})\r?$/m.exec(stdout)?.[1];
  assert.ok(line !== undefined, stdout.slice(-4000));
  const { own, ownAgain, ...seen } = JSON.parse(line) as Record<string, unknown>;
  assert.match(String(own), /^0::\/godwit\/web1\.[0-9a-f]{12}$/);
  assert.equal(ownAgain, own);
  assert.deepEqual(seen, {
    verdict: 'pass',
    evidence: 'QEMU has a cgroup of its own',
    limits: [String(64 * 1024 * 1024), '8'],
    greedyEndedBy: 'SIGKILL',
    most: 8,
    refused: true,
    isGone: true,
    left: [],
  });
});

/** Node, what of Godwit the program inside uses, and a shell. */
async function entries(busybox: string): Promise<ArchiveEntry[]> {
  const file = (name: string, source: string, mode = 0o755): ArchiveEntry => ({
    kind: 'file',
    path: name,
    data: readFileSync(source),
    mode,
  });
  const ours = [
    'package.json',
    ...globSync('src/**/*.ts'),
    `${HERE}/inside.ts`,
    ...globSync('node_modules/zod/**/*.{js,json}'),
  ];
  const parents = ['bin', 'lib', 'dev', 'proc', 'sys', 'run', ...ours.map(under).map(path.dirname)];
  const directories = [...new Set(parents.flatMap(andAbove))].toSorted();
  const node = (await hostProgram('node')).filter(
    (entry) => entry.kind !== 'directory' || !directories.includes(entry.path),
  );
  return [
    ...directories.map((each): ArchiveEntry => ({ kind: 'directory', path: each })),
    { kind: 'character', path: 'dev/console', major: 5, minor: 1 },
    { kind: 'character', path: 'dev/null', major: 1, minor: 3 },
    { kind: 'character', path: 'dev/zero', major: 1, minor: 5 },
    { kind: 'character', path: 'dev/urandom', major: 1, minor: 9 },
    file('bin/busybox', busybox),
    ...APPLETS.map((name): ArchiveEntry => {
      return { kind: 'symlink', path: `bin/${name}`, target: 'busybox' };
    }),
    file('init', `${HERE}/init.sh`),
    ...node,
    ...ours.map((name) => file(under(name), name, 0o644)),
  ];
}

function under(name: string): string {
  return `godwit/${name}`;
}

function andAbove(directory: string): string[] {
  const parts = directory.split('/');
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}
