import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { test, type TestContext } from 'node:test';
import { tempDir } from '../../../rpc/test-contract.ts';
import { tunnels } from './tunnels.ts';
import { untilSo } from '../../../until.ts';

const MIB = 2 ** 20;
const SIZE = 96 * MIB;

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

async function disk(file: string, filledMib: readonly number[]): Promise<string> {
  const handle = await open(file, 'w');
  await handle.truncate(SIZE);
  for (const at of filledMib) await handle.write(randomBytes(MIB), 0, MIB, at * MIB);
  await handle.close();
  return file;
}

function daemon(t: TestContext, args: readonly string[]): ChildProcess {
  const started = spawn('qemu-storage-daemon', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(async () => {
    if (started.exitCode !== null) return;
    const gone = once(started, 'exit');
    started.kill();
    await gone;
  });
  return started;
}

test('QEMU mirrors a disk through the tunnel while its links are cut', async (t) => {
  const directory = tempDir(t);
  const from = await disk(path.join(directory, 'from.img'), [0, 17, 18, 19, 40, 70, 95]);
  const to = await disk(path.join(directory, 'to.img'), []);
  const { source, proxy, socket, listener } = await tunnels(t);
  listener.close();
  // However fast the machine is, it takes longer than several cuts.
  source.limit(4 * MIB);
  const file = (name: string): string[] => ['--blockdev', `file,node-name=disk,filename=${name}`];
  const served = `unix,addr.path=${listener.file}`;
  daemon(t, [
    ...file(to),
    '--nbd-server',
    `addr.type=${served}`,
    '--export',
    'nbd,id=e,node-name=disk,name=disk,writable=on',
  ]);
  await untilSo(() => existsSync(listener.file));
  const client = daemon(t, [...file(from), '--chardev', 'stdio,id=c', '--monitor', 'chardev=c']);
  const events: string[] = [];
  createInterface({ input: client.stdout! }).on('line', (line) => events.push(line));
  const say = (execute: string, args: object = {}): void => {
    client.stdin!.write(`${JSON.stringify({ execute, arguments: args })}\n`);
  };
  const reported = (word: string): Promise<void> =>
    untilSo(() => events.some((line) => line.includes(word) || line.includes('"error"')));
  const cutting = setInterval(() => proxy.cut(), 150);
  t.after(() => clearInterval(cutting));
  say('qmp_capabilities');
  const server = { type: 'unix', path: socket };
  say('blockdev-add', { driver: 'nbd', 'node-name': 'copy', export: 'disk', server });
  say('blockdev-mirror', { 'job-id': 'job', device: 'disk', target: 'copy', sync: 'full' });
  await reported('BLOCK_JOB_READY');
  say('block-job-cancel', { device: 'job' });
  await reported('BLOCK_JOB_COMPLETED');
  say('blockdev-del', { 'node-name': 'copy' });
  say('quit');
  await once(client, 'exit');
  clearInterval(cutting);
  assert.ok(!events.some((stream) => stream.includes('"error"')), events.join('\n'));
  await source.close(10_000);
  assert.equal(await hashOf(to), await hashOf(from));
  assert.ok(source.figures().sentBytes > 7 * MIB && source.figures().cuts > 0);
});
