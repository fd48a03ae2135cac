import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { CriuDriver } from '../../../src/drivers/criu/driver.ts';
import type { CriuHandle } from '../../../src/drivers/criu/handle.ts';
import { whyNameInUse } from '../../../src/drivers/criu/host/container-ownership.ts';
import { criuOptions } from '../../../src/drivers/criu/options.ts';
import { Records, type ContainerRecord } from '../../../src/drivers/criu/link/records.ts';
import { hasCode } from '../../../src/errors.ts';
import { bootId, ownIdentity } from '../../../src/system/processes/process.ts';
import { removeTree } from '../../../src/system/files/remove-tree.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-left-'));
});
afterEach(() => removeTree(directory));

const soon = (): AbortSignal => AbortSignal.timeout(10_000);
/** No process has its start. */
const ENDED = { ...ownIdentity(), startTicks: 1, bootId: bootId() };
const HANDLE: CriuHandle = { driver: 'criu', name: 'box', memoryBytes: 1, init: ENDED };

/** A driver with that record of a container whose first process has ended; `listed`: what runc says. */
async function driverWith(change: Partial<ContainerRecord>, listed: object[] = []) {
  const records = new Records(path.join(directory, 'containers'));
  await records.write('box', { token: 't', mover: ownIdentity(), memoryBytes: 1, ...change });
  const programs = path.join(directory, 'bin');
  await mkdir(programs);
  await mkdir(path.join(directory, 'runc'));
  await writeFile(path.join(programs, 'runc'), `#!/bin/sh\necho '${JSON.stringify(listed)}'\n`);
  await chmod(path.join(programs, 'runc'), 0o755);
  const options = criuOptions.parse({ programs, root: path.join(directory, 'runc') });
  return new CriuDriver('a', options, records.directory);
}

const named = (status: string, pid: number): object => {
  return { id: 'box', pid, status, bundle: '/b', rootfs: '/b/rootfs' };
};

test('a departed container that was ended is taken down by the next mover, whatever runc still reports', async () => {
  for (const listed of [[], [named('stopped', 0)]]) {
    const driver = await driverWith({ leaving: 'sent' }, listed);
    const session = await driver.openSource(HANDLE, soon());
    assert.equal((await session.status(soon())).run, 'gone');
    await session.quit(soon());
    assert.deepEqual(await readdir(path.join(directory, 'containers')), []);
    await removeTree(directory);
    await mkdir(directory);
  }
});

test('a departed container that is given up keeps its files, even those that a migration brought', async () => {
  const volume = path.join(directory, 'db');
  const volumes = [{ path: volume, kind: 'directory' as const, bytes: 1 }];
  const made = { netns: 'godwit-t', nics: [], overlay: true, volumes };
  for (const change of [{ made }, {}]) {
    const driver = await driverWith({ leaving: 'sent', init: ENDED, volumes, ...change });
    const own = path.join(directory, 'containers', 'box');
    await mkdir(path.join(own, 'out', 'images'), { recursive: true });
    await mkdir(volume);
    await writeFile(path.join(volume, 'rows'), '1');
    if (change.made !== undefined) {
      await mkdir(path.join(own, 'upper'));
      await writeFile(path.join(own, 'upper', 'written'), '2');
    }
    const session = await driver.openSource(HANDLE, soon());
    await session.quit(soon(), { keepsData: true });
    await session.quit(soon(), { keepsData: true });
    assert.equal(await readFile(path.join(volume, 'rows'), 'utf8'), '1');
    const records = new Records(path.join(directory, 'containers'));
    if (change.made === undefined) assert.deepEqual(await records.names(), []);
    else {
      assert.equal(await readFile(path.join(own, 'upper', 'written'), 'utf8'), '2');
      assert.deepEqual((await readdir(own)).toSorted(), ['record.json', 'upper']);
      assert.equal(records.readSync('box')?.leaving, undefined);
      const options = { host: 'a', guest: 'box', migration: 'm-00000002' };
      assert.equal(whyNameInUse(records, options)?.code, 'GODWIT_NAME_IN_USE');
    }
    await removeTree(directory);
    await mkdir(directory);
  }
});

/** What a mover that was killed had written down to be sent. */
async function withDump(change: Partial<ContainerRecord>, listed: object[]) {
  const driver = await driverWith(change, listed);
  const own = path.join(directory, 'containers', 'box');
  await mkdir(path.join(own, 'out', 'images'), { recursive: true });
  await writeFile(path.join(own, 'out', 'images', 'pages-1.img'), 'memory');
  return { driver, left: () => readdir(own) };
}
const LIVING = { ...HANDLE, init: { ...ownIdentity(), bootId: bootId() } };

test('the mover that follows a death during the memory transfer removes the unsent files', async () => {
  const { driver, left } = await withDump({}, [named('running', process.pid)]);
  const session = await driver.openSource(LIVING, soon());
  assert.equal((await session.cancel(soon())).run, 'running');
  await session.unconfigure(soon());
  assert.deepEqual(await left(), []);
});

test('the unsent files stay while the destination may have the container, or while it is frozen here', async () => {
  for (const leaving of ['sent', 'sending'] as const) {
    const { driver, left } = await withDump({ leaving }, [named('running', process.pid)]);
    const session = await driver.openSource(LIVING, soon());
    await session.unconfigure(soon());
    assert.ok((await left()).includes('out'), leaving);
    await removeTree(directory);
    await mkdir(directory);
  }
});

test('a container that ended before all of it was sent, or was replaced by another one, is lost', async () => {
  for (const [change, listed] of [
    [{}, []],
    [{ leaving: 'sending' }, []],
    [{ leaving: 'sent' }, [named('running', process.pid)]],
  ] as const) {
    const driver = await driverWith(change, [...listed]);
    await assert.rejects(driver.openSource(HANDLE, soon()), (thrown) =>
      hasCode(thrown, 'GODWIT_HYPERVISOR_LOST'),
    );
    await removeTree(directory);
    await mkdir(directory);
  }
});
