import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  factsKey,
  hasClient,
  isMultifdCompression,
  listPrograms,
  programsOnPath,
} from '../../../../src/drivers/qemu/programs/binaries.ts';

/** Answers as the file beside it says, refuses what that gives a text for, and notes down how it was called. */
const PROGRAM = `#!${process.execPath}
const fs = require('node:fs');
fs.appendFileSync(__filename + '.calls', process.argv.slice(2).join(' ') + '\\n');
const answers = JSON.parse(fs.readFileSync(__filename + '.json', 'utf8'));
const say = (value) => process.stdout.write(JSON.stringify(value) + '\\n');
say({ QMP: { version: { qemu: { major: 10, minor: 0, micro: 2 }, package: '' }, capabilities: [] } });
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { execute, id } = JSON.parse(line);
  const answer = answers[execute] ?? {};
  if (typeof answer === 'string') say({ error: { class: 'GenericError', desc: answer }, id });
  else say({ return: answer, id });
});
`;

const ANSWERS = {
  'query-machines': [{ name: 'pc-q35-10.0' }, { name: 'none' }],
  'query-migrate-capabilities': [{ capability: 'multifd', state: false }],
  'query-qmp-schema': [
    { 'meta-type': 'object' },
    { 'meta-type': 'enum', values: ['none', 'other'] },
    { 'meta-type': 'enum', values: ['none', 'zlib', 'zstd'] },
  ],
  'query-target': { arch: 'x86_64' },
  'query-cpu-model-expansion': { model: { name: 'max', props: { avx: true, sse3: false } } },
};

describe('the features of a QEMU program', () => {
  let directory: string;
  let file: string;
  const signal = AbortSignal.timeout(60_000);
  const options = () => ({
    host: 'a',
    binaries: [file],
    user: 'agent' as const,
    cacheDir: path.join(directory, 'cache'),
  });
  const calls = (): string[] => readFileSync(`${file}.calls`, 'utf8').split('\n').slice(0, -1);
  const answer = (change: object = {}) =>
    writeFile(`${file}.json`, JSON.stringify({ ...ANSWERS, ...change }));

  before(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-programs-'));
    file = path.join(directory, 'qemu.cjs');
    await writeFile(file, PROGRAM);
    await chmod(file, 0o755);
    await writeFile(`${file}.calls`, '');
  });
  after(() => rm(directory, { recursive: true, force: true }));

  test('a program is asked once for its features, and every process knows them until the program changes', async () => {
    await answer();
    const [found] = await listPrograms(options(), signal);
    assert.partialDeepStrictEqual(found, {
      binary: file,
      version: '10.0.2',
      arch: 'x86_64',
      machineTypes: ['pc-q35-10.0', 'none'],
      capabilities: ['multifd'],
      multifdCompression: ['none', 'zlib', 'zstd'],
      sandbox: true,
      rdma: false,
    });
    assert.deepEqual(found?.features.tcg, ['avx']);
    assert.equal(found?.postcopyObstacle, undefined);
    const asked = calls().length;
    assert.ok(asked > 1);
    assert.deepEqual(await listPrograms(options(), signal), [found]);
    assert.equal(calls().length, asked);
    // A byte more, and a library's name with it.
    appendFileSync(file, '// librdmacm.so');
    const [changed] = await listPrograms(options(), signal);
    assert.equal(changed?.rdma, true);
    assert.ok(calls().length > asked);
  });

  test("a program's features include its system call filter, and why post-copy is not possible", async () => {
    const reason = 'Postcopy is not supported: userfaultfd';
    await answer({
      'migrate-set-capabilities': reason,
      'query-command-line-options': 'no such option',
    });
    appendFileSync(file, '\n');
    const [found] = await listPrograms(options(), signal);
    assert.equal(found?.postcopyObstacle, reason);
    assert.equal(found?.sandbox, false);
  });

  test('a program is asked again if the kept answer cannot be read', async () => {
    await answer();
    appendFileSync(file, '\n');
    await listPrograms(options(), signal);
    const { cacheDir } = options();
    for (const name of await readdir(cacheDir)) await writeFile(path.join(cacheDir, name), '{');
    const asked = calls().length;
    assert.equal((await listPrograms(options(), signal)).length, 1);
    assert.ok(calls().length > asked);
  });

  test('a program that several folders of the PATH lead to is asked once', async () => {
    const name = `qemu-system-${os.arch() === 'arm64' ? 'aarch64' : 'x86_64'}`;
    const [bin, link, linked] = ['usr-bin', 'bin', 'linked'].map((each) =>
      path.join(directory, each),
    ) as [string, string, string];
    for (const folder of [bin, linked]) await mkdir(folder);
    await writeFile(path.join(bin, name), '', { mode: 0o755 });
    await symlink(bin, link);
    await symlink(path.join(bin, name), path.join(linked, name));
    const found = await programsOnPath([link, bin, linked, '/nowhere'].join(path.delimiter));
    assert.deepEqual(
      found.filter((each) => each.startsWith(directory)),
      [path.join(link, name)],
    );
  });

  test('a program that does not run is left out', async () => {
    const binaries = [path.join(directory, 'none'), file];
    const found = await listPrograms({ ...options(), binaries }, signal);
    assert.deepEqual(
      found.map(({ binary }) => binary),
      [file],
    );
  });

  test("a program's features are kept for one user and one program alone", async () => {
    const range = { from: 90_000, count: 10 };
    const own = await factsKey(file, { user: 'agent' });
    assert.match(own, /^[0-9a-f]{24}$/);
    assert.equal(await factsKey(file, { user: 'agent' }), own);
    assert.notEqual(await factsKey(file, { user: range }), own);
    // The same program under another name: whoever asks gets the name that it asked for.
    await utimes(file, 1, 1);
    await copyFile(file, `${file}.copy`);
    await utimes(`${file}.copy`, 1, 1);
    assert.equal((await stat(`${file}.copy`)).mtimeMs, (await stat(file)).mtimeMs);
    const keys = [file, `${file}.copy`].map((each) => factsKey(each, { user: 'agent' }));
    assert.equal(new Set(await Promise.all(keys)).size, 2);
  });

  test('a program has a network storage client unless its driver is unknown', async () => {
    const asked = { host: 'a', user: 'agent' } as const;
    const has = () => hasClient({ binary: file, sandbox: false }, 'nfs', asked, signal);
    await answer({ 'blockdev-add': "Unknown driver 'nfs'" });
    assert.equal(await has(), false);
    await answer({ 'blockdev-add': 'Invalid path specified' });
    assert.equal(await has(), true);
    await answer();
    assert.equal(await has(), true);
    const last = calls().at(-1) ?? '';
    assert.match(last, /-machine none -S/);
    assert.doesNotMatch(last, /-sandbox/);
    await hasClient({ binary: file, sandbox: true }, 'nfs', asked, signal);
    assert.match(calls().at(-1) ?? '', /-sandbox/);
  });

  test("a program's compression is read from the enumeration that begins with none and has zlib", () => {
    assert.equal(isMultifdCompression(['none', 'zlib']), true);
    assert.equal(isMultifdCompression(['zlib', 'none']), false);
    assert.equal(isMultifdCompression(['none', 'zstd']), false);
  });
});
