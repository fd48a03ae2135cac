import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A block device over a file with this content, until the test ends; undefined, with the reason printed, where none can be made. */
export async function loopOf(
  t: TestContext,
  file: string,
  content: Buffer,
): Promise<string | undefined> {
  writeFileSync(file, content);
  const device = await run('losetup', ['--find', '--show', file]).then(
    ({ stdout }) => stdout.trim(),
    (error: Error) => {
      t.skip(`loop devices cannot be made: ${error.message}`);
      return undefined;
    },
  );
  if (device === undefined) return undefined;
  t.after(() => run('losetup', ['--detach', device]).catch(() => undefined));
  return device;
}
