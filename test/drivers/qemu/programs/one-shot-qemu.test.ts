import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { withDeadline } from '../../../../src/deadline.ts';
import { askProgram } from '../../../../src/drivers/qemu/programs/one-shot-qemu.ts';
import { gone } from '../../../process-end.ts';

const ASK = new URL('../../../../src/drivers/qemu/programs/one-shot-qemu.ts', import.meta.url).href;

/** Greets like a hypervisor, answers everything, and goes on when its monitor closes. */
const PROGRAM = `#!/bin/sh
echo $$ >"$0.pid"
echo '{"QMP": {"version": {"qemu": {"major": 10, "minor": 0, "micro": 2}, "package": ""}, "capabilities": []}}'
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id" *: *\\("[^"]*"\\|[0-9]*\\).*/\\1/p')
  echo "{\\"return\\": {}, \\"id\\": $id}"
done
exec sleep 60
`;

describe('a questioned program', () => {
  let directory: string;
  let file: string;

  before(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-ask-'));
    file = path.join(directory, 'program');
    await writeFile(file, PROGRAM);
    await chmod(file, 0o755);
  });
  after(() => rm(directory, { recursive: true, force: true }));

  const question = () => ({ file, accelerator: 'tcg', host: 'a', deadlineMs: 10_000 }) as const;

  test('a program is ended once it has answered', async () => {
    const signal = AbortSignal.timeout(10_000);
    const version = await askProgram(question(), signal, (client) =>
      Promise.resolve(client.version),
    );
    assert.equal(version, '10.0.2');
    await gone(await pidOf(file));
  });

  test('a program is ended when the question fails', async () => {
    const failing = askProgram(question(), AbortSignal.timeout(10_000), () =>
      Promise.reject(new Error('no such thing')),
    );
    await assert.rejects(failing, /no such thing/);
    await gone(await pidOf(file));
  });

  test('a program does not outlive a process that is killed during the question', async () => {
    const code = `
      const { askProgram } = await import(${JSON.stringify(ASK)});
      await askProgram(${JSON.stringify(question())}, AbortSignal.timeout(30_000), () => {
        console.log('asking');
        return new Promise((resolve) => setTimeout(resolve, 30_000));
      });`;
    const questionUser = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await withDeadline('the question', 20_000, undefined, () =>
      once(createInterface(questionUser.stdout), 'line'),
    );
    const pid = await pidOf(file);
    process.kill(pid, 0);
    questionUser.kill('SIGKILL');
    await gone(pid);
  });

  test('a missing program is an error', async () => {
    const none = { ...question(), file: path.join(directory, 'none') };
    await assert.rejects(
      askProgram(none, AbortSignal.timeout(10_000), () => Promise.resolve(true)),
    );
  });
});

async function pidOf(file: string): Promise<number> {
  return Number((await readFile(`${file}.pid`, 'utf8')).trim());
}
