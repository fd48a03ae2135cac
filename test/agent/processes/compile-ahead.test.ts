import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { compileAhead } from '../../../src/agent/processes/compile-ahead.ts';
import { untilSo } from '../../until.ts';

describe('compiling ahead', () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'godwit-compile-ahead-'));
  after(() => rmSync(dir, { recursive: true, force: true }));

  test('compiling ahead yields to all other work of the host', async () => {
    const seen = path.join(dir, 'seen');
    const program = path.join(dir, 'program.cjs');
    const { PRIORITY_LOW } = constants.priority;
    writeFileSync(
      program,
      `const os = require('node:os');
      const end = Date.now() + 10_000;
      const look = () => {
        if (Date.now() > end) process.exit(3);
        if (os.getPriority() !== ${PRIORITY_LOW}) return setTimeout(look, 1);
        require('node:fs').writeFileSync(${JSON.stringify(seen)}, process.argv.at(-1));
      };
      look();`,
    );
    await once(compileAhead(program, [], ['the-word']), 'exit');
    assert.equal(readFileSync(seen, 'utf8'), 'the-word');
  });

  test('compiling ahead ends with its agent', async () => {
    const hangs = path.join(dir, 'hangs.cjs');
    writeFileSync(hangs, 'setInterval(() => {}, 1000);');
    const source = new URL('../../../src/agent/processes/compile-ahead.ts', import.meta.url).href;
    const agent = `import { compileAhead } from ${JSON.stringify(source)};
      process.stdout.write(String(compileAhead(${JSON.stringify(hangs)}, []).pid));`;
    const all = ['--input-type=module', '-e', agent];
    const { stdout } = await promisify(execFile)(process.execPath, all);
    assert.match(stdout, /^\d+$/);
    await untilSo(() => !existsSync(`/proc/${stdout}/exe`));
  });

  test('an agent without the compiler program keeps running', async () => {
    const [code] = (await once(compileAhead(path.join(dir, 'none.cjs'), []), 'exit')) as [number];
    assert.equal(code, 1);
  });
});
