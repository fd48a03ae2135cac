import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { writeContexts } from '../../src/cli/connection/fleet-contexts.ts';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { JSON_SHAPES } from '../../tools/docs/json-shapes.ts';
import { inHost } from '../../lab/entry.ts';
import { labHost } from '../../lab/state.ts';
import { report as reportShape } from '../../src/protocol/public/migration.ts';
import { startBareGuest } from './support/bare-guest.ts';
import { godwit, PROGRAM, runToEnd } from './support/cli.ts';
import { setPath } from './support/paths.ts';
import { begin, follow, reportAtEnd, SLOW, untilMemoryFlows } from './support/moves.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const INCOMPLETE = 8;

describe('the output of the command line', () => {
  let world: World;

  before(async () => {
    world = await openWorld('prompt', { hosts: 3 });
    await startGuest(world.lab, { name: 'web1', host: 'c', ...SMALL_GUEST });
  });
  after(() => world?.close());

  test('a silent host is named, whichever agent is asked, and the exit code is an error', async () => {
    await stopAgent(world.lab, 'c');
    try {
      for (const where of [[], ['--host', 'a']]) {
        const guests = await godwit(world, 'guests', ...where);
        assert.equal(guests.exit, INCOMPLETE, guests.out + guests.err);
        assert.match(guests.out, /^no guests on the hosts that answered$/m);
        assert.match(guests.err, /^error: the list of guests is incomplete: no answer from c /m);
        const guest = await godwit(world, 'guest', 'web1', ...where);
        assert.equal(guest.exit, INCOMPLETE, guest.out + guest.err);
        assert.match(guest.err, /^error: the search for web1 is incomplete: no answer from c /m);
        const list = await godwit(world, 'migrations', '--json', ...where);
        assert.equal(list.exit, INCOMPLETE, list.out + list.err);
        const reported = JSON_SHAPES['migrations']?.parse(JSON.parse(list.out)) as {
          missing: { host: string }[];
        };
        assert.deepEqual(
          reported.missing.map(({ host }) => host),
          ['c'],
        );
      }
    } finally {
      await startAgent(world.lab, 'c');
    }
    const guests = await godwit(world, 'guests', '--host', 'a');
    assert.equal(guests.exit, 0, guests.out + guests.err);
    assert.match(guests.out, /^web1 +c /m);
  });

  test("a command goes to the guest's host, with the caller's certificate and no other", async () => {
    const without = await onHost('a', {}, 'migrate', 'web1', '--to', 'a', '--detach');
    assert.equal(without.exit, 3, without.out + without.err);
    assert.match(without.err, /hint: It is on c: run this there, or give a certificate of yours/);
    const moved = await onHost('a', operator(), 'migrate', 'web1', '--to', 'a');
    assert.equal(moved.exit, 0, moved.out + moved.err);
    assert.match(moved.out, /web1 moved from c to a/);
    // Where it runs now, it does run already.
    const again = await onHost('b', operator(), 'migrate', 'web1', '--to', 'a');
    assert.match(again.err, /error: web1 already runs on a/);
  });

  test('a moving guest is listed once, with both hosts and the host that runs it', async () => {
    const id = await begin(world, { guest: 'web1', from: 'a', to: 'b', ...SLOW });
    await untilMemoryFlows(world, 'a', id);
    for (const where of ['a', 'b', 'c']) {
      const { out } = await godwit(world, 'guests', '--host', where);
      const rows = out.split('\n').filter((line) => line.startsWith('web1'));
      assert.equal(rows.length, 1, out);
      assert.match(rows[0] ?? '', new RegExp(`^web1 +a .*moving from a to b, runs on a .${id}`));
    }
    const { out } = await godwit(world, 'guests', '--host', 'b', '--json');
    const [row] = JSON.parse(out).guests;
    const { epoch, ...moving } = row.moving;
    assert.deepEqual(moving, { from: 'a', to: 'b', runsAt: 'source' });
    assert.ok(Number.isSafeInteger(epoch), out);
    // Who asks the destination cancels at the source.
    const cancelled = await onHost('b', operator(), 'cancel', id);
    assert.equal(cancelled.exit, 0, cancelled.out + cancelled.err);
    await reportAtEnd(world, 'a', id);
    await sameStory(id, 'cancelled');
    const next = await begin(world, { guest: 'web1', from: 'a', to: 'b', mode: 'hybrid' });
    const { checks } = await reportAtEnd(world, 'a', next);
    const ofLink = checks.filter(({ evidence }) => / to b (takes|carries|over)\b/.test(evidence));
    assert.deepEqual(
      ofLink.map(({ name }) => name),
      ['round-trip', 'link', 'migration-network'],
    );
    assert.match(ofLink[2]?.evidence ?? '', /over mig0, a network of its own/);
    await sameStory(next, 'done');
  });

  /** Both ends report the same; a destination that cannot ask its source says what it does not know, in the same words. */
  async function sameStory(id: string, outcome: string): Promise<void> {
    const report = async (host: string) => {
      const { out, err, exit } = await godwit(world, 'report', id, '--host', host, '--json');
      assert.equal(exit, 0, err);
      return reportShape.parse(JSON.parse(out));
    };
    const source = await report('a');
    assert.deepEqual(await report('b'), source);
    await stopAgent(world.lab, 'a');
    try {
      const alone = await report('b');
      assert.deepEqual(
        [alone.outcome, alone.mode, alone.settings, alone.error, alone.runsAt, alone.side],
        [outcome, source.mode, source.settings, source.error, source.runsAt, 'destination'],
      );
      assert.equal(alone.bytes, undefined);
      const { out } = await godwit(world, 'report', id, '--host', 'b');
      assert.match(out, /^not known to b +bytes sent, rounds, throughput/m);
    } finally {
      await startAgent(world.lab, 'a');
    }
  }

  test('the details show what migrate would refuse for a guest, and the warnings for a migration', async () => {
    const args = '-device qemu-xhci,id=xhci -device usb-host,id=stick1,vendorid=1,productid=1';
    const tied = await startBareGuest(world, { name: 'tied', host: 'a', args: args.split(' ') });
    try {
      const shown = await godwit(world, 'guest', 'tied');
      assert.match(shown.out, /^can move +not to b .devices: .*stick1/m);
      const dry = await godwit(world, 'migrate', 'tied', '--to', 'b', '--dry-run');
      assert.equal(dry.exit, 4, dry.out);
      assert.match(dry.out, /^tied would stay where it is; nothing was begun$/m);
    } finally {
      await tied.stop();
    }
    const dry = await godwit(world, 'migrate', 'web1', '--to', 'a', '--dry-run');
    assert.match(dry.out, /^Predicted$[^]*\nweb1 would move to a by precopy; nothing was begun$/m);
    const warned = [...dry.out.matchAll(/^warn +(\S+) /gm)].map(([, name]) => name);
    const moved = await godwit(world, 'migrate', 'web1', '--to', 'a');
    assert.equal(moved.exit, 0, moved.err);
    const [before = '', after = ''] = moved.out.split('moved from');
    for (const name of new Set(warned)) {
      assert.ok(before.includes(`warn    ${name} `), `${name} before\n${moved.out}`);
      assert.ok(after.includes(`warn    ${name} `), `${name} after\n${moved.out}`);
    }
  });

  test('a stalled link is shown with its start and its limit, without an old rate, and is named at the end', async () => {
    const asked = { guest: 'web1', from: 'a', to: 'b', mode: 'hybrid', timeoutMs: 20_000 } as const;
    const id = await begin(world, { ...asked, ...SLOW, hybridRounds: 50 });
    await untilMemoryFlows(world, 'a', id);
    let sent = 0;
    await setPath(world, 'b', 0, 'black hole');
    try {
      const line = await follow(world, 'a', id, ({ still }) => still !== undefined);
      sent = line.sample?.transferredBytes ?? 0;
      const { out } = await godwit(world, 'report', id, '--json');
      const { bytes: reported = 0 } = reportShape.parse(JSON.parse(out));
      assert.ok(sent > 0 && reported >= sent, `${reported} of ${sent}`);
      assert.deepEqual([line.sample?.rate, line.sample?.dirtyRate, line.etaMs], [0, 0, undefined]);
      assert.match(line.note ?? '', /^the link to b has been stalled since .* waited for until /);
      const over = await follow(world, 'a', id, ({ phase }) => phase === 'undoing');
      assert.deepEqual([over.sample, over.etaMs, over.still], [undefined, undefined, undefined]);
      assert.doesNotMatch(over.note ?? '', /waited for/);
    } finally {
      await setPath(world, 'b', 0, 'open');
    }
    const { outcome, error, bytes = 0 } = await reportAtEnd(world, 'a', id);
    assert.deepEqual([outcome, error?.code], ['failed', 'GODWIT_LINK_STILL']);
    assert.ok(bytes >= sent, `${bytes} of ${sent}`);
    assert.match(error?.message ?? '', /the link from a to b has carried no data of web1/);
    assert.doesNotMatch(error?.hint ?? '', /hybrid/);
  });

  test('a signal detaches the command, and the migration continues by itself', async () => {
    for (const [signal, exit] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const) {
      const args = ['migrate', 'web1', '--to', 'b', '--max-bandwidth', '4MiB/s'];
      const child = spawn(PROGRAM, args, {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, GODWIT_LAB: world.lab.name, NO_COLOR: '1' },
      });
      const said = { out: '', err: '' };
      const flows = new Promise<void>((resolve) => {
        child.stdout.setEncoding('utf8').on('data', (text: string) => {
          said.out += text;
          if (/sending memory/.test(said.out)) resolve();
        });
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
      const ended = once(child, 'close');
      await Promise.race([flows, ended]);
      child.kill(signal);
      const [code] = (await ended) as [number];
      assert.equal(code, exit, said.out + said.err);
      const id = /^Detached: .*godwit watch (m-[a-z0-9]+)/m.exec(said.err)?.[1] ?? '';
      const { phase } = await world.agent('a').migration({ params: { id } });
      assert.equal(phase, 'memory');
      await world.agent('a').cancel({ params: { id } });
      assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'cancelled');
    }
  });

  /** Who has the operator's certificate in a context. */
  const operator = () => {
    const own = path.join(world.lab.dir, 'config');
    const contexts = { me: { certificates: path.join(world.lab.dir, 'operator') } };
    writeContexts({ XDG_CONFIG_HOME: own }, { current: 'me', contexts });
    return { XDG_CONFIG_HOME: own };
  };

  /** The command line as somebody on that host runs it, who has its agent's socket. */
  async function onHost(host: string, env: Readonly<Record<string, string>>, ...args: string[]) {
    const socket = labHost(world.lab, host).agentSocket;
    const words = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const argv = inHost(world.lab, host, ['env', 'NO_COLOR=1', ...words, PROGRAM, ...args]);
    return runToEnd([...argv, '--agent', socket]);
  }
});
