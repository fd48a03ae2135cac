/** Debian 13 with its PostgreSQL as a guest: UEFI firmware boots it from a disk of its host alone, and it has a TPM. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { cacheDirectory } from '../../../src/system/files/cache-directory.ts';
import { isAlive } from '../../../src/system/processes/process.ts';
import { runCommand } from '../../../lab/command.ts';
import { inHost } from '../../../lab/entry.ts';
import { labEnvironment } from '../../../lab/environment.ts';
import { guestFiles } from '../../../lab/guest/argv.ts';
import { chooseQemu, defaultMachineType } from '../../../lab/guest/qemu.ts';
import { reserveGuest } from '../../../lab/guest/registry.ts';
import { guestPortSteps } from '../../../lab/guest-port.ts';
import { buildNetwork } from '../../../lab/namespaces.ts';
import {
  CLIENT_ADDRESS,
  COMMAND_PORT,
  guestAddress,
  guestUuid,
  macAddress,
  tapName,
} from '../../../lab/plan.ts';
import { startDetached } from '../../../lab/processes.ts';
import { labHost, PASSABLE, storageDirectory, type Lab } from '../../../lab/state.ts';
import { until } from '../../until.ts';
import type { World } from './world.ts';

const IMAGE = path.join(cacheDirectory(), 'guest/debian/disk.qcow2');
/** Where Debian's package `ovmf` has it, which setup brings. */
const CODE = '/usr/share/OVMF/OVMF_CODE_4M.fd';
const NEW_STORE = '/usr/share/OVMF/OVMF_VARS_4M.fd';
const SWTPM = '/usr/bin/swtpm';
/** Firmware, kernel and database under emulation, on a busy machine. */
const BOOT_MS = 240_000;
const COMMAND_MS = 60_000;

/** Why none can be had here; undefined where it can. Making its disk takes longer than a test may. */
export function lacksDebianGuest(): string | undefined {
  const missing = [CODE, SWTPM].find((each) => !existsSync(each));
  if (missing !== undefined) return `${missing} is not there`;
  if (existsSync(IMAGE)) return undefined;
  return 'its disk takes minutes to make: run `tools/setup.sh --only debian-guest` first';
}

export interface DebianGuest {
  readonly name: string;
  readonly address: string;
  /** Its files on a host: the disk and the store of its firmware's variables. */
  files(host: string): { readonly disk: string; readonly store: string };
  /** Runs a shell's command line in it as root; what it printed. Rejects where it fails. */
  does(line: string): Promise<string>;
  /** Resolves once it answers, in a boot that is another than this. */
  untilUp(than?: string): Promise<string>;
}

/** As its owner starts it by hand: swtpm first. */
export async function startDebianGuest(
  world: World,
  name: string,
  host: string,
): Promise<DebianGuest> {
  const { lab } = world;
  const index = await reserveGuest(lab, name, host);
  const address = guestAddress(index);
  const files = (on: string): { disk: string; store: string } => {
    const directory = path.join(storageDirectory(lab, on), name);
    return { disk: path.join(directory, 'disk.qcow2'), store: path.join(directory, 'VARS.fd') };
  };
  const { disk, store } = files(host);
  await mkdir(path.dirname(disk), { recursive: true, mode: PASSABLE });
  await copyFile(IMAGE, disk);
  await copyFile(NEW_STORE, store);
  const tap = tapName(index);
  await buildNetwork(lab, guestPortSteps(lab, host, tap, { address }), undefined);
  // The lab's own route times its client for what no real one has.
  const route = ['ip', 'route', 'replace', address, 'dev', 'eth0', 'src', CLIENT_ADDRESS];
  await runCommand(inHost(lab, 'client', route));
  const tpm = await startTpm(lab, host, name);
  const dir = path.join(labHost(lab, host).stateDir, 'guests', name);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const qemu = await chooseQemu(undefined);
  const machine = await defaultMachineType(qemu);
  const own = { name, uuid: guestUuid(lab.name, name), mac: macAddress(`${lab.name}/${name}`) };
  const argv = [qemu.path, ...argvOf({ ...own, machine, address, tap, disk, store, tpm, dir })];
  const { log, serialLog } = guestFiles(dir);
  const started = await startDetached(inHost(lab, host, argv), {
    logFile: log,
    env: labEnvironment(lab),
  });
  const { does, bootId } = shellOf(lab, address);
  const untilUp = (than?: string): Promise<string> =>
    until(`${name} to be up`, BOOT_MS, async () => {
      const id = await bootId();
      return id === than ? undefined : id;
    });
  await until(`${name} to be up`, BOOT_MS, async () => {
    if (isAlive(started)) return bootId();
    throw new Error(`QEMU ended: ${await readFile(log, 'utf8')}`);
  }).catch(async (error: unknown) => {
    const console = await readFile(serialLog, 'utf8').catch(() => '');
    throw new Error(`${String(error)}\n${console.slice(-2000)}`, { cause: error });
  });
  return { name, address, files, does, untilUp };
}

async function startTpm(lab: Lab, host: string, name: string): Promise<string> {
  const dir = path.join(lab.dir, 'swtpm', name);
  await mkdir(dir, { recursive: true });
  const socket = `${dir}/sock`;
  const argv = `${SWTPM} socket --tpm2 --tpmstate dir=${dir} --ctrl type=unixio,path=${socket}`;
  await startDetached(inHost(lab, host, argv.split(' ')), {
    logFile: `${dir}/log`,
    env: labEnvironment(lab),
  });
  await until('swtpm to listen', 10_000, async () => (existsSync(socket) ? true : undefined));
  return socket;
}

interface Hardware {
  readonly name: string;
  readonly uuid: string;
  readonly mac: string;
  readonly machine: string;
  readonly address: string;
  readonly tap: string;
  readonly disk: string;
  readonly store: string;
  /** swtpm's socket. */
  readonly tpm: string;
  readonly dir: string;
}

function argvOf({ name, uuid, mac, machine, address, tap, disk, store, tpm, dir }: Hardware) {
  const { qmp, witness, serial, serialLog, pid } = guestFiles(dir);
  const rest: readonly (readonly [string, string])[] = [
    ['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${CODE}`],
    ['-drive', `if=pflash,unit=1,format=raw,file=${store}`],
    // Its address, for the script that the disk boots with.
    ['-smbios', `type=1,serial=${address}`],
    ['-drive', `if=none,id=disk0,file=${disk},format=qcow2,cache=none,discard=unmap`],
    ['-device', 'virtio-blk-pci,id=disk0-dev,drive=disk0,bootindex=1'],
    ['-netdev', `tap,id=net0,ifname=${tap},script=no,downscript=no`],
    ['-device', `virtio-net-pci,id=nic0,netdev=net0,mac=${mac},romfile=`],
    ['-object', 'rng-random,id=rng0,filename=/dev/urandom'],
    ['-device', 'virtio-rng-pci,rng=rng0'],
    ['-device', 'virtio-balloon-pci'],
    ['-chardev', `socket,id=chrtpm,path=${tpm}`],
    ['-tpmdev', 'emulator,id=tpm0,chardev=chrtpm'],
    ['-device', 'tpm-crb,tpmdev=tpm0'],
    ['-chardev', `socket,id=serial0,path=${serial},server=on,wait=off,logfile=${serialLog}`],
    ['-serial', 'chardev:serial0'],
    ['-qmp', `unix:${qmp},server=on,wait=off`],
    ['-qmp', `unix:${witness},server=on,wait=off`],
    ['-pidfile', pid],
  ];
  const first = `-name ${name} -uuid ${uuid} -machine ${machine} -accel tcg,thread=multi -cpu max -m 768M -smp 1`;
  return [...`${first} -nodefaults -no-user-config -display none`.split(' '), ...rest.flat()];
}

/** By a port of the guest's that runs lines; asked anew for each, from where the lab's client is. */
function shellOf(lab: Lab, address: string) {
  const tell = async (line: string): Promise<{ exit: number; out: string }> => {
    const words = `exec 3<>/dev/tcp/${address}/${COMMAND_PORT} && echo ${Buffer.from(line).toString('base64')} >&3 && cat <&3`;
    const said = await runCommand(inHost(lab, 'client', ['bash', '-c', words]), {
      deadlineMs: COMMAND_MS,
    });
    const [, exit, out = ''] = /^(\d+) (\S*)$/m.exec(said) ?? [];
    if (exit === undefined) throw new Error(`${line}: it does not answer`);
    return { exit: Number(exit), out: Buffer.from(out, 'base64').toString() };
  };
  const does = async (line: string): Promise<string> => {
    const { exit, out } = await tell(line);
    if (exit !== 0) throw new Error(`${line}: exit ${exit}: ${out}`);
    return out.trim();
  };
  const bootId = (): Promise<string | undefined> =>
    does('cat /proc/sys/kernel/random/boot_id').catch(() => undefined);
  return { does, bootId };
}
