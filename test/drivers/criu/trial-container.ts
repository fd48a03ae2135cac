import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { readFileSync } from 'node:fs';
import { handleOf } from '../../../src/drivers/criu/handle.ts';
import { mountsBelow } from '../../../src/drivers/criu/files/mounts.ts';
import type { DirectDriver } from '../../../src/port/direct.ts';
import { driverNamed, isManaged } from '../../../src/drivers/registry.ts';
import { removeTree } from '../../../src/system/files/remove-tree.ts';
import { runCommand } from '../../../lab/command.ts';
import { layerDirectory } from '../../../lab/container/layer.ts';
import type { ContainerBind, ContainerProgram } from '../../../lab/container/config.ts';
import { bringContainers } from './bring.ts';
import { labRunc, launchContainer, removeContainer } from '../../../lab/container/launch.ts';
import { splitAddress } from '../../../src/protocol/names.ts';
import type { TrialSite } from '../../conformance/trial.ts';
import { loopbackTls } from '../loopback-tls.ts';

const MIB = 1024 ** 2;
let number = 0;

export interface ContainerSite extends TrialSite {
  readonly directory: string;
  /** What runc lists at either side. */
  listed(host: 'a' | 'b'): Promise<string>;
}

/** What a test has in the place of the lab's own container. */
export interface Differs {
  readonly program?: ContainerProgram;
  readonly binds?: readonly ContainerBind[];
  /** Of `drivers.criu`. */
  readonly section?: Readonly<Record<string, unknown>>;
}

/** A container on one runc, and another runc for it; both on this machine, over its loopback with TLS. */
export async function makeContainerSite(differs: Differs = {}): Promise<ContainerSite> {
  // Before the driver is made: it looks for them then.
  await bringContainers();
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-criu-'));
  const own = `${process.pid}-${number++}`;
  const [guest, netns] = [`box-${own}`, `gt-${own}`];
  const credentials = await loopbackTls(directory);
  const root = (host: string): string => path.join(directory, host, 'runc');
  const driver = async (name: string): Promise<DirectDriver> => {
    const section = {
      root: root(name),
      layerDirs: [layerDirectory()],
      otherRoots: [],
      ...differs.section,
    };
    const made = await driverNamed('criu', {
      name,
      stateDir: path.join(directory, name),
      drivers: { criu: section },
    });
    assert.ok(!isManaged(made));
    return made;
  };
  const dir = path.join(directory, 'a', 'box');
  await runCommand(['ip', 'netns', 'add', netns]);
  await runCommand(['ip', '-n', netns, 'link', 'set', 'lo', 'up']);
  await launchContainer({
    name: guest,
    root: root('a'),
    dir,
    netns,
    cgroup: `/godwit-test-${guest}`,
    staticBytes: 8 * MIB,
    dirtyBytes: 4 * MIB,
    dirtyBytesPerSecond: 1 * MIB,
    program: differs.program,
    binds: differs.binds,
  });
  const links = new Set<net.Socket>();
  const servers = new Set<net.Server>();
  return {
    directory,
    listed: (host) => labRunc(root(host), ['list', '-q']),
    source: await driver('a'),
    destination: await driver('b'),
    sourceHost: 'a',
    destinationOptions: {
      host: 'b',
      guest,
      migration: 'trial',
      guestDir: path.join(directory, 'b', 'guests', guest),
      networks: {},
      listenHost: '127.0.0.1',
      ports: { from: 49_300, to: 49_400 },
    },
    guest,
    ghost: (handle) => {
      const { init, ...rest } = handleOf(handle);
      assert.ok(init);
      return { ...rest, init: { ...init, pid: 2 ** 22 + 1 } };
    },
    slow: 4 * MIB,
    credentials: { source: await credentials('a', 'b'), destination: await credentials('b', 'a') },
    route: (address) => relay(address, links, servers),
    breakLink: async () => {
      for (const link of links) link.destroy();
    },
    async dispose() {
      for (const link of links) link.destroy();
      for (const server of servers) server.close();
      await removeContainer({ name: guest, root: root('a'), dir });
      await labRunc(root('b'), ['delete', '--force', guest]).catch(() => undefined);
      for (const at of mountsBelow(readFileSync('/proc/self/mountinfo', 'utf8'), directory)) {
        await runCommand(['umount', at]);
      }
      await runCommand(['ip', 'netns', 'delete', netns]);
      await removeTree(directory);
    },
  };
}

/** Hands bytes on from a port of its own, so that the link can be broken. */
async function relay(
  address: string,
  links: Set<net.Socket>,
  servers: Set<net.Server>,
): Promise<string> {
  const { host, port } = splitAddress(address);
  const server = net.createServer((near) => {
    const far = net.connect({ host, port });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      links.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
      one.pipe(other);
    }
  });
  servers.add(server);
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const at = server.address();
  assert.ok(at !== null && typeof at !== 'string');
  return `127.0.0.1:${at.port}`;
}
