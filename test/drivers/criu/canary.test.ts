import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, readlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { canaryProgram, SAYS } from '../../../src/drivers/criu/canary-program.ts';
import { TCP_STATES, tcpSockets } from '../../../src/system/kernel-tables.ts';
import { removeTree } from '../../../src/system/files/remove-tree.ts';

const skip = process.arch === 'x64' ? false : 'it is a program for x86-64';

test(
  "the canary's program listens on TCP, reports it and waits, without a library",
  { skip },
  async () => {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-canary-'));
    const file = path.join(directory, 'program');
    await writeFile(file, canaryProgram(), { mode: 0o700 });
    const child = spawn(file, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [said] = (await once(child.stdout, 'data')) as [Buffer];
      assert.equal(said.toString(), SAYS);
      const own = `/proc/${child.pid}`;
      const files = await Promise.all(
        (await readdir(`${own}/fd`)).map((each) => readlink(`${own}/fd/${each}`)),
      );
      const sockets = files.flatMap((each) => /^socket:\[(\d+)\]$/.exec(each)?.[1] ?? []);
      const all = tcpSockets(await readFile(`${own}/net/tcp`, 'utf8'));
      const states = all.filter(({ inode }) => sockets.includes(inode)).map(({ state }) => state);
      assert.deepEqual(states, [TCP_STATES.listen]);
      const maps = await readFile(`${own}/maps`, 'utf8');
      assert.doesNotMatch(maps, /\.so/);
      assert.equal(child.exitCode, null);
    } finally {
      child.kill('SIGKILL');
      await removeTree(directory);
    }
  },
);
