import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { command, type CommandOptions } from '../../../src/drivers/criu/command.ts';
import { Dispatch } from '../../../src/drivers/criu/dispatch.ts';
import { encodeFrame, KINDS } from '../../../src/drivers/criu/link/frames.ts';
import type { ContainerInspection } from '../../../src/drivers/criu/inspect.ts';
import type { HostContext } from '../../../src/drivers/criu/host/host-context.ts';
import { identify } from '../../../src/drivers/criu/host/processes.ts';
import { PageReceiver } from '../../../src/drivers/criu/link/receiver.ts';
import { Records } from '../../../src/drivers/criu/link/records.ts';
import { sessionOf } from '../../../src/drivers/criu/session.ts';
import type { StreamSetup } from '../../../src/port/direct.ts';
import { lifeOf, type BootProcess } from '../../../src/system/processes/life.ts';
import { ownIdentity } from '../../../src/system/processes/process.ts';
import { removeTree } from '../../../src/system/files/remove-tree.ts';
import { until } from '../../until.ts';

const SETUP: StreamSetup = {
  mode: 'precopy',
  streams: 1,
  compress: 'none',
  maxDowntimeMs: 300,
  tls: false,
};

let directory: string;
let server: net.Server;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-dispatch-'));
  for (const each of ['cgroup', 'upper', 'in/images', 'records/box/out/images'])
    await mkdir(path.join(directory, each), { recursive: true });
  // A freezer of version 1 answers with the word that was written.
  await writeFile(path.join(directory, 'cgroup/freezer.state'), 'THAWED');
  server = net.createServer((socket) => {
    const receiver = new PageReceiver(path.join(directory, 'in'), 'box', 2 ** 20);
    void receiver.take(socket).then(
      () => socket.write(encodeFrame(KINDS.restored)),
      () => socket.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.close();
  await removeTree(directory);
});

const freezer = (): Promise<string> =>
  readFile(path.join(directory, 'cgroup/freezer.state'), 'utf8');

/** A container without processes, in a cgroup of plain files; `run` stands for the programs that are started. */
async function dispatchOf(
  run: (argv: readonly string[], options?: Partial<CommandOptions>) => Promise<string>,
  dump: HostContext['runc']['dump'] = async () => {},
  gpus: Partial<HostContext['gpus']> = {},
): Promise<{ dispatch: Dispatch; records: Records }> {
  const records = new Records(path.join(directory, 'records'));
  await records.write('box', { token: 't', mover: ownIdentity(), memoryBytes: 4096 });
  const nothing = async (): Promise<void> => {};
  const runc = { run, dump, beforeFreeze: nothing, whileFrozen: nothing };
  const parts = { host: 'a', runc, records, gpus } as unknown as HostContext;
  const facts = {
    description: { memoryBytes: 4096 },
    cgroup: path.join(directory, 'cgroup'),
    root: { lower: [], upper: path.join(directory, 'upper') },
    volumes: [],
    rootBytes: 0,
    nicsHere: [{ port: 'veth0' }, { port: 'veth1' }],
  } as unknown as ContainerInspection;
  return { dispatch: new Dispatch(parts, 'box', facts, SETUP), records };
}

async function start(dispatch: Dispatch): Promise<void> {
  const at = server.address();
  assert.ok(at !== null && typeof at !== 'string');
  dispatch.start(`127.0.0.1:${at.port}`, undefined);
  await until('its end', 5000, async () => (dispatch.isUnderWay ? undefined : true));
}

/** As tar does. */
async function archive(argv: readonly string[]): Promise<string> {
  if (argv.includes('tar')) await writeFile(argv[argv.indexOf('-cf') + 1] ?? '', 'tar');
  const [, index] = /--index-file=(\S+)/.exec(argv.join(' ')) ?? [];
  if (index !== undefined) await writeFile(index, './\n');
  return '';
}

test('the container stays frozen whatever fails once the destination has all of it', async () => {
  const states: string[] = [];
  const { dispatch, records } = await dispatchOf(async (argv) => {
    if (argv[0] === 'ip') states.push(argv.at(-1) ?? '');
    return archive(argv);
  });
  dispatch.reported.on(({ type }) => {
    if (type === 'completed') throw new Error('nobody can hear it');
  });
  await start(dispatch);
  await dispatch.cancel(AbortSignal.timeout(5000));
  assert.equal(dispatch.isUnderWay, false);
  assert.equal(dispatch.reported.stream, 'completed');
  assert.equal(await freezer(), 'FROZEN');
  assert.deepEqual(states, ['down', 'down']);
  assert.equal(records.readSync('box')?.leaving, 'sent');
});

test('the container continues if one of its ports is gone; the others are restored and the loss is reported', async () => {
  const up: string[] = [];
  const { dispatch, records } = await dispatchOf(async (argv) => {
    if (argv[0] !== 'ip' || argv.at(-1) !== 'up') return '';
    if (argv.includes('veth0')) throw new Error('Cannot find device "veth0"');
    up.push(argv[3] ?? '');
    return '';
  });
  await records.change('box', { leaving: 'sending', unplugged: ['veth0', 'veth1'] });
  await writeFile(path.join(directory, 'cgroup/freezer.state'), 'FROZEN');
  await assert.rejects(dispatch.runHere(AbortSignal.timeout(5000)), /veth0/);
  assert.equal(await freezer(), 'THAWED');
  assert.deepEqual(up, ['veth1']);
  assert.equal(records.readSync('box')?.leaving, undefined);
});

test('the files to be sent are removed once the container runs on here', async () => {
  const { dispatch, records } = await dispatchOf(async () => '');
  await records.change('box', { leaving: 'sending' });
  const out = path.join(records.dirOf('box'), 'out');
  await writeFile(path.join(out, 'images', 'pages-1.img'), 'memory');
  await dispatch.runHere(AbortSignal.timeout(5000));
  assert.ok(!existsSync(out));
});

test('GPU state that could not be restored stays in the record, and the next attempt restores it', async () => {
  let isFull = true;
  const gpus = {
    helper: async () => ({ pid: process.pid, startTicks: 0 }),
    suspended: async () => [],
    giveBack: async () => {
      if (isFull) throw new Error('CUDA_ERROR_OUT_OF_MEMORY');
    },
  };
  const { dispatch, records } = await dispatchOf(async () => '', undefined, gpus);
  await records.change('box', { leaving: 'sending', gpu: { pairs: [] } });
  await writeFile(path.join(directory, 'cgroup/cgroup.procs'), '');
  await writeFile(path.join(directory, 'cgroup/freezer.state'), 'FROZEN');
  await assert.rejects(dispatch.runHere(AbortSignal.timeout(5000)), /OUT_OF_MEMORY/);
  const kept = records.readSync('box');
  assert.deepEqual([kept?.leaving, kept?.gpu?.pairs], ['sending', []]);
  isFull = false;
  await dispatch.runHere(AbortSignal.timeout(5000));
  const after = records.readSync('box');
  assert.deepEqual([after?.leaving, after?.gpu], [undefined, undefined]);
});

test('a cancel ends the program that packs its files, and does not wait for it', async () => {
  const packs = Promise.withResolvers<void>();
  const { dispatch } = await dispatchOf(async (argv, options) => {
    if (!argv.includes('tar')) return '';
    packs.resolve();
    return new Promise((_, reject) => {
      options?.signal?.addEventListener('abort', () => reject(new Error('it was ended')));
    });
  });
  const started = start(dispatch);
  await packs.promise;
  await dispatch.cancel(AbortSignal.timeout(5000));
  await started;
  assert.equal(dispatch.reported.stream, 'cancelled');
});

test('a cancel leaves no program that still writes its archive', async () => {
  const [pid, programs] = [path.join(directory, 'pid'), path.join(directory, 'programs')];
  await mkdir(programs);
  // It writes until it is ended, as tar does with a large tree.
  const endless = `#!/bin/sh\necho $$ > ${pid}\nexec sleep 300\n`;
  await writeFile(path.join(programs, 'tar'), endless, { mode: 0o755 });
  const { dispatch } = await dispatchOf((argv, options) =>
    argv.includes('tar') ? command(argv, { host: 'a', programs, ...options }) : archive(argv),
  );
  const started = start(dispatch);
  const packs = await until('its program', 30_000, async () => {
    const said = Number(await readFile(pid, 'utf8').catch(() => ''));
    return said === 0 ? undefined : identify(said);
  });
  await dispatch.cancel(AbortSignal.timeout(5000));
  await started;
  assert.equal(lifeOf(packs).state, 'gone');
});

test('a dump whose runc was ended is waited for: CRIU freezes the container again at its end', async () => {
  const [state, go] = ['cgroup/freezer.state', 'go'].map((each) => path.join(directory, each));
  // In the place of CRIU: it goes on without the one that began it, and freezes at its end.
  const criu = `while [ ! -e ${go} ]; do sleep 0.01; done; sleep 1; printf FROZEN > ${state}`;
  let left: BootProcess | undefined;
  const { dispatch, records } = await dispatchOf(archive, async (_name, _bytes, _at, started) => {
    const child = spawn('sh', ['-c', `(${criu}) & exec sleep 300`], { detached: true });
    left = identify(child.pid ?? 0);
    assert.ok(left !== undefined);
    await started(left);
    await until('both', 30_000, async () => (sessionOf(left as BootProcess)[1] ? true : undefined));
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    throw new Error('it took too long');
  });
  dispatch.reported.on(({ type }) => {
    if (type === 'failed') writeFileSync(go ?? '', '');
  });
  await start(dispatch);
  const worker = () => records.readSync('box')?.worker;
  await until('it to run here', 30_000, async () => (worker() === undefined ? true : undefined));
  assert.ok(left !== undefined);
  assert.deepEqual(sessionOf(left), []);
  assert.equal(await freezer(), 'THAWED');
  assert.equal(dispatch.reported.stream, 'failed');
});
