import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditEntry } from '../../../src/protocol/controller/audit.ts';
import { controllerOf } from '../../controller/test-controller.ts';
import { authority } from '../../rpc/test-contract.ts';
import { askingOf } from '../asking.ts';

test('the audit log is shown as a table and as JSON, by caller, object and time', async (t) => {
  const { caDir } = await authority(t);
  const { controller } = await controllerOf(t, caDir);
  const ask = askingOf(controller);
  const run = async (line: string) => {
    const { exit, out, err } = await ask(line);
    assert.equal(exit, 0, err);
    return out;
  };
  assert.match(await run('audit'), /^no entries\n$/);
  const secret = (await run('token create ann')).trim();
  await run('token revoke ann');
  const shown = await run('audit --since 1h');
  assert.match(shown, /^WHEN +WHO +BY +FROM +WHAT +RESULT +ARGUMENTS/);
  assert.match(
    shown,
    /a local process +socket \(local\) +this host +createToken +ok +.*"name":"ann"/,
  );
  assert.ok(!shown.includes(secret));
  const read = async (line: string) => JSON.parse(await run(line)) as { entries: AuditEntry[] };
  const { entries } = await read('audit --what revokeToken --json');
  assert.deepEqual(
    entries.map(({ what, result }) => [what, result]),
    [['revokeToken', 'ok']],
  );
  assert.deepEqual((await read('audit --who nobody --json')).entries, []);
  assert.match(await run('audit --limit 1'), /revokeToken[^]*older ones are not shown/);
});
