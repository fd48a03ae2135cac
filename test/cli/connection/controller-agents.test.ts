import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { connect } from '../../../src/cli/connection/connect.ts';
import { controllerOfTwo } from '../../controller/test-controller.ts';
import { until } from '../../until.ts';
import { FakeContext, godwit } from '../fake.ts';

/** `godwit` at a place that reaches a controller of the hosts a and b, and no agent. */
async function afar(t: TestContext) {
  const { a, b, controller, api } = await controllerOfTwo(t);
  const run = async (line: string) => {
    const context = new FakeContext();
    context.env['GODWIT_CONTROLLER'] = controller.socket;
    context.connect = (flags = {}) =>
      connect(flags, context.env, { config: '/nowhere', sockets: [] });
    const exit = await godwit(context, line);
    return { exit, out: context.out.text, err: context.err.text };
  };
  return { a, b, api, run };
}

test('a guest is shown, labelled and moved through a controller, and its migration is followed and cancelled by its name', async (t) => {
  const { a, api, run } = await afar(t);
  const shown = await run('guest web1 --json');
  assert.equal(shown.exit, 0, shown.err);
  assert.match(shown.out, /"host":\s*"a"/);
  const labelled = await run('label web1 team=web');
  assert.equal(labelled.exit, 0, labelled.err);
  assert.match(labelled.out, /team=web/);
  const begun = await run('migrate web1 --to b --detach');
  assert.equal(begun.exit, 0, begun.err);
  const id = begun.out.trim();
  assert.deepEqual(a.movers.started, [id]);
  await until('the migration to be listed', 20_000, async () =>
    (await api.migrations()).migrations.some((each) => each.id === id) ? true : undefined,
  );
  const cancelled = await run('cancel web1');
  assert.match(`${cancelled.out}${cancelled.err}`, new RegExp(id));
  const { entries } = await api.audit({ query: { what: 'host.migrate' } });
  assert.equal(entries.length, 1);
});

test('a guest and a host that the controller does not know are refused by name', async (t) => {
  const { run } = await afar(t);
  const guest = await run('migrate web9 --to b');
  assert.equal(guest.exit, 3, guest.err);
  assert.match(guest.err, /no guest (?:is )?called web9|web9/);
  const host = await run('migrate web1 --to zz');
  assert.equal(host.exit, 3, host.err);
  assert.match(host.err, /zz/);
});

test('a controller and an agent on one line are refused before either is asked', async () => {
  const context = new FakeContext();
  context.connect = (flags = {}) => connect(flags, {}, { config: '/nowhere', sockets: [] });
  const line = 'migrate web1 --to b --controller /c.sock --agent /a.sock';
  assert.equal(await godwit(context, line), 2);
  assert.match(context.err.text, /--controller and --agent are both given/);
});
