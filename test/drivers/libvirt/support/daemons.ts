/** Two hosts of libvirt on this machine: a daemon each, in mounts of its own, with addresses of the loopback device. */
import { execFile, spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { guestImage } from '../../../../lab/image/initramfs.ts';
import { libvirtOptions, type LibvirtOptions } from '../../../../src/drivers/libvirt/options.ts';
import { until } from '../../../until.ts';
import {
  configure,
  LIBVIRT_QEMU,
  logOf,
  otherLibvirt,
  PLACES,
  type Daemon,
} from './daemon-files.ts';

const run = promisify(execFile);
const ENDS_WITH_US = ['--pdeathsig', 'TERM'];
const START_MS = 30_000;
const BOOT_MS = 60_000;
/** By host: a directory with the unpacked packages of another libvirt than this machine's, which may be a root of their own. */
export type Prefixes = Readonly<Partial<Record<'a' | 'b', string | undefined>>>;

/** Whoever runs a test may have it run with other versions than it asks for. */
const ASKED_FOR: Prefixes = {
  a: process.env['LIBVIRT_PREFIX_A'],
  b: process.env['LIBVIRT_PREFIX_B'],
};

export class LibvirtHosts {
  readonly dir: string;
  readonly daemons: readonly Daemon[];
  readonly #prefixes: Readonly<Record<string, string | undefined>>;

  private constructor(dir: string, prefixes: Prefixes) {
    this.dir = dir;
    this.#prefixes = prefixes;
    // Of their own: other files' hosts listen at the same ports.
    const network = `127.${randomInt(64, 255)}.${randomInt(255)}`;
    this.daemons = ['a', 'b'].map((name, index) => ({
      name,
      address: `${network}.${index + 1}`,
      root: path.join(dir, name),
      process: undefined,
    }));
  }

  static async open(prefixes: Prefixes = ASKED_FOR): Promise<LibvirtHosts> {
    const hosts = new LibvirtHosts(mkdtempSync(path.join(tmpdir(), 'godwit-lv-')), prefixes);
    try {
      await Promise.all(hosts.daemons.map(({ name }) => hosts.up(name)));
      return hosts;
    } catch (thrown) {
      await hosts.close();
      throw thrown;
    }
  }

  /** Where each host has a directory of its own for images. */
  get disks(): string {
    return path.join(this.dir, 'disks');
  }

  /** A pool of a host's images. */
  async pool(host: string): Promise<void> {
    await this.virsh(host, 'pool-create-as', 'disks', 'dir', '--target', this.disks);
  }

  /** What lies among a host's images, by name. */
  images(host: string): string[] {
    const isFirst = this.daemon(host) === this.daemons[0];
    return readdirSync(isFirst ? this.disks : path.join(this.daemon(host).root, 'disks'));
  }

  daemon(name: string): Daemon {
    const found = this.daemons.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no host ${name}`);
    return found;
  }

  /** As an agent of that host is configured. */
  options(name: string): LibvirtOptions {
    return libvirtOptions.parse({
      uri: this.uri(name),
      tls: false,
      hosts: Object.fromEntries(
        this.daemons.map((each) => [each.name, { uri: `qemu+tcp://${each.address}/system` }]),
      ),
    });
  }

  uri(name: string): string {
    return `qemu+unix:///system?socket=${this.daemon(name).root}/run/libvirt/libvirt-sock`;
  }

  /** Starts the daemon of a host; its guests, where it had some, have gone on. */
  async up(name: string): Promise<void> {
    const daemon = this.daemon(name);
    configure(daemon, this.daemons.indexOf(daemon));
    mkdirSync(this.disks, { recursive: true });
    mkdirSync(path.join(daemon.root, 'disks'), { recursive: true });
    const packages = this.#prefixes[name];
    const other =
      packages === undefined ? undefined : otherLibvirt(packages, daemon.root, this.dir);
    const { seen = [], below = '', program = 'libvirtd' } = other ?? {};
    const binds = [...PLACES, ...Object.keys(LIBVIRT_QEMU)].map(
      (place) => `mount --bind ${daemon.root}/${place} ${below}/${place}`,
    );
    // The first host's images are where its agent sees them too.
    if (daemon !== this.daemons[0])
      binds.push(`mount --bind ${daemon.root}/disks ${below}${this.disks}`);
    const steps = ['mount --make-rprivate /', ...seen, ...binds, `hostname lv-${name}`];
    const script = `${steps.join(' && ')} && exec ${program} --listen`;
    // It ends with this process, however that ends.
    const child = spawn('setpriv', [...ENDS_WITH_US, 'unshare', '-m', '-u', 'sh', '-c', script], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    daemon.process = child;
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
    await until(`libvirtd of ${name}`, START_MS, async () => {
      if (child.exitCode !== null)
        throw new Error(`libvirtd of ${name} ended: ${said}\n${logOf(daemon)}`);
      return this.virsh(name, 'version').catch(() => undefined);
    });
  }

  /** The words that start a program where it sees the files of a host as that host's daemon does. */
  within(name: string): string[] {
    const { process: running } = this.daemon(name);
    if (running?.pid === undefined) throw new Error(`libvirtd of ${name} does not run`);
    return ['nsenter', `--mount=/proc/${running.pid}/ns/mnt`, '--'];
  }

  /** Ends the daemon of a host at once; its guests go on. */
  async down(name: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const daemon = this.daemon(name);
    const child = daemon.process;
    daemon.process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  /** libvirt's own client: the witness. */
  async virsh(host: string, ...words: readonly string[]): Promise<string> {
    const { stdout } = await run('virsh', ['-c', this.uri(host), ...words], { timeout: START_MS });
    return stdout.trim();
  }

  /** The lab’s, where both daemons see it. */
  async #image(): Promise<{ kernel: string; initramfs: string }> {
    const image = await guestImage();
    const kernel = path.join(this.dir, 'kernel');
    const initramfs = path.join(this.dir, 'initramfs');
    await Promise.all([copyFile(image.kernel, kernel), copyFile(image.initramfs, initramfs)]);
    return { kernel, initramfs };
  }

  /** Boots a guest of the lab, without disks and networks, and waits until its memory is in use. */
  async guest(
    host: string,
    name: string,
    { isPersistent = false, memoryMib = 192, dirtyMib = 8, image = '' } = {},
  ): Promise<string> {
    const uuid = randomUUID();
    const { kernel, initramfs } = await this.#image();
    const log = path.join(this.dir, `${name}.log`);
    // What an earlier guest of that name said there is not said by this one.
    rmSync(log, { force: true });
    const words = [
      'console=ttyS0 quiet panic=-1 ipv6.disable=1 mitigations=off random.trust_cpu=on',
      `godwit.ip=10.0.0.1/24 godwit.static=8192 godwit.dirty=${dirtyMib * 1024}`,
      `godwit.rate=${dirtyMib * 1024 * 1024}`,
    ];
    const xml = `
<domain type='qemu'>
  <name>${name}</name><uuid>${uuid}</uuid>
  <memory unit='MiB'>${memoryMib}</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type>
    <kernel>${kernel}</kernel><initrd>${initramfs}</initrd><cmdline>${words.join(' ')}</cmdline></os>
  <cpu mode='custom' match='exact'><model>qemu64</model></cpu>
  <devices>
    <serial type='file'><source path='${log}' append='on'/></serial>
    <memballoon model='virtio'/>${diskXml(image)}
  </devices>
</domain>`;
    const file = path.join(this.dir, `${name}.xml`);
    writeFileSync(file, xml);
    if (isPersistent) {
      await this.virsh(host, 'define', file);
      await this.virsh(host, 'start', name);
    } else await this.virsh(host, 'create', file);
    await until(`${name} to boot`, BOOT_MS, async () => {
      try {
        return readFileSync(log, 'utf8').includes('godwit: ready') ? true : undefined;
      } catch {
        return undefined;
      }
    });
    return uuid;
  }

  /** What libvirt says of a guest at a host: `running`, `paused`, `shut off`; `absent` where it knows none. */
  async state(host: string, name: string): Promise<string> {
    return this.virsh(host, 'domstate', name).catch(() => 'absent');
  }

  /** How many migrations of a guest at a there have been: those for which b has started a QEMU, and one that begins. */
  async tasks(name: string): Promise<number> {
    const file = path.join(this.daemon('b').root, 'var/log/libvirt/qemu', `${name}.log`);
    const log = await readFile(file, 'utf8').catch(() => '');
    const arrived = log.split('starting up').length - 1;
    if (arrived > 0) return arrived;
    const job = await this.virsh('a', 'domjobinfo', name).catch(() => 'None');
    return job.includes('None') ? 0 : 1;
  }

  /** A definition of that name, of another guest that does not run. */
  async define(host: string, name: string, uuid: string = randomUUID()): Promise<void> {
    const file = path.join(this.dir, `${name}-other.xml`);
    const os = `<os><type arch='x86_64' machine='q35'>hvm</type></os>`;
    writeFileSync(
      file,
      `<domain type='qemu'><name>${name}</name><uuid>${uuid}</uuid><memory unit='MiB'>64</memory>${os}</domain>`,
    );
    await this.virsh(host, 'define', file);
  }

  /** What libvirt remembers of a snapshot; nothing is kept of the guest itself. */
  async snapshot(host: string, name: string): Promise<void> {
    const file = path.join(this.dir, `${name}-snapshot.xml`);
    const words = '<name>before</name><state>shutoff</state><creationTime>1</creationTime>';
    const domain = await this.virsh(host, 'dumpxml', name);
    writeFileSync(file, `<domainsnapshot>${words}${domain}</domainsnapshot>`);
    await this.virsh(host, 'snapshot-create', name, file, '--redefine');
  }

  async destroy(name: string): Promise<void> {
    for (const { name: host } of this.daemons) {
      await this.virsh(host, 'destroy', name).catch(() => undefined);
      await this.virsh(host, 'undefine', name).catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    for (const { name } of this.daemons) {
      const all = await this.virsh(name, 'list', '--name').catch(() => '');
      for (const guest of all.split('\n').filter((each) => each !== '')) await this.destroy(guest);
      await this.down(name, 'SIGTERM');
    }
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

function diskXml(file: string): string {
  if (file === '') return '';
  return `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${file}'/><target dev='vda' bus='virtio'/></disk>`;
}
