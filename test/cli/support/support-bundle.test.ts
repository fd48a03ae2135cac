import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { runCommandLine } from '../../../src/cli/frame.ts';
import { makeBundle, MAX_BUNDLE_BYTES } from '../../../src/cli/support/bundle.ts';
import { TABLE } from '../../../src/cli/table.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { FakeContext } from '../fake.ts';

const SECRET = 'f00dfeedf00dfeedf00dfeedf00dfeedf00dfeedf00dfeedf00dfeedf00dfeed';

/** A host whose secrets also stand where nobody expects them. */
function hostOf(t: TestContext): { configDir: string; file: string } {
  const root = tempDir(t);
  const [configDir, stateDir] = [path.join(root, 'etc'), path.join(root, 'state')];
  mkdirSync(configDir);
  mkdirSync(path.join(stateDir, 'pki'), { recursive: true });
  writeFileSync(path.join(stateDir, 'pki/site.secret'), `${SECRET}\n`);
  const config = {
    name: 'a',
    address: '10.0.0.1:7443',
    stateDir,
    note: `seen: ${SECRET}`,
    drivers: { vsphere: { password: 'hunter2-hunter2' } },
  };
  writeFileSync(path.join(configDir, 'agent.json'), JSON.stringify(config));
  return { configDir, file: path.join(root, 'bundle.txt') };
}

async function godwit(
  context: FakeContext,
  ...argv: string[]
): Promise<{ code: number; out: string; err: string }> {
  const code = await runCommandLine(['support-bundle', ...argv], TABLE, context);
  return { code, out: context.out.text, err: context.err.text };
}

test('a bundle has the configuration and the files, and no secret of the host', async (t) => {
  const { configDir, file } = hostOf(t);
  const context = new FakeContext();
  const { code, out, err } = await godwit(context, file, '--yes', '--config-dir', configDir);
  assert.equal(code, 0, err);
  const text = readFileSync(file, 'utf8');
  assert.match(text, /^==== versions /m);
  assert.match(text, /"name": "a"/);
  assert.match(text, /0\d{3} +\d+ \S+ pki\/site\.secret$/m);
  assert.equal(text.includes(SECRET), false);
  assert.equal(text.includes('hunter2'), false);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.match(out, /^versions /m);
  const again = await godwit(new FakeContext(), file, '--yes', '--config-dir', configDir);
  assert.match(again.err, /cannot be written/);
});

test('unreadable files do not keep the rest from the bundle', async (t) => {
  const { configDir } = hostOf(t);
  const file = path.join(configDir, 'agent.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as { stateDir: string };
  symlinkSync('/nowhere', path.join(config.stateDir, 'pki/old.key'));
  writeFileSync(file, JSON.stringify({ ...config, caDir: path.join(configDir, 'none') }));
  writeFileSync(path.join(configDir, 'relay.json'), '{');
  const { code, out, err } = await godwit(new FakeContext(), '--show', '--config-dir', configDir);
  assert.equal(code, 0, err);
  assert.match(out, /relay\.json \(.+\)\nnot available: /);
  assert.match(out, /pki\/old\.key$/m);
  assert.equal(out.includes(SECRET), false);
});

test('nothing is written before the operator, who can read all of it first, has agreed', async (t) => {
  const { configDir, file } = hostOf(t);
  for (const [answers, isWritten] of [
    [['n'], false],
    [[''], false],
    [['show', 'y'], true],
  ] as const) {
    const context = new FakeContext();
    context.answers = [...answers];
    const { code, out } = await godwit(context, file, '--config-dir', configDir);
    assert.equal(code === 0, isWritten);
    assert.equal(existsSync(file), isWritten);
    if (isWritten) assert.ok(out.includes(readFileSync(file, 'utf8')));
  }
  const other = path.join(path.dirname(file), 'other.txt');
  const { err } = await godwit(new FakeContext(), other, '--config-dir', configDir);
  assert.match(err, /no terminal[^]*--show[^]*--yes/);
  assert.equal(existsSync(other), false);
});

test('--show prints the text and writes nothing', async (t) => {
  const { configDir, file } = hostOf(t);
  const { out } = await godwit(new FakeContext(), file, '--show', '--config-dir', configDir);
  assert.match(out, /^==== godwit support bundle /m);
  assert.equal(existsSync(file), false);
});

test('a bundle has a bound in bytes, whatever its parts have, and names the cut parts', () => {
  const part = fc.record({
    name: fc.stringMatching(/^[a-z]{1,10}$/),
    text: fc
      .tuple(fc.string({ unit: 'binary', minLength: 1 }), fc.integer({ min: 0, max: 600_000 }))
      .map(([text, size]) => text.repeat(Math.ceil(size / text.length))),
    keep: fc.constantFrom('start' as const, 'end' as const),
  });
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const { text, entries } = makeBundle(parts, []);
      assert.ok(Buffer.byteLength(text) <= MAX_BUNDLE_BYTES);
      assert.deepEqual(
        entries.map(({ name }) => name),
        parts.map(({ name }) => name),
      );
    }),
    { numRuns: 20 },
  );
  const long = `${'old '.repeat(1_000_000)}newest`;
  const { text, entries } = makeBundle([{ name: 'log', text: long, keep: 'end' }], []);
  assert.ok(text.trimEnd().endsWith('newest'));
  assert.ok((entries[0]?.cutBytes ?? 0) > 0);
  assert.match(text, /^==== log \(.+, .+ cut at the start\)$/m);
});
