import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { cpioArchive } from '../../../lab/image/cpio.ts';
import { chooseAccelerator } from '../../../lab/guest/accelerator.ts';
import { guestImage } from '../../../lab/image/initramfs.ts';
import { guestKernel, type GuestKernel } from '../../../lab/image/kernel.ts';
import type { CleanRoot, ShellResult } from './clean-root.ts';

/** A clean Debian that runs as a QEMU guest, with a kernel and a systemd of its own. */

export const QEMU = '/usr/bin/qemu-system-x86_64';
const TAP = 'booted0';
const BOOT_MS = 240_000;
const COMMAND_MS = 180_000;
/** Where a guest of a guest finds a kernel. */
export const GUEST_KERNEL = '/boot/vmlinuz-guest';
const MODULES = [
  'drivers/virtio/virtio_ring.ko',
  'drivers/virtio/virtio.ko',
  'drivers/virtio/virtio_pci_legacy_dev.ko',
  'drivers/virtio/virtio_pci_modern_dev.ko',
  'drivers/virtio/virtio_pci.ko',
  'net/core/failover.ko',
  'drivers/net/net_failover.ko',
  'drivers/net/virtio_net.ko',
  'drivers/block/virtio_blk.ko',
];

/** Reads lines `ID COMMAND`, the command in base64, from a serial port; answers `ID EXIT OUTPUT`. */
const COMMANDS = `#!/bin/bash
stty raw -echo
export HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
ip link set eth0 up
ip addr add "$1/24" dev eth0
ip route add default dev eth0
echo ready
while IFS=' ' read -r id line; do
  bash -c "$(base64 -d <<<"$line")" >/run/command.out 2>&1 </dev/null
  exit=$?
  echo "$id $exit $(base64 -w0 /run/command.out)"
done
`;

const unitOf = (address: string): string => `[Unit]
Description=Commands of the test
[Service]
ExecStart=/bin/bash /usr/local/sbin/test-commands ${address}
StandardInput=tty
StandardOutput=tty
StandardError=journal
TTYPath=/dev/ttyS1
KillMode=process
[Install]
WantedBy=multi-user.target
`;

const INIT = `#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod "/modules/$module"; done
mkdir /new
mount -t ext4 /dev/vda /new
umount /proc
mount --move /dev /new/dev
exec switch_root /new /sbin/init
`;

export interface BootedDebian {
  readonly name: string;
  readonly address: string;
  /** Runs a shell's command line in it, to its end, after those before it. */
  run(line: string): Promise<ShellResult>;
  /** Runs a line that must succeed, and gives what it printed. */
  does(line: string): Promise<string>;
  /** What its kernel and its systemd have written to the console. */
  console(): string;
  close(): Promise<void>;
}

export interface Booting {
  readonly name: string;
  readonly address: string;
  /** Its files, as they are now. */
  readonly root: CleanRoot;
  /** Whose bridge it is on, `br0`. */
  readonly beside: CleanRoot;
}

/** A clean root that runs as a QEMU guest, on the bridge of another one. */
export async function bootDebian(booting: Booting): Promise<BootedDebian> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'godwit-booted-'));
  try {
    const kernel = await guestKernel();
    const initrd = path.join(folder, 'initrd');
    writeFileSync(initrd, initrdOf(kernel));
    const accelerator = await chooseAccelerator(QEMU, await guestImage());
    const disk = makeDisk(folder, booting);
    const inNetwork = ['-t', String(booting.beside.pid), '-n'];
    for (const argv of [
      ['tuntap', 'add', TAP, 'mode', 'tap'],
      ['link', 'set', TAP, 'master', 'br0', 'up'],
    ])
      execFileSync('nsenter', [...inNetwork, 'ip', ...argv]);
    const qemu = [QEMU, ...argvOf(folder, { kernel, initrd, disk, accelerator })];
    const host = boot(folder, booting, ['nsenter', ...inNetwork, ...qemu]);
    await host.does('true');
    return host;
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function initrdOf(kernel: GuestKernel): Buffer {
  const directories = ['bin', 'dev', 'proc', 'modules'];
  const applets = ['sh', 'cat', 'insmod', 'mkdir', 'mount', 'umount', 'switch_root'];
  const modules = MODULES.map((file) => ({
    name: path.basename(file),
    data: readFileSync(path.join(kernel.modulesDir, 'kernel', file)),
  }));
  const order = modules.map(({ name }) => `${name}\n`).join('');
  return cpioArchive([
    ...directories.map((each) => ({ kind: 'directory', path: each }) as const),
    { kind: 'character', path: 'dev/console', major: 5, minor: 1 },
    { kind: 'file', path: 'bin/busybox', data: readFileSync(kernel.busybox), mode: 0o755 },
    ...applets.map(
      (each) => ({ kind: 'symlink', path: `bin/${each}`, target: 'busybox' }) as const,
    ),
    ...modules.map(({ name, data }) => ({ kind: 'file', path: `modules/${name}`, data }) as const),
    { kind: 'file', path: 'modules/order', data: Buffer.from(order) },
    { kind: 'file', path: 'init', data: Buffer.from(INIT), mode: 0o755 },
  ]);
}

/** The root with what makes it a machine, as a file system in a file. */
function makeDisk(folder: string, { name, address, root }: Booting): string {
  const own = root.folder;
  const image = path.join(folder, 'disk.img');
  const units = path.join(own, 'etc/systemd/system');
  for (const each of ['usr/local/sbin', 'etc/systemd/system/multi-user.target.wants'])
    mkdirSync(path.join(own, each), { recursive: true });
  const id = Buffer.from(name.padEnd(16, '.')).toString('hex').slice(0, 32);
  for (const [file, text] of [
    ['etc/hostname', `${name}\n`],
    ['etc/machine-id', `${id}\n`],
    ['usr/local/sbin/test-commands', COMMANDS],
    ['etc/systemd/system/test-commands.service', unitOf(address)],
  ] as const) {
    rmSync(path.join(own, file), { force: true });
    writeFileSync(path.join(own, file), text);
  }
  symlinkSync(
    '/etc/systemd/system/test-commands.service',
    path.join(units, 'multi-user.target.wants/test-commands.service'),
  );
  // Timers of the distribution would look for a network.
  for (const each of ['apt-daily.timer', 'apt-daily-upgrade.timer'])
    symlinkSync('/dev/null', path.join(units, each));
  // Its own /proc and /dev are mounted in it: not in the second view.
  const view = path.join(folder, 'view');
  mkdirSync(view);
  const inside = own.slice(`/proc/${root.pid}/root`.length);
  const script =
    'mount --bind "$0" "$1" && mke2fs -q -t ext4 -O ^has_journal -d "$1" "$2" 3G && umount "$1"';
  const argv = ['-t', String(root.pid), '-m', 'sh', '-c', script, inside, view, image];
  execFileSync('nsenter', argv, { stdio: ['ignore', 'ignore', 'inherit'] });
  return image;
}

interface Boots {
  readonly kernel: GuestKernel;
  readonly initrd: string;
  readonly disk: string;
  readonly accelerator: 'kvm' | 'tcg';
}

function argvOf(folder: string, { kernel, initrd, disk, accelerator }: Boots): string[] {
  const machine = '-machine q35 -cpu max -smp 2 -m 1536M -nodefaults -no-user-config -display none';
  const drive = `file=${disk},format=raw,if=virtio,cache=unsafe`;
  const network = `tap,id=n0,ifname=${TAP},script=no,downscript=no`;
  const rest: readonly (readonly [string, string])[] = [
    ['-accel', accelerator],
    ['-kernel', kernel.vmlinuz],
    ['-initrd', initrd],
    ['-append', 'console=ttyS0 quiet net.ifnames=0 rw'],
    ['-drive', drive],
    ['-netdev', network],
    ['-device', 'virtio-net-pci,netdev=n0,mac=52:54:00:78:00:09'],
    ['-serial', `file:${path.join(folder, 'console')}`],
    ['-serial', 'stdio'],
  ];
  return [...machine.split(' '), ...rest.flat()];
}

function boot(
  folder: string,
  { name, address }: Booting,
  [program = '', ...args]: readonly string[],
): BootedDebian {
  const errors = openSync(path.join(folder, 'errors'), 'w');
  const qemu = spawn(program, args, { stdio: ['pipe', 'pipe', errors] });
  closeSync(errors);
  const read = (what: string): string => {
    try {
      return readFileSync(path.join(folder, what), 'utf8');
    } catch {
      return '';
    }
  };
  const said = answersOf(qemu);
  const expect = async (what: string, ms: number): Promise<RegExpExecArray> => {
    const line = await said(ms);
    const match = new RegExp(`^${what}$`).exec(line ?? '');
    if (match !== null) return match;
    const why = line === undefined ? `said nothing for ${ms / 1000} s, or has ended` : line;
    throw new Error(`${name}: ${why}\n${read('errors')}${read('console').slice(-2000)}`);
  };
  let last: Promise<unknown> = expect('ready', BOOT_MS);
  let count = 0;
  const run = (line: string): Promise<ShellResult> => {
    const next = last.then(async () => {
      count += 1;
      qemu.stdin?.write(`${count} ${Buffer.from(line).toString('base64')}\n`);
      const [, exit, out] = await expect(`${count} ([0-9]+) ([A-Za-z0-9+/=]*)`, COMMAND_MS);
      return { exit: Number(exit), out: Buffer.from(out ?? '', 'base64').toString() };
    });
    last = next;
    return next;
  };
  const does = async (line: string): Promise<string> => {
    const { exit, out } = await run(line);
    if (exit !== 0) throw new Error(`${name}: ${line}: exit ${exit}: ${out}`);
    return out;
  };
  return {
    name,
    address,
    run,
    does,
    console: () => read('console'),
    close: async () => {
      await ended(qemu);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Gives the next line that the guest has written; undefined after a time, and at its end. */
function answersOf(qemu: ChildProcess): (ms: number) => Promise<string | undefined> {
  const lines: string[] = [];
  let wake: (() => void) | undefined;
  let over = false;
  if (qemu.stdout === null) throw new Error('its output is read');
  createInterface({ input: qemu.stdout })
    .on('line', (line) => {
      lines.push(line);
      wake?.();
    })
    .on('close', () => {
      over = true;
      wake?.();
    });
  return async (ms) => {
    if (lines.length === 0 && !over) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return lines.shift();
  };
}

async function ended(qemu: ChildProcess): Promise<void> {
  if (qemu.exitCode !== null || qemu.signalCode !== null) return;
  const gone = new Promise((resolve) => qemu.once('exit', resolve));
  qemu.kill('SIGKILL');
  await gone;
}
