import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../../src/errors.ts';
import { runCommand } from '../command.ts';
import { systemClock } from '../../src/clock.ts';
import { recordGuest, releaseGuest, reserveGuest, type LabGuest } from '../guest/registry.ts';
import { verifyGuest } from '../guest/talk.ts';
import { checkGuestName, guestAddress, HOST_BRIDGE, macAddress, tapName } from '../plan.ts';
import { labHost, type Lab } from '../state.ts';
import type { ContainerBind, ContainerLoad } from './config.ts';
import { launchContainer, removeContainer } from './launch.ts';
import { containerNetns, runcRoot } from './places.ts';

const READY_MS = 30_000;

const configFile = z.looseObject({ drivers: z.looseObject({ criu: z.unknown() }).optional() });

interface StartRequest extends ContainerLoad {
  readonly name: string;
  readonly host: string;
  /** It writes numbered lines into /data where that is one of them. */
  readonly binds?: readonly ContainerBind[];
}

/**
 * Starts a container on a host of a lab that was built for containers, and waits until the lab's workload answers; a
 * program of the caller's is not waited for. GODWIT_LAB where the lab was not built for containers, GODWIT_HOST_LACKS where runc and CRIU are missing; nothing is left of one that did not come up.
 */
export async function startContainer(
  lab: Lab,
  { name: given, host, binds, program, ...load }: StartRequest,
): Promise<LabGuest> {
  const name = checkGuestName(given);
  const { namespace, stateDir, configFile: file } = labHost(lab, host);
  const config = configFile.parse(JSON.parse(await readFile(file, 'utf8')));
  if (config.drivers?.criu === undefined) {
    const hint = `Take it down and build it anew: godwit lab down, godwit lab up --containers.`;
    const what = `lab ${lab.name} was not built for containers`;
    throw godwitError('GODWIT_LAB', { what }, { hint });
  }
  const index = await reserveGuest(lab, name, host);
  const [address, mac, port] = [
    guestAddress(index),
    macAddress(`${lab.name}/${name}`),
    tapName(index),
  ];
  const netns = containerNetns(lab.name, name);
  const place = { name, root: runcRoot(stateDir), dir: path.join(stateDir, 'boxes', name) };
  const guest: LabGuest = {
    name,
    index,
    startedOn: host,
    address,
    mac,
    uuid: '00000000-0000-8000-8000-000000000000',
    memoryBytes: load.staticBytes + load.dirtyBytes,
    ...load,
    qemuVersion: 'none',
    machineType: 'container',
    accelerator: 'none',
  };
  const ip = (...words: string[]) => runCommand(['ip', ...words]);
  try {
    await ip('netns', 'add', netns);
    await ip('-n', netns, 'link', 'set', 'lo', 'up');
    const peer = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', netns];
    await ip('-n', namespace, 'link', 'add', port, ...peer);
    await ip('-n', namespace, 'link', 'set', port, 'master', HOST_BRIDGE, 'up');
    await ip('-n', netns, 'link', 'set', 'eth0', 'address', mac);
    await ip('-n', netns, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
    await ip('-n', netns, 'link', 'set', 'eth0', 'up');
    const cgroup = `/godwit-lab-${lab.name}-${name}`;
    await launchContainer({ ...place, netns, cgroup, binds, program, ...load });
    await recordGuest(lab, guest);
    if (program === undefined) await untilItAnswers(lab, name);
    return guest;
  } catch (error) {
    await removeContainer(place).catch(() => undefined);
    await ip('netns', 'delete', netns).catch(() => undefined);
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
    } catch (error) {
      if (systemClock.monotonicMs() - start > READY_MS) throw error;
    }
    await systemClock.sleep(100);
  }
}
