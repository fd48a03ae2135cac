/** A lab of two hosts with libvirt, each with a pool of its own; each run has a guest that libvirt starts. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { labDown } from '../lab/down.ts';
import { managerLacks, POOL, virsh } from '../lab/libvirt/daemon.ts';
import { startDomain, stopDomain } from '../lab/libvirt/guest.ts';
import { ownTree } from '../lab/libvirt/mounts.ts';
import { labHost, type Lab } from '../lab/state.ts';
import { labUp } from '../lab/up.ts';
import type { agentContract } from '../src/protocol/contract.ts';
import type { Api, Client } from '../src/rpc/client.ts';
import type { Ground, StagedGuest } from './ground.ts';
import { sweep } from './hands.ts';
import type { Scene } from './plan.ts';
import { Qmp } from './qmp.ts';
import { agentOf, PREFIX } from './stage.ts';
import { MARK } from './witness.ts';

const MIB = 1024 ** 2;
const SLOTS = 8;
const DISK_BYTES = 24 * MIB;
/** On each host, among its own mounts. */
const MONITORS = '/var/tmp';

export class LibvirtStage implements Ground {
  readonly lab: Lab;
  readonly from = 'a';
  readonly to = 'b';
  readonly #clients = new Map<string, Client<typeof agentContract>>();

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  /** Why there is no such lab on this machine; undefined if there can be. */
  static async lacks(): Promise<string | undefined> {
    return (await managerLacks({ manager: 'libvirt', network: undefined, storage: 'local' }))
      ?.message;
  }

  static async open(lane: number): Promise<LibvirtStage> {
    const name = `${PREFIX}${process.pid.toString(36)}v${lane}`;
    return new LibvirtStage(await labUp({ name, manager: 'libvirt' }));
  }

  async close(): Promise<void> {
    for (const each of this.#clients.values()) each.close();
    await labDown(this.lab.name);
  }

  agent(host: string): Api<typeof agentContract> {
    return agentOf(this.lab, host, this.#clients);
  }

  fileOn(host: string, file: string): string {
    return path.join(ownTree(labHost(this.lab, host)), file);
  }

  guestDirectory(host: string, guest: string): string {
    return this.fileOn(host, path.join(MONITORS, guest));
  }

  ownStorage(host: string): string {
    return this.fileOn(host, POOL.directory);
  }

  manage(host: string, words: readonly string[]): Promise<string> {
    return virsh(this.lab, host, words);
  }

  async boot(name: string, { layout }: Scene): Promise<StagedGuest> {
    for (const host of this.lab.hosts)
      await mkdir(this.guestDirectory(host, name), { recursive: true });
    const own = path.join(this.lab.dir, `${name}-own`);
    await mkdir(own, { recursive: true });
    const monitor = path.join(MONITORS, name, 'qmp-witness.sock');
    const sizes = layout === 'none' ? [] : [false, true];
    const {
      address,
      mac,
      disks: files = [],
    } = await startDomain(this.lab, {
      name,
      host: this.from,
      memoryBytes: 128 * MIB,
      workingSetBytes: 12 * MIB,
      dirtyBytesPerSecond: MIB,
      disks: sizes.map((thin) => ({ bytes: DISK_BYTES, thin })),
      kernelWords: [`godwit.diskslots=${SLOTS}`],
      extraArguments: ['-qmp', `unix:${monitor},server=on,wait=off`],
    });
    const disks = files.map((file, index) => ({
      id: `virtio-disk${index}`,
      file,
      isShared: false,
    }));
    await this.#mark(name, disks);
    const otherMedium = path.join(own, 'second.iso');
    await writeFile(otherMedium, Buffer.alloc(MIB, 'second medium'));
    const devices = ['net0', 'balloon0'];
    return { name, address, mac, qemu: '', disks, devices, own, medium: '', otherMedium };
  }

  async remove({ name, own }: StagedGuest): Promise<void> {
    await stopDomain(this.lab, name);
    sweep(own);
    for (const host of this.lab.hosts) sweep(this.guestDirectory(host, name));
  }

  async #mark(name: string, disks: readonly { readonly id: string }[]): Promise<void> {
    const socket = path.join(this.guestDirectory(this.from, name), 'qmp-witness.sock');
    const monitor = await Qmp.open(socket);
    for (const { id } of disks) {
      // Unflushed, a cluster that the write allocated is known to QEMU alone, and no other reader of the file finds it.
      for (const command of [`write ${MARK}`, 'flush']) {
        const line = `qemu-io -d /machine/peripheral/${id}/virtio-backend "${command}"`;
        const said = await monitor?.ask('human-monitor-command', { 'command-line': line });
        // It prints what it did elsewhere, and here only that it cannot.
        if (said !== '') throw new Error(`no mark on ${id}: ${String(said)}`);
      }
    }
    monitor?.close();
  }
}
