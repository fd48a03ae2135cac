import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import {
  isAbandonedCopy,
  isMadeFor,
  whyNameInUse,
} from '../../../../src/drivers/criu/host/container-ownership.ts';
import { command } from '../../../../src/drivers/criu/command.ts';
import { CriuDestination } from '../../../../src/drivers/criu/destination.ts';
import type { HostContext } from '../../../../src/drivers/criu/host/host-context.ts';
import { makeVolumes } from '../../../../src/drivers/criu/files/made-volumes.ts';
import { Records, type ContainerRecord } from '../../../../src/drivers/criu/link/records.ts';
import type { StreamSetup } from '../../../../src/port/direct.ts';
import { ownIdentity } from '../../../../src/system/processes/process.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';
import { pass } from '../../../../src/migration/preflight/check.ts';
import type { GuestDescription } from '../../../../src/protocol/peer/migration.ts';

const DEAD = { pid: 2 ** 22 + 1, startTicks: 1 };
const SETUP: StreamSetup = {
  mode: 'precopy',
  streams: 1,
  compress: 'none',
  maxDowntimeMs: 300,
  tls: false,
};
const signal = AbortSignal.timeout(60_000);

let directory: string;
let records: Records;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-brought-'));
  await mkdir(path.join(directory, 'vols'));
  records = new Records(path.join(directory, 'records'));
});
afterEach(() => removeTree(directory));

const volume = (): string => path.join(directory, 'vols', 'db');
const written = (): string => path.join(records.dirOf('box'), 'upper', 'written');

/** What came with an earlier migration, with what it wrote since in its volume and above its layers. */
async function brought(more: Partial<ContainerRecord>): Promise<void> {
  const volumes = [{ path: volume(), kind: 'directory' as const, bytes: 0 }];
  const made = { netns: 'none', nics: [], overlay: false, volumes };
  await records.write('box', { token: 'old', mover: DEAD, memoryBytes: 4096, made, ...more });
  await makeVolumes(records, 'box');
  await writeFile(path.join(volume(), 'rows'), '1');
  await mkdir(path.dirname(written()), { recursive: true });
  await writeFile(written(), '2');
}

/** A host on which runc knows no container. */
function destination(migration: string): CriuDestination {
  const run = async (argv: readonly string[], options = {}): Promise<string> =>
    argv[0] === 'ip' ? '[]' : command(argv, { host: 'b', ...options });
  const runc = {
    run,
    state: async () => undefined,
    end: async () => {},
    remove: async () => {},
    versions: async () => ({ runc: '1.3.6', criu: '4.2.1' }),
  };
  const parts = {
    host: 'b',
    runc,
    records,
    canary: { check: async () => pass('stream', 'it works', 'destination') },
    prefix: path.join(directory, 'none'),
    layerDirs: [],
    volumeDirs: [path.join(directory, 'vols')],
    cgroup: 'godwit',
  } as unknown as HostContext;
  const options = {
    host: 'b',
    guest: 'box',
    migration,
    guestDir: path.join(directory, 'guest'),
    networks: {},
    listenHost: '127.0.0.1',
    ports: { from: 49_400, to: 49_420 },
  };
  return new CriuDestination(parts, options, new Map());
}

function description(): GuestDescription {
  const dir = path.join(directory, 'vols');
  const oci = {
    process: { user: { uid: 0, gid: 0 }, args: ['/bin/true'], cwd: '/' },
    readonlyRoot: false,
    mounts: [{ destination: '/db', volume: 0 }],
  };
  const volumes = [{ dir, name: 'db', kind: 'directory', bytes: 0 }];
  const spec = { oci, nics: [], layers: [], volumes, criu: '4.2.1', runc: '1.3.6', features: [] };
  const memoryBytes = 4096;
  return { driver: 'criu', name: 'box', memoryBytes, vcpus: 1, hypervisorVersion: '1.3.6', spec };
}

test('the files of a container that arrived earlier and has ended stay, whatever another migration brings', async () => {
  const ended = { init: DEAD };
  for (const before of [
    ended,
    { ...ended, migration: 'm-00000001' },
    { cold: 'arrived' as const },
  ]) {
    await brought(before);
    const again = destination('m-00000002');
    const refused = (await again.assess(description(), SETUP, signal)).filter(({ error }) => error);
    assert.deepEqual(
      refused.map(({ name, error }) => [name, error?.code]),
      [
        ['disks', 'GODWIT_DEVICE_UNMAPPED'],
        ['name', 'GODWIT_NAME_IN_USE'],
      ],
    );
    const hint = refused[1]?.error?.hint ?? '';
    assert.ok(hint.includes(records.dirOf('box')) && hint.includes(volume()), hint);
    await assert.rejects(again.start(description(), SETUP, new Map(), signal));
    // As the core does once it could not be prepared.
    assert.equal((await again.status(signal)).run, 'gone');
    await again.destroy(signal);
    assert.equal(await readFile(path.join(volume(), 'rows'), 'utf8'), '1');
    assert.equal(await readFile(written(), 'utf8'), '2');
    assert.equal(records.readSync('box')?.token, 'old');
    await removeTree(records.dirOf('box'));
    await removeTree(volume());
  }
});

test('the hint for a container of podman names the command that removes it', async () => {
  const podman = { id: 'ab'.repeat(32), runtime: 'runc' as const };
  await brought({ init: DEAD, podman });
  const options = { host: 'b', guest: 'box', migration: 'm-00000002' };
  const hint = whyNameInUse(records, options)?.hint ?? '';
  assert.match(hint, /`podman rm abababababab`/);
  assert.doesNotMatch(hint, /runc/);
});

test('the leftovers of a mover whose container was never complete are removed at the next start', async () => {
  await brought({ migration: 'm-00000001' });
  const next = destination('m-00000002');
  await next.start(description(), SETUP, new Map(), signal);
  await assert.rejects(readFile(path.join(volume(), 'rows')), { code: 'ENOENT' });
  assert.equal(records.readSync('box')?.migration, 'm-00000002');
  assert.notEqual(records.readSync('box')?.token, 'old');
  await next.destroy(signal);
  assert.equal(records.readSync('box'), undefined);
  await assert.rejects(readFile(volume()), { code: 'ENOENT' });
});

test('a migration removes its own container, and a later mover may remove it by its handle', () => {
  const made = { netns: 'n', nics: [], overlay: false };
  const mover = ownIdentity();
  const record = { token: 't', mover, memoryBytes: 1, made, init: DEAD, migration: 'm-00000001' };
  const { migration: _, ...older } = record;
  const handle = (token: string) => ({ driver: 'criu', name: 'box', token, memoryBytes: 1 });
  assert.ok(isMadeFor(record, { migration: 'm-00000001' }));
  assert.ok(isMadeFor(record, { handle: handle('t') }));
  assert.ok(isMadeFor(older, { migration: 'm-00000001', handle: handle('t') }));
  assert.ok(!isMadeFor(older, { migration: 'm-00000001' }));
  assert.ok(!isMadeFor(record, { migration: 'm-00000002', handle: handle('other') }));
  assert.ok(!isMadeFor(undefined, { migration: 'm-00000001' }));
});

test('nothing is left over while its mover lives, or while a restore may continue', () => {
  const made = { netns: 'n', nics: [], overlay: false };
  const record = {
    token: 't',
    mover: ownIdentity(),
    memoryBytes: 1,
    made,
    migration: 'm-00000001',
  };
  assert.ok(isAbandonedCopy(record, { migration: 'm-00000001' }));
  assert.ok(!isAbandonedCopy(record, { migration: 'm-00000002' }));
  assert.ok(isAbandonedCopy({ ...record, mover: DEAD }, { migration: 'm-00000002' }));
  assert.ok(
    !isAbandonedCopy({ ...record, mover: DEAD, worker: DEAD }, { migration: 'm-00000001' }),
  );
});

test('the files of a container that may have run here outlive its end, and stay out of reach of another migration', async () => {
  await brought({ init: DEAD, migration: 'm-00000001' });
  const own = destination('m-00000001');
  await own.destroy(signal, { keepsData: true });
  await own.destroy(signal, { keepsData: true });
  assert.equal(await readFile(path.join(volume(), 'rows'), 'utf8'), '1');
  assert.equal(await readFile(written(), 'utf8'), '2');
  await assert.rejects(destination('m-00000002').start(description(), SETUP, new Map(), signal));
  assert.equal(await readFile(path.join(volume(), 'rows'), 'utf8'), '1');
  await own.destroy(signal);
  await assert.rejects(readFile(volume()), { code: 'ENOENT' });
  assert.equal(records.readSync('box'), undefined);
});
