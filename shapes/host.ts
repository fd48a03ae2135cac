import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { until } from '../test/until.ts';
import type { FirmwareKind, Host, ImageKind, TpmKind } from './shape.ts';

const run = promisify(execFile);

/** Folders of a host that its lines name; all of them lie below the trial's own root. */
const FOLDERS =
  /(^|[=:"',])\/(?=(?:var|run|etc|srv|mnt|opt|home|tmp|dev\/(?:pve|vg\d|hugepages)|usr\/share\/(?:qemu-server|OVMF|seabios|kvm|pve-edk2-firmware))\/)/g;

/** Of Debian's package `ovmf`. */
const FIRMWARE: Readonly<Record<FirmwareKind, string>> = {
  code: '/usr/share/OVMF/OVMF_CODE_4M.fd',
  'secure-code': '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd',
  variables: '/usr/share/OVMF/OVMF_VARS_4M.fd',
  'variables-qcow2': '/usr/share/OVMF/OVMF_VARS_4M.fd',
};

const TPM_MS = 5000;

/** A word of a line with its paths below `root`. Pure. */
export function below(root: string, word: string): string {
  return word.replaceAll(FOLDERS, (_all, before: string) => `${before}${root}/`);
}

/** What a trial's host has, below a folder of its own; the network is that of this process's namespace. */
export class TrialHost {
  readonly root: string;
  readonly #taps = new Set<string>();
  readonly #loops = new Set<string>();
  readonly #tpms = new Set<ChildProcess>();
  readonly #mounts = new Set<string>();
  #hugePages = 0;
  #made = 0;

  private constructor(root: string) {
    this.root = root;
  }

  static async make(host: Host, words: readonly string[]): Promise<TrialHost> {
    // Short: the paths of unix sockets have 107 bytes.
    const made = new TrialHost(await mkdtemp(path.join(tmpdir(), 'gs-')));
    try {
      await made.#fill(host, words);
      return made;
    } catch (error) {
      await made.remove();
      throw error;
    }
  }

  /** A port for a NIC of the guest at the destination, in that bridge. */
  async port(bridge: string | undefined, multiQueue: boolean): Promise<string> {
    this.#made += 1;
    const name = `gsp${this.#made}`;
    await this.#tap(name, bridge ?? 'br0', multiQueue);
    return name;
  }

  async remove(): Promise<void> {
    for (const each of this.#tpms) each.kill('SIGKILL');
    for (const tap of this.#taps) await run('ip', ['link', 'del', tap]).catch(() => undefined);
    for (const each of this.#loops) await run('losetup', ['--detach', each]).catch(() => undefined);
    for (const each of this.#mounts) await run('umount', [each]).catch(() => undefined);
    if (this.#hugePages > 0) await moreHugePages(-this.#hugePages);
    await rm(this.root, { recursive: true, force: true });
  }

  async #fill(host: Host, words: readonly string[]): Promise<void> {
    for (const word of words) {
      for (const [, file = ''] of word.matchAll(/(?:^|[=:"',])(\/[^,:"']+)/g)) {
        if (below('', file) === file && below('/r', file) !== file) await this.#folderOf(file);
      }
    }
    for (const [file, kind] of Object.entries(host.images ?? {})) await this.#image(file, kind);
    for (const [file, kind] of Object.entries(host.firmware ?? {})) await this.#chip(file, kind);
    for (const [file, text] of Object.entries(host.texts ?? {})) {
      await this.#folderOf(file);
      await writeFile(this.root + file, text, { mode: text.startsWith('#!') ? 0o755 : 0o644 });
    }
    for (const [guest, passphrase] of Object.entries(host.passphrases ?? {})) {
      await mkdir(`${this.root}/keys`, { recursive: true });
      await writeFile(`${this.root}/keys/${guest}`, passphrase, { mode: 0o600 });
    }
    for (const [folder, pages] of Object.entries(host.hugePages ?? {})) {
      await mkdir(this.root + folder, { recursive: true });
      await run('mount', ['-t', 'hugetlbfs', 'none', this.root + folder]);
      this.#mounts.add(this.root + folder);
      await moreHugePages(pages);
      this.#hugePages += pages;
    }
    for (const [socket, kind] of Object.entries(host.tpms ?? {})) await this.#tpm(socket, kind);
    for (const [tap, bridge] of Object.entries(host.taps ?? {}))
      await this.#tap(tap, bridge, false);
    for (const [tap, bridge] of Object.entries(host.multiQueueTaps ?? {}))
      await this.#tap(tap, bridge, true);
  }

  async #folderOf(file: string): Promise<void> {
    await mkdir(path.dirname(this.root + file), { recursive: true });
  }

  async #image(file: string, kind: ImageKind): Promise<void> {
    await this.#folderOf(file);
    if (kind === 'volume' || kind === 'volume-qcow2') return this.#volume(file, kind);
    const at = this.root + file;
    if (kind === 'luks' || kind === 'luks-qcow2') return encrypted(at, kind);
    const words = [...formatWords(this.root, kind), at];
    if (typeof kind !== 'object' || 'dataFile' in kind)
      words.push(kind === 'floppy' ? '1440K' : '16M');
    await run('qemu-img', ['create', '-q', ...words]);
  }

  async #chip(file: string, kind: FirmwareKind): Promise<void> {
    await this.#folderOf(file);
    const at = this.root + file;
    if (!kind.endsWith('-qcow2')) return copyFile(FIRMWARE[kind], at);
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', FIRMWARE[kind], at]);
  }

  /** As its manager starts it: it ends with its QEMU. */
  async #tpm(file: string, kind: TpmKind): Promise<void> {
    const socket = this.root + file;
    const state = `${socket}.state`;
    await mkdir(state, { recursive: true });
    const words = `socket --tpmstate dir=${state} --ctrl type=unixio,path=${socket} --terminate`;
    const key = `${state}/passphrase`;
    if (kind === 'encrypted') await writeFile(key, 'of its owner');
    const more = kind === 'encrypted' ? ['--key', `pwdfile=${key},mode=aes-256-cbc`] : [];
    const version = kind === '1.2' ? [] : ['--tpm2'];
    const argv = [...words.split(' '), ...version, ...more];
    this.#tpms.add(spawn('swtpm', argv, { stdio: 'ignore' }).on('error', () => undefined));
    await until('swtpm to listen', TPM_MS, async () => (existsSync(socket) ? true : undefined));
  }

  /** A loop device of this machine, by a name as its volume group would give it. */
  async #volume(file: string, kind: 'volume' | 'volume-qcow2'): Promise<void> {
    const image = `${this.root}/volume${this.#loops.size}`;
    await run('truncate', ['-s', '16M', image]);
    const { stdout } = await run('losetup', ['--find', '--show', image]);
    const device = stdout.trim();
    this.#loops.add(device);
    if (kind === 'volume-qcow2')
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', device, '8M']);
    await symlink(device, this.root + file);
  }

  async #tap(name: string, bridge: string, multiQueue: boolean): Promise<void> {
    if (bridge !== '') {
      await run('ip', ['link', 'show', bridge]).catch(async () => {
        await run('ip', ['link', 'add', bridge, 'type', 'bridge']);
        await run('ip', ['link', 'set', bridge, 'up']);
      });
    }
    const queues = multiQueue ? ['multi_queue'] : [];
    await run('ip', ['tuntap', 'add', 'dev', name, 'mode', 'tap', ...queues]);
    this.#taps.add(name);
    await run('ip', ['link', 'set', name, 'up', ...(bridge === '' ? [] : ['master', bridge])]);
  }
}

const HUGE_PAGES = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages';

/** Of the whole machine, for as long as a trial lasts. */
async function moreHugePages(pages: number): Promise<void> {
  const before = Number(await readFile(HUGE_PAGES, 'utf8'));
  await writeFile(HUGE_PAGES, String(before + pages));
  const after = Number(await readFile(HUGE_PAGES, 'utf8'));
  if (after < before + pages) throw new Error(`this machine has room for ${after} huge pages`);
}

const MAX_TRIES = 20;

/** A passphrase that everybody may know, in an image that takes no time to open. */
const PASSPHRASE = 'of-its-owner';

/** How qemu-img is given the format of an image. */
function formatWords(root: string, kind: ImageKind): string[] {
  if (typeof kind !== 'object') {
    return ['-f', kind === 'qcow2' || kind === 'vmdk' ? kind : 'raw'];
  }
  if ('backing' in kind) return ['-f', 'qcow2', '-F', 'qcow2', '-b', root + kind.backing];
  return ['-f', 'qcow2', '-o', `data_file=${root}${kind.dataFile},data_file_raw=on`];
}

async function encrypted(at: string, kind: 'luks' | 'luks-qcow2'): Promise<void> {
  const secret = ['--object', `secret,id=s0,data=${PASSPHRASE}`];
  const how =
    kind === 'luks'
      ? ['-f', 'luks', '-o', 'key-secret=s0,iter-time=10']
      : ['-f', 'qcow2', '-o', 'encrypt.format=luks,encrypt.key-secret=s0,encrypt.iter-time=10'];
  // It times itself, and gives up where its clock has not moved yet: on a busy machine that happens.
  for (let tries = 1; ; tries++) {
    try {
      await run('qemu-img', ['create', '-q', ...secret, ...how, at, '16M']);
      return;
    } catch (error) {
      const isTimed = error instanceof Error && /accurate CPU usage/.test(error.message);
      if (tries === MAX_TRIES || !isTimed) throw error;
    }
  }
}
