import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { TABLE_WITH_LAB } from '../../../lab/cli/table.ts';
import { TABLE } from '../../../src/cli/table.ts';
import { endpoint, FakeContext, godwit, guest, host, summary } from '../fake.ts';

const run = promisify(execFile);

async function hasProgram(name: string): Promise<boolean> {
  return run('sh', ['-c', `command -v ${name}`]).then(
    () => true,
    () => false,
  );
}

/** The script that the program of a clone prints, or that of a package, by its table. */
async function script(shell: string, table = TABLE_WITH_LAB): Promise<string> {
  const context = new FakeContext();
  assert.equal(await godwit(context, `completion ${shell}`, table), 0);
  return context.out.text;
}

const withoutBash = (await hasProgram('bash')) ? false : 'bash is not on the PATH';
const withoutZsh = (await hasProgram('zsh')) ? false : 'zsh is not on the PATH';

describe('completion in bash', { skip: withoutBash }, () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'godwit-completion-'));
    await writeFile(path.join(folder, 'completion.bash'), await script('bash'));
    // Stands for the program: answers when it is asked for names.
    await writeFile(
      path.join(folder, 'godwit'),
      '#!/bin/sh\n[ "$*" = "completion --names $3" ] && echo "$3-one $3-two"\n',
      { mode: 0o755 },
    );
  });
  after(() => rm(folder, { recursive: true }));

  /** What bash would offer for the last of these words. */
  async function offered(...words: string[]): Promise<string[]> {
    const lines = `set -eu; source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _godwit || true; printf '%s\\n' "\${COMPREPLY[@]-}"`;
    const program = path.join(folder, 'godwit');
    const { stdout } = await run('bash', [
      '-c',
      lines,
      'bash',
      path.join(folder, 'completion.bash'),
      program,
      ...words,
    ]);
    return stdout.split('\n').filter((line) => line !== '');
  }

  test('bash is offered verbs and groups', async () => {
    const all = await offered('');
    for (const name of ['hosts', 'migrate', 'lab', 'pki', 'help'])
      assert.ok(all.includes(name), name);
    assert.deepEqual(await offered('mig'), ['migrate', 'migrations']);
  });

  test('bash is offered the verbs of a group', async () => {
    assert.deepEqual(await offered('lab', 'u'), ['up']);
  });

  test('bash is offered the flags of a verb, except the hidden ones', async () => {
    assert.deepEqual(await offered('migrate', 'web1', '--max-'), [
      '--max-downtime',
      '--max-bandwidth',
    ]);
    assert.deepEqual(await offered('completion', '--n'), []);
    assert.ok((await offered('lab', 'up', '--')).includes('--link'));
  });

  test('bash is offered the values of a choice', async () => {
    assert.deepEqual(await offered('migrate', 'web1', '--mode', 'p'), ['precopy', 'postcopy']);
    assert.deepEqual(await offered('completion', ''), ['bash', 'zsh']);
  });

  test('bash is offered names of guests and hosts in their places', async () => {
    assert.deepEqual(await offered('migrate', ''), ['guest-one', 'guest-two']);
    assert.deepEqual(await offered('migrate', '--mode', 'hybrid', 'guest-o'), ['guest-one']);
    assert.deepEqual(await offered('migrate', 'web1', '--to', ''), ['host-one', 'host-two']);
    assert.deepEqual(await offered('watch', ''), ['migration-one', 'migration-two']);
    assert.deepEqual(await offered('migrate', 'web1', ''), []);
  });

  test('bash is offered files for a flag that takes one', async () => {
    const file = path.join(folder, 'completion.b');
    assert.deepEqual(await offered('report', 'm-1', '--html', file), [`${file}ash`]);
  });
});

describe('completion in zsh', () => {
  test('the zsh completion is a script that zsh can read', { skip: withoutZsh }, async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'godwit-completion-'));
    try {
      const file = path.join(folder, '_godwit');
      await writeFile(file, await script('zsh'));
      await run('zsh', ['-n', file]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('the zsh completion has every flag of a verb', async () => {
    const text = await script('zsh');
    assert.match(text, /'migrate'\) _arguments .*'--max-downtime\[/);
    assert.match(text, /'lab up'\) _arguments .*'--hosts\[/);
    assert.doesNotMatch(await script('zsh', TABLE), /'lab up'/);
  });
});

describe('names for completion', () => {
  const agent = endpoint('a', {
    guests: async () => ({
      guests: [guest('web1', 'a'), guest('db', 'b'), guest('$(reboot)', 'b')],
    }),
    hosts: async () => ({ hosts: [host('a'), host('b')] }),
    migrations: async () => ({ migrations: [summary()] }),
  });

  test('the names are one a line, and only names that are safe for a shell', async () => {
    for (const [kind, names] of [
      ['guest', 'web1\ndb\n'],
      ['host', 'a\nb\n'],
      ['migration', 'm-0123456789ab\n'],
    ] as const) {
      const context = new FakeContext(agent);
      assert.equal(await godwit(context, `completion --names ${kind}`), 0);
      assert.equal(context.out.text, names);
      assert.equal(context.closed, 1);
    }
  });

  test('the list of names is empty, without an error message, when no agent answers', async () => {
    const context = new FakeContext();
    assert.equal(await godwit(context, 'completion --names guest'), 0);
    assert.equal(context.out.text + context.err.text, '');
  });

  test('a shell without completion is refused', async () => {
    const context = new FakeContext();
    assert.equal(await godwit(context, 'completion'), 2);
    assert.equal(await godwit(context, 'completion fish'), 2);
  });
});
