import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { FakeContext, godwit } from './fake.ts';

/** What `init`, `join` and a lab print as the next step is run in test/e2e: it needs an agent. */

test('each printed next step of pki and context works, to the last', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'godwit-next-'));
  const before = process.cwd();
  // Certificates come into the folder where one is.
  process.chdir(folder);
  t.after(() => {
    process.chdir(before);
    rmSync(folder, { recursive: true, force: true });
  });
  const env = { XDG_CONFIG_HOME: path.join(folder, 'config') };
  const typed: string[] = [];
  /** Runs a line and what it prints as the next step, with values where it has words for them. */
  const follow = async (first: string, values: Readonly<Record<string, string>>): Promise<void> => {
    for (let line: string | undefined = first; line !== undefined;) {
      typed.push(line.split(' --')[0] ?? '');
      const context = new FakeContext();
      Object.assign(context.env, env);
      assert.equal(await godwit(context, line), 0, `${line}: ${context.err.text}`);
      const next: string | undefined = /^Next: godwit ([^,\n]+)/m.exec(context.out.text)?.[1];
      line = next?.replaceAll(/\b[A-Z]+\b/g, (word) => values[word] ?? word);
    }
  };
  const ca = path.join(folder, 'ca');
  await follow(`pki init --dir ${ca}`, { NAME: 'host1' });
  const place = { NAME: 'host1', HOST: '127.0.0.1', PORT: '7443' };
  // The first context is in use at once; a second one is not.
  for (const [person, FLEET] of [
    ['ada', 'home'],
    ['bob', 'work'],
  ] as const)
    await follow(`pki issue ${person} --dir ${ca} --role operator`, { ...place, FLEET });
  await follow(`pki remove host1 --unknown --dir ${ca}`, {});
  assert.deepEqual(typed, [
    'pki init',
    'pki issue host1',
    'pki issue ada',
    'context set home',
    'pki issue bob',
    'context set work',
    'context use work',
    'pki remove host1',
    'pki rotate-secret',
  ]);
});
