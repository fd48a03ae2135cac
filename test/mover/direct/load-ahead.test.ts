import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

/** Loads what a source's mover loads to serve, then all that it may load later; prints the modules after each. */
const STORY = `
  const { registerHooks } = await import('node:module');
  const urls = [];
  registerHooks({ load: (url, context, next) => { urls.push(url); return next(url, context); } });
  const at = (name) => new URL(name, process.argv[1]).href;
  const { resolveImportsDirectly } = await import(at('system/processes/small-process.ts'));
  resolveImportsDirectly();
  for (const name of ['mover/main.ts', 'mover/direct/source/main.ts', 'drivers/qemu/driver.ts']) await import(at(name));
  const first = [...urls];
  const { loadAhead } = await import(at('mover/direct/load-ahead.ts'));
  await loadAhead();
  console.log(JSON.stringify({ first, all: urls }));
`;

/** What few migrations need, or the other side's alone. */
const LATER = [
  'drivers/qemu/destination.ts',
  'drivers/qemu/source.ts',
  'disks/proof/iscsi/lun.ts',
  'disks/proof/nfs/client.ts',
  'migration/prediction/data-path.ts',
];

test('a mover begins with the modules of its side, and compiles everything else ahead', async () => {
  const src = new URL('../../../src/', import.meta.url).href;
  const flags = ['--input-type=module', '-e', STORY, src];
  const { stdout } = await promisify(execFile)(process.execPath, flags, { maxBuffer: 1 << 24 });
  const { first, all } = JSON.parse(stdout) as Record<'first' | 'all', string[]>;
  const has = (urls: readonly string[], name: string): boolean =>
    urls.some((url) => url.endsWith(`/${name}`));
  for (const name of LATER) {
    assert.ok(!has(first, name), `${name} is loaded at once`);
    assert.ok(has(all, name), `${name} is not compiled ahead`);
  }
  assert.ok(has(first, 'zod/v4/locales/en.js') && !has(first, 'zod/v4/locales/de.js'));
});
