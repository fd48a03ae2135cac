import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { silentLog } from '../../src/log.ts';
import { buildWeb } from '../../tools/web.ts';
import { Browser } from '../controller/browser.ts';
import { controllerOf } from '../controller/test-controller.ts';
import { authority, tempDir } from '../rpc/test-contract.ts';

test('the dashboard is built of files that a controller serves, and of no others', async (t) => {
  const pages = path.join(tempDir(t), 'web');
  buildWeb(pages);
  const { caDir } = await authority(t);
  const web = { address: '127.0.0.1:0' };
  const { controller } = await controllerOf(t, caDir, { web }, silentLog, pages);
  const browser = new Browser(t, controller.web ?? '', caDir);
  const built = readdirSync(pages, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map(({ parentPath, name }) => path.relative(pages, path.join(parentPath, name)));
  assert.ok(built.includes('index.html') && built.includes('app.js'));
  for (const file of built) assert.equal((await browser.ask(`/${file}`)).status, 200, file);
});

test("the dashboard's program contains no schemas, which are large and need a forbidden eval", (t) => {
  const pages = path.join(tempDir(t), 'web');
  buildWeb(pages);
  for (const name of ['app.js', 'overview-worker.js']) {
    const text = readFileSync(path.join(pages, name), 'utf8');
    assert.ok(!text.includes('ZodError'), name);
    assert.ok(text.length < 400_000, `${name}: ${text.length}`);
  }
});
