import assert from 'node:assert/strict';
import { handleOf } from '../../src/drivers/qemu/handle.ts';
import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { promisify } from 'node:util';
import { access, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { once } from 'node:events';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { splitAddress } from '../../src/protocol/names.ts';
import { cacheDirectory } from '../../src/system/files/cache-directory.ts';
import { driverNamed, isManaged } from '../../src/drivers/registry.ts';
import { bootTinyGuest, type TinyGuest } from '../drivers/qemu/tiny-guest.ts';
import type { TrialSite } from './trial.ts';
import { loopbackTls } from '../drivers/loopback-tls.ts';

const MIB = 1024 * 1024;

export interface QemuOfMachine {
  readonly file: string;
  readonly version: string;
}

/** QEMU programs of this machine: the system's, and those that setup has unpacked. */
export async function qemuPrograms(): Promise<QemuOfMachine[]> {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  const unpacked = globSync(path.join(cacheDirectory(), 'qemu/*/bin/qemu-system-x86_64'));
  const candidates = [
    ...folders.map((folder) => path.join(folder, 'qemu-system-x86_64')),
    ...unpacked,
  ];
  const found: QemuOfMachine[] = [];
  for (const file of new Set(candidates)) {
    const there = await access(file).then(
      () => true,
      () => false,
    );
    if (!there) continue;
    const { stdout } = await promisify(execFile)(file, ['--version']);
    const version = /version (\d+\.\d+)/.exec(stdout)?.[1] ?? '';
    if (!found.some((each) => each.version === version)) found.push({ file, version });
  }
  return found;
}

export interface QemuPlan {
  readonly source: string;
  readonly destination: string;
  readonly machine: string;
  readonly keptMib?: number;
  readonly dirtyMib?: number;
  readonly extra?: readonly string[];
}

export interface QemuPlace extends TrialSite {
  readonly tiny: TinyGuest;
  readonly directory: string;
  /** What the guest wrote to its serial port at the destination. */
  serialThere(): Promise<string>;
}

/** Hands bytes on from a port of its own, until it is told to break what passes. */
class Relay {
  readonly #servers: net.Server[] = [];
  readonly #sockets = new Set<net.Socket>();
  /** The far ends of them. */
  readonly #backs = new Set<net.Socket>();

  async to(address: string): Promise<string> {
    const { host, port } = splitAddress(address);
    const server = net.createServer((near) => {
      const far = net.connect({ host, port });
      this.#backs.add(far);
      far.on('close', () => this.#backs.delete(far));
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one);
        one.on('error', () => other.destroy());
        one.on('close', () => this.#sockets.delete(one));
        one.pipe(other);
      }
    });
    this.#servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const at = server.address();
    if (at === null || typeof at === 'string') throw new Error('no port');
    return `127.0.0.1:${at.port}`;
  }

  /** What comes back is read and lost; what goes on its way goes on. */
  mute(): void {
    for (const socket of this.#backs) socket.unpipe().resume();
  }

  silence(): void {
    for (const socket of this.#sockets) {
      socket.unpipe();
      socket.pause();
    }
  }

  break(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.break();
    for (const server of this.#servers) server.close();
  }
}

let number = 0;

/** A tiny guest on one QEMU, and another QEMU for it; both on this machine, in clear over its loopback but for TLS. */
export async function makeQemuPlace(plan: QemuPlan): Promise<QemuPlace> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-qemu-'));
  const guest = `tiny-${process.pid}-${number++}`;
  const credentials = await loopbackTls(directory);
  const images = path.join(directory, 'images');
  const driver = async (name: string, qemu: string) => {
    const made = await driverNamed('qemu', {
      name,
      stateDir: path.join(directory, name),
      drivers: { qemu: { programs: [qemu], user: 'agent', cgroup: 'none', imageDirs: [images] } },
    });
    assert.ok(!isManaged(made));
    return made;
  };
  await mkdir(images);
  const tiny = await bootTinyGuest({
    binary: plan.source,
    name: guest,
    directory: path.join(directory, 'a'),
    kernel: path.join(images, 'tiny'),
    plan: { keptMib: plan.keptMib ?? 32, dirtyMib: plan.dirtyMib ?? 8 },
    machine: plan.machine,
    ...(plan.extra === undefined ? {} : { extra: plan.extra }),
  });
  const guestDir = path.join(directory, 'b', 'guests', guest);
  const relay = new Relay();
  return {
    tiny,
    directory,
    source: await driver('a', plan.source),
    destination: await driver('b', plan.destination),
    sourceHost: 'a',
    destinationOptions: {
      host: 'b',
      guest,
      guestDir,
      networks: {},
      listenHost: '127.0.0.1',
      ports: { from: 49_600, to: 49_700 },
    },
    guest,
    ghost: (handle) => ({ ...handleOf(handle), pid: 2 ** 22 + 1 }),
    slow: 8 * MIB,
    credentials: { source: await credentials('a', 'b'), destination: await credentials('b', 'a') },
    serialThere: () => readSerial(guestDir),
    route: (address) => relay.to(address),
    breakLink: async () => relay.break(),
    silenceLink: async () => relay.silence(),
    muteReturn: async () => relay.mute(),
    // A monitor serves one client at a time.
    deafen: async (handle) => {
      const { monitor } = handleOf(handle);
      const holder = net.connect({ path: monitor });
      await once(holder, 'data');
      return () => holder.destroy();
    },
    async dispose() {
      relay.close();
      tiny.end();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function readSerial(guestDir: string): Promise<string> {
  return readFile(path.join(guestDir, 'serial.log'), 'latin1').catch(() => '');
}
