import { rm } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../../src/clock.ts';
import { godwitError } from '../../../src/errors.ts';
import { runCommand } from '../../../lab/command.ts';
import { containerLayer } from '../../../lab/container/layer.ts';
import {
  recordGuest,
  releaseGuest,
  reserveGuest,
  type LabGuest,
} from '../../../lab/guest/registry.ts';
import { verifyGuest } from '../../../lab/guest/talk.ts';
import { checkGuestName, guestAddress, macAddress } from '../../../lab/plan.ts';
import type { Lab } from '../../../lab/state.ts';
import { NETWORK, podmanOn } from '../../../lab/podman/hosts.ts';

/** The lab's workload as a container of podman. */

const IMAGE = 'localhost/lab/workload:1';
const IMAGE_MS = 180_000;
const READY_MS = 60_000;

export interface PodmanRequest {
  readonly name: string;
  readonly host: string;
  readonly runtime: 'runc' | 'crun';
  readonly staticBytes: number;
  readonly dirtyBytes: number;
  readonly dirtyBytesPerSecond: number;
  /** Further options of `podman run`. */
  readonly options?: readonly string[];
}

/** Gives each host the same image, by its id. */
export async function bringImage(lab: Lab): Promise<void> {
  const [first = '', ...others] = lab.hosts;
  const archive = path.join(lab.dir, 'image.tar');
  try {
    await runCommand(['tar', '-C', await containerLayer(), '-cf', archive, '.'], {
      deadlineMs: IMAGE_MS,
    });
    await podmanOn(lab, first, ['import', archive, IMAGE], IMAGE_MS);
    await rm(archive);
    if (others.length > 0) await podmanOn(lab, first, ['save', '-o', archive, IMAGE], IMAGE_MS);
    for (const host of others) await podmanOn(lab, host, ['load', '-i', archive], IMAGE_MS);
  } finally {
    await rm(archive, { force: true });
  }
}

export interface PodmanGuest extends LabGuest {
  /** As podman has it. */
  readonly id: string;
  /** As Godwit lists it. */
  readonly guest: string;
}

/** Starts a container and waits until its workload answers. */
export async function startPodman(lab: Lab, request: PodmanRequest): Promise<PodmanGuest> {
  const { host, runtime, options = [], ...load } = request;
  const name = checkGuestName(request.name);
  const index = await reserveGuest(lab, name, host);
  const [address, mac] = [guestAddress(index), macAddress(`${lab.name}/${name}`)];
  const guest: LabGuest = {
    index,
    startedOn: host,
    address,
    mac,
    uuid: '00000000-0000-8000-8000-000000000000',
    memoryBytes: load.staticBytes + load.dirtyBytes,
    ...load,
    name,
    qemuVersion: 'none',
    machineType: 'podman',
    accelerator: 'none',
  };
  const words = [load.staticBytes, load.dirtyBytes, load.dirtyBytesPerSecond].map(String);
  const network = ['--network', NETWORK, '--ip', address, '--mac-address', mac];
  const env = ['-e', 'LD_LIBRARY_PATH=/lib', '-e', 'PATH=/bin'];
  const own = ['-d', '--name', name, ...network, ...env, ...options];
  const program = ['/bin/node', '/workload.ts', ...words];
  try {
    const argv = ['--runtime', runtime, 'run', ...own, IMAGE, ...program];
    const id = (await podmanOn(lab, host, argv)).trim();
    await recordGuest(lab, guest);
    await untilItAnswers(lab, name);
    return { ...guest, id, guest: `${name}-${id.slice(0, 12)}` };
  } catch (error) {
    await podmanOn(lab, host, ['rm', '-f', '-t', '0', '-i', name]).catch(() => undefined);
    await releaseGuest(lab, name, index);
    throw error;
  }
}

async function untilItAnswers(lab: Lab, name: string): Promise<void> {
  const start = systemClock.monotonicMs();
  for (;;) {
    try {
      await verifyGuest(lab, name, { deadlineMs: 5000 });
      return;
    } catch (cause) {
      if (systemClock.monotonicMs() - start > READY_MS) {
        const what = `container ${name} does not answer`;
        throw godwitError('GODWIT_LAB', { what }, { cause });
      }
    }
    await systemClock.sleep(100);
  }
}
