import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fleet } from '../../agent/samples.ts';
import { controllerOf } from '../../controller/test-controller.ts';
import { until } from '../../until.ts';
import { askingOf } from '../asking.ts';

test("a note on a host is set, shown with the policy's verdict, and removed", async (t) => {
  const { host, caDir } = await fleet(t);
  const a = await host('a', {});
  const hosts = { a: { address: a.agent.address, addresses: [] } };
  const { controller, api } = await controllerOf(t, caDir, { hosts });
  const run = askingOf(controller);
  await until('the host', 20_000, async () =>
    (await api.hosts()).hosts[0]?.state === 'up' ? true : undefined,
  );
  assert.match((await run('maintenance a --note fan')).out, /a: noted/);
  assert.match((await run('hosts')).out, /^a: maintenance: fan$/m);
  await until('what the policy makes of it', 30_000, async () =>
    (await run('hosts')).out.includes('a: ill since') ? true : undefined,
  );
  assert.match((await run('hosts')).out, /noted for maintenance; `godwit drain a` would empty it/);
  assert.match((await run('maintenance a --clear')).out, /taken away/);
  assert.doesNotMatch((await run('hosts')).out, /fan/);
  assert.match((await run('maintenance zz --clear')).err, /zz/);
  for (const wrong of ['', '--note x --clear', `--note ${'x'.repeat(501)}`])
    assert.equal((await run(`maintenance a ${wrong}`)).exit, 2);
});
