import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { LIBVIRT_PARTS, libvirtProgram } from '../../../../lab/libvirt/packages.ts';

/** What a daemon of libvirt has of the file system as its own, and how it is configured there. */

/** Each a daemon’s own. The whole of /var: where libvirt was never set up, its directories there are not made. */
export const PLACES = ['etc/libvirt', 'var', 'run'];

/** With the user that Debian’s libvirt wants to exist, also where it uses another. */
export const LIBVIRT_QEMU = {
  'etc/passwd': 'libvirt-qemu:x:64055:64055::/:/bin/false',
  'etc/group': 'libvirt-qemu:x:64055:',
};

export interface Daemon {
  readonly name: string;
  readonly address: string;
  /** What it has of the file system as its own. */
  readonly root: string;
  process: ChildProcess | undefined;
}

export function configure({ address, root }: Daemon, index: number): void {
  for (const place of [...PLACES, 'var/log/libvirt', 'var/lib', 'var/cache']) {
    mkdirSync(path.join(root, place), { recursive: true });
  }
  const daemon = [
    'listen_tls = 0',
    'listen_tcp = 1',
    `listen_addr = "${address}"`,
    'auth_tcp = "none"',
    'auth_unix_rw = "none"',
    'auth_unix_ro = "none"',
    `host_uuid = "00000000-0000-4000-9000-00000000000${index + 1}"`,
    `log_outputs = "3:file:/var/log/libvirt/libvirtd.log"`,
  ];
  const first = 49_300 + index * 64;
  const qemu = [
    'user = "root"',
    'group = "root"',
    'dynamic_ownership = 0',
    'remember_owner = 0',
    'security_driver = "none"',
    'cgroup_controllers = [ ]',
    'namespaces = [ ]',
    'stdio_handler = "file"',
    `migration_address = "${address}"`,
    `migration_host = "${address}"`,
    `migration_port_min = ${first}`,
    `migration_port_max = ${first + 63}`,
  ];
  writeFileSync(path.join(root, 'etc/libvirt/libvirtd.conf'), `${daemon.join('\n')}\n`);
  writeFileSync(path.join(root, 'etc/libvirt/qemu.conf'), `${qemu.join('\n')}\n`);
  for (const [file, line] of Object.entries(LIBVIRT_QEMU)) {
    writeFileSync(path.join(root, file), `${readFileSync(`/${file}`, 'utf8')}${line}\n`);
  }
}

export function logOf({ root }: Daemon): string {
  try {
    return readFileSync(path.join(root, 'var/log/libvirt/libvirtd.log'), 'utf8').slice(-4000);
  } catch {
    return '';
  }
}

/** How another libvirt takes the place of this machine's, among the mounts of one daemon. */
export interface OtherLibvirt {
  /** Before what the daemon has as its own is mounted below `below`. */
  readonly seen: readonly string[];
  readonly below: string;
  readonly program: string;
}

/** `shared`: a directory of this machine that its guests see under the same name. */
export function otherLibvirt(packages: string, root: string, shared: string): OtherLibvirt {
  // They may lie below /var, which the daemon has of its own.
  const own = path.join(root, 'packages');
  mkdirSync(own, { recursive: true });
  const bound = `mount --bind ${packages} ${own}`;
  // Those of another release are a root of their own.
  if (existsSync(path.join(packages, 'usr/bin/qemu-system-x86_64'))) {
    const system = ['mount -t proc proc', 'mount --rbind /sys', 'mount --rbind /dev'];
    const places = ['proc', 'sys', 'dev'].map((place, index) => `${system[index]} ${own}/${place}`);
    const tmp = `mount -t tmpfs tmpfs ${own}/tmp`;
    const seen = [`mkdir -p ${own}${shared}`, `mount --bind ${shared} ${own}${shared}`];
    return {
      seen: [bound, ...places, tmp, ...seen],
      below: own,
      program: `chroot ${own} /usr/sbin/libvirtd`,
    };
  }
  const parts = LIBVIRT_PARTS.map((part) => `mount --bind ${own}/${part} /${part}`);
  return {
    seen: [bound, ...parts],
    below: '',
    program: libvirtProgram(own, 'sbin', ['libvirtd']).join(' '),
  };
}
