import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { exitOfRequest } from '../../../src/cli/fleet/at-controller.ts';
import { REQUEST_PHASES } from '../../../src/protocol/controller/fleet-request.ts';
import { controllerOfTwo } from '../../controller/test-controller.ts';
import { until } from '../../until.ts';
import { FakeContext, godwit } from '../fake.ts';
import { askingOf } from '../asking.ts';

/** A controller of two hosts, and `godwit` that asks it. */
async function asking(t: TestContext) {
  const { a, controller } = await controllerOfTwo(t);
  const run = askingOf(controller);
  return { a, run };
}

interface HostsAnswer {
  readonly hosts: readonly {
    readonly name: string;
    readonly closed?: { readonly request: string };
  }[];
}

test('a drain is shown, requested, followed by its id, cancelled and ended with fitting messages', async (t) => {
  const { a, run } = await asking(t);
  const dry = await run('drain a --dry-run');
  assert.equal(dry.exit, 0, dry.err);
  assert.match(dry.out, /web1 +a → b/);
  assert.match(dry.out, /1 move, 1 at a time/);
  assert.match(dry.out, /stays: web2 on a: .*usb0/);
  assert.deepEqual(a.movers.started, []);
  const nobody = await run('drain a');
  assert.equal(nobody.exit, 2);
  assert.match(nobody.err, /there is no terminal.*--yes/s);
  assert.match((await run('requests')).out, /no requests/);
  const unnamed = await run('recover a --insist web1=1');
  assert.equal(unnamed.exit, 2, unnamed.out);
  assert.match(unnamed.err, /--insist takes GUEST=NUMBER, and not "web1=1"/);
  const begun = await run('drain a --yes --detach --json');
  assert.equal(begun.exit, 0, begun.err);
  const { id } = JSON.parse(begun.out) as { id: string };
  await until('the move to begin', 20_000, async () => {
    return a.movers.started.length === 1 ? true : undefined;
  });
  const shown = await run(`requests ${id}`);
  assert.match(shown.out, new RegExp(`${id}: drain of a: working`));
  assert.match(shown.out, /m-\w+ +web1 +a → b/);
  const cancelled = await run('drain a --cancel --roll-back');
  assert.equal(cancelled.exit, 0, cancelled.err);
  assert.match(cancelled.out, /no further moves start; moves in progress are rolled back/);
  await until('the drain to end', 30_000, async () => {
    return /cancelled/.test((await run('requests')).out) ? true : undefined;
  });
  const over = await run('drain a --cancel');
  assert.equal(over.exit, 4, over.out);
  assert.match(over.err, new RegExp(`${id}, drain of a, has already ended: cancelled`));
  assert.match(over.err, /godwit undrain/);
  const none = await run('drain b --cancel');
  assert.equal(none.exit, 3, none.out);
  assert.match(none.err, /no request of kind drain for b/);
  // Nobody may come to it yet: the list says so, until it is opened.
  assert.match((await run('hosts')).out, /^a +up, closed .*since .* for r-\w+.*godwit undrain a/m);
  const closed = JSON.parse((await run('hosts --json')).out) as HostsAnswer;
  assert.deepEqual(
    closed.hosts.map(({ name, closed: by }) => [name, by?.request]),
    [
      ['a', id],
      ['b', undefined],
    ],
  );
  assert.match((await run('undrain a')).out, /guests may come to it again/);
  assert.match((await run('hosts')).out, /^a +up +127/m);
});

test('a drain of an unknown host, to an unknown host, or without a controller is refused by name', async (t) => {
  const { run } = await asking(t);
  assert.match((await run('drain zz --dry-run')).err, /zz/);
  const opened = await run('undrain aa');
  assert.equal(opened.exit, 3, opened.out);
  assert.match(opened.err, /no host is called aa/);
  assert.match((await run('drain a --to , --dry-run')).err, /--to names no host/);
  assert.match((await run('requests r-00000000')).err, /no request r-00000000/);
  const context = new FakeContext();
  assert.equal(await godwit(context, 'drain a --dry-run'), 2);
  assert.match(context.err.text, /no controller is named.*GODWIT_CONTROLLER/s);
});

test('the exit code tells whether the host is empty', () => {
  const exits = Object.fromEntries(REQUEST_PHASES.map((phase) => [phase, exitOfRequest(phase)]));
  assert.deepEqual(exits, { working: 0, cancelling: 0, done: 0, left: 5, cancelled: 6 });
});
