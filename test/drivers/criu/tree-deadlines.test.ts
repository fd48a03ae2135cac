import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ArrivingTrees } from '../../../src/drivers/criu/files/arriving-trees.ts';
import { digestOf, scanTree } from '../../../src/drivers/criu/changes.ts';
import type { CommandOptions } from '../../../src/drivers/criu/command.ts';
import type { HostContext } from '../../../src/drivers/criu/host/host-context.ts';
import type { PageSender } from '../../../src/drivers/criu/link/sender.ts';
import { archiveMs, TreeSender } from '../../../src/drivers/criu/files/trees.ts';
import { removeTree } from '../../../src/system/files/remove-tree.ts';

const GB = 1e9;
const { signal } = new AbortController();

let directory: string;
/** What ran, with its deadline. */
let ran: { readonly argv: string; readonly deadlineMs: number | undefined }[];
beforeEach(async () => {
  ran = [];
  directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-deadlines-'));
  for (const each of ['root', 'out', 'in']) await mkdir(path.join(directory, each));
});
afterEach(() => removeTree(directory));

/** In the place of all programs; an archive that is packed has so many bytes. */
function runc(bytes: number, fails?: Error): HostContext['runc'] {
  const run = async (argv: readonly string[], options?: Partial<CommandOptions>) => {
    ran.push({ argv: argv.join(' '), deadlineMs: options?.deadlineMs });
    const file = argv.includes('-cf') ? argv[argv.indexOf('-cf') + 1] : undefined;
    const [, index] = /--index-file=(\S+)/.exec(argv.join(' ')) ?? [];
    if (index !== undefined) await writeFile(index, './\n');
    if (file !== undefined && fails !== undefined) throw fails;
    if (file !== undefined) await writeHole(file, bytes);
    return '';
  };
  return { run } as unknown as HostContext['runc'];
}

async function writeHole(file: string, bytes: number): Promise<void> {
  await writeFile(file, '');
  await truncate(file, bytes);
}

function senderOf(bytes: number, fails?: Error): TreeSender {
  const sender = { takesChanges: true, file: async () => {} } as unknown as PageSender;
  const sending = {
    runc: runc(bytes, fails),
    sender,
    directory: path.join(directory, 'out'),
    signal,
  };
  const root = { name: 'root', path: path.join(directory, 'root'), kind: 'directory' } as const;
  return new TreeSender(sending, [{ ...root, bytes: 0 }]);
}

const deadlines = (program: RegExp): number[] =>
  ran.filter(({ argv }) => program.test(argv)).map(({ deadlineMs }) => deadlineMs ?? 0);

test('an uncounted tree may take as long as its whole file system, and then as long as its packed size', async () => {
  const sender = senderOf(50 * GB);
  await sender.first();
  const [first = 0] = deadlines(/^tar /);
  assert.ok(first > archiveMs(0), `${first} ms`);
  ran = [];
  await sender.last();
  assert.deepEqual(deadlines(/^tar /), [archiveMs(50 * GB)]);
  assert.equal(sender.unpackMs, archiveMs(50 * GB));
});

test('a tree that cannot be packed while the container runs fails before it is frozen', async () => {
  const full = new Error('no space left');
  await assert.rejects(senderOf(0, full).first(), full);
});

test('the time for unpacking a root file system grows with its size', async () => {
  const [input, root] = [path.join(directory, 'in'), path.join(directory, 'root')];
  const arriving = () => new ArrivingTrees({ runc: runc(0) }, { input, root, volumes: [] }, signal);
  await writeHole(path.join(input, 'root.base.tar'), 10 * GB);
  await writeHole(path.join(input, 'root.changed.tar'), 50 * GB);
  const parts = arriving();
  parts.base('root');
  await parts.finish(new Map([['root', digestOf(await scanTree(root, signal))]]));
  assert.deepEqual(deadlines(/tar /), [archiveMs(10 * GB), archiveMs(50 * GB)]);
  await rm(path.join(input, 'root.changed.tar'));
  await writeHole(path.join(input, 'root.tar'), 20 * GB);
  ran = [];
  await arriving().finish(new Map());
  assert.deepEqual(deadlines(/tar /), [archiveMs(20 * GB)]);
});
