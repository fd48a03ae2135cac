import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { FleetGuest, ListedHost } from '../../src/protocol/controller/fleet.ts';
import { holderOfSocket } from '../../src/rpc/port-holder.ts';
import {
  add,
  agent,
  close,
  dir,
  down,
  godwit,
  inState,
  open,
  PASSWORD,
  REPO,
  said,
  shown,
  socket,
  stateDir,
  filesWithPassword,
  untilSoOrSaid,
  up,
  vcenter,
  WAIT_MS,
} from './support/vcenter-controller.ts';

describe('a vCenter added to a controller', () => {
  before(open);
  after(close);

  test('a vCenter is refused with a wrong password and with another certificate, and nothing is stored', async () => {
    writeFileSync(vcenter.passwordFile, 'wrong\n');
    const denied = await add('vc1');
    writeFileSync(vcenter.passwordFile, `${PASSWORD}\n`);
    assert.equal(denied.exit, 4, denied.out + denied.err);
    assert.match(denied.err, /does not allow a login as godwit/);
    const other = await add('vc1', '--fingerprint', 'ab'.repeat(32));
    assert.match(other.err, /not the one that was pinned/);
    assert.match((await godwit('manager', 'list')).out, /no managers/);
    assert.equal(existsSync(path.join(stateDir(), 'managers')), false);
  });

  test('a vCenter shows its certificate and is not pinned if no person compares it', async () => {
    const { url, user, passwordFile, fingerprint } = vcenter.section;
    const words = ['--vsphere', url, '--user', user, '--password-file', passwordFile];
    const asked = await godwit('manager', 'add', 'vc1', ...words);
    assert.equal(asked.exit, 2, asked.out);
    assert.match(asked.err, new RegExp(`--fingerprint ${fingerprint}`));
  });

  test('a vCenter is pinned by a person at a terminal, who types the password unseen', async () => {
    const { url, user, fingerprint } = vcenter.section;
    const line = `${path.join(REPO, 'godwit')} manager add vc2 --vsphere ${url} --user ${user}`;
    const env = { ...process.env, NO_COLOR: '1', GODWIT_CONTROLLER: socket() };
    const child = spawn('script', ['-qec', line, '/dev/null'], { env, timeout: WAIT_MS });
    let screen = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (screen += text));
    const ended = once(child, 'exit');
    const asked = (words: RegExp) => untilSoOrSaid(() => Promise.resolve(words.test(screen)));
    await asked(/Type yes to pin it: /);
    assert.match(screen, new RegExp(fingerprint));
    child.stdin.write('yes\n');
    await asked(/Password of godwit: /);
    child.stdin.write(`${PASSWORD}\n`);
    const [exit] = (await ended) as [number | null];
    assert.equal(exit, 0, screen);
    assert.match(screen, /vc2 was added/);
    assert.doesNotMatch(screen, new RegExp(PASSWORD));
    assert.equal((await shown('vc2')).fingerprint, fingerprint);
    assert.equal((await godwit('manager', 'remove', 'vc2')).exit, 0);
  });

  test('a vCenter gets a dedicated agent, which lists, checks, moves and reports by the same commands', async () => {
    const added = await add('vc1');
    assert.equal(added.exit, 0, added.out + added.err);
    assert.equal((await add('vc1')).exit, 2);
    await inState('vc1', 'up');
    const { hosts, guests } = await shown('vc1');
    assert.equal(guests, 12);
    assert.ok(hosts !== undefined && hosts > 1);
    const guest = 'DC0_C0_RP0_VM0';
    await vcenter.ask({ do: 'move', name: guest, value: 'DC0_C0_H0' });
    assert.match((await agent('guests', '--fresh')).out, new RegExp(`${guest} .*dc0-c0-h0`));
    assert.equal((await agent('migrate', guest, '--to', 'dc0-c0-h1', '--dry-run')).exit, 0);
    const moved = await agent('migrate', guest, '--to', 'dc0-c0-h1');
    assert.equal(moved.exit, 0, moved.out + moved.err);
    const id = /m-[0-9a-z]+/.exec(moved.out)?.[0] ?? '';
    assert.match((await agent('report', id)).out, /by its manager/);
    assert.equal((await vcenter.guests())[guest]?.host, 'DC0_C0_H1');
    assert.equal((await godwit('manager', 'show', 'vc1', '--check')).exit, 0);
  });

  test("the hosts and guests of a vCenter are in the controller's list, each with its name", async () => {
    const listed = async (): Promise<FleetGuest[]> => {
      const found = await godwit('guests', '--json');
      assert.equal(found.exit, 0, found.err);
      return (JSON.parse(found.out) as { guests: FleetGuest[] }).guests;
    };
    await untilSoOrSaid(async () => (await listed()).length === 12);
    const found = await godwit('hosts', '--json');
    const { hosts } = JSON.parse(found.out) as { hosts: ListedHost[] };
    assert.ok(hosts.length > 1);
    for (const host of hosts) {
      assert.deepEqual([host.manager, host.state], ['vc1', 'up'], JSON.stringify(host));
      assert.ok((host.memoryBytes ?? 0) > 0 && (host.cores ?? 0) > 0, JSON.stringify(host));
    }
    const seen = new Map((await listed()).map(({ name, host }) => [name, host]));
    for (const [name, { host }] of Object.entries(await vcenter.guests()))
      assert.equal(seen.get(name), host.toLowerCase().replaceAll('_', '-'), name);
    const [guest = ''] = seen.keys();
    await vcenter.ask({ do: 'move', name: guest, value: 'DC0_C0_H2' });
    await untilSoOrSaid(async () =>
      (await listed()).some(({ name, host }) => name === guest && host === 'dc0-c0-h2'),
    );
    assert.equal((await listed()).length, 12, 'it is at one host');
  });

  test('the guests of a vCenter are checked, planned, moved, watched and reported through the controller', async () => {
    const guest = 'DC0_C0_RP0_VM1';
    await vcenter.ask({ do: 'move', name: guest, value: 'DC0_C0_H0' });
    const ask = (...args: readonly string[]) => godwit(...args, '--manager', 'vc1');
    await untilSoOrSaid(async () => (await ask('guests', '--fresh')).out.includes('dc0-c0-h0'));
    assert.equal((await ask('migrate', guest, '--to', 'dc0-c0-h1', '--dry-run')).exit, 0);
    const moved = await ask('migrate', guest, '--to', 'dc0-c0-h1');
    assert.equal(moved.exit, 0, moved.out + moved.err);
    assert.equal((await vcenter.guests())[guest]?.host, 'DC0_C0_H1');
    const id = /m-[0-9a-z]+/.exec(moved.out)?.[0] ?? '';
    assert.equal((await ask('watch', id)).exit, 0);
    assert.match((await ask('report', id)).out, /by its manager/);
    await untilSoOrSaid(async () => (await godwit('report', id)).exit === 0);
    assert.match((await godwit('migrations')).out, new RegExp(id));
    assert.match((await godwit('audit')).out, /manager\.migrate/);
    const unknown = await godwit('guests', '--manager', 'vc2');
    assert.match(unknown.err, /Did you mean vc1/);
  });

  test('a host of a vCenter is drained by a request of the controller, within the vCenter alone', async () => {
    const drained = await godwit('drain', 'dc0-c0-h1', '--yes');
    assert.equal(drained.exit, 0, drained.out + drained.err);
    const left = Object.values(await vcenter.guests()).filter(({ host }) => host === 'DC0_C0_H1');
    assert.deepEqual(left, []);
    assert.equal((await godwit('undrain', 'dc0-c0-h1')).exit, 0);
  });

  test('a host in maintenance mode gets no guest', async () => {
    await vcenter.ask({
      do: 'host',
      name: 'DC0_C0_H2',
      key: 'runtime.inMaintenanceMode',
      value: 'true',
    });
    await untilSoOrSaid(async () =>
      (await godwit('hosts', '-o', 'json')).out.includes('maintenance mode'),
    );
    const drained = await godwit('drain', 'dc0-c0-h0', '--yes');
    assert.equal(drained.exit, 0, drained.out + drained.err);
    const { DC0_C0_RP0_VM1: guest } = await vcenter.guests();
    assert.notEqual(guest?.host, 'DC0_C0_H0');
    await vcenter.ask({
      do: 'host',
      name: 'DC0_C0_H2',
      key: 'runtime.inMaintenanceMode',
      value: 'false',
    });
    assert.equal((await godwit('undrain', 'dc0-c0-h0')).exit, 0);
  });

  test('the password of a vCenter is in memory and sealed, and in no file, log or argument', async () => {
    assert.deepEqual(filesWithPassword(dir), []);
    assert.doesNotMatch(said, new RegExp(PASSWORD));
    const rotated = await godwit('manager', 'rotate-key');
    assert.match(rotated.out, /the password of 1 manager with a new key/);
    assert.deepEqual(filesWithPassword(dir), []);
  });

  test('a vCenter is reported silent while it is down, and up once it is back', async () => {
    await vcenter.down();
    await inState('vc1', 'silent');
    const silent = await shown('vc1');
    assert.match(silent.reason ?? '', /vCenter/);
    assert.equal(silent.guests, 12, 'what it reported last is kept');
    assert.match((await godwit('manager', 'list')).out, /vc1 .*silent/);
    const host = async (): Promise<ListedHost | undefined> => {
      const { hosts } = JSON.parse((await godwit('hosts', '--json')).out) as {
        hosts: ListedHost[];
      };
      return hosts.find(({ name }) => name === 'dc0-c0-h0');
    };
    await untilSoOrSaid(async () => (await host())?.state === 'silent');
    const { reason, since } = (await host()) ?? {};
    assert.match(reason ?? '', /its manager vc1 is silent/);
    assert.ok(Date.parse(since ?? '') <= Date.now());
    const guests = await godwit('guests', '--json');
    const reported = (JSON.parse(guests.out) as { guests: FleetGuest[] }).guests;
    assert.equal(reported.length, 12);
    assert.ok(reported.every(({ hostState }) => hostState === 'silent'));
    await vcenter.up();
    await inState('vc1', 'up');
  });

  test('the agent of a vCenter returns if it is killed, and if its controller is', async () => {
    const at = path.join(stateDir(), 'managers/vc1/agent.sock');
    const first = holderOfSocket(at)?.pid ?? 0;
    process.kill(first, 'SIGKILL');
    await untilSoOrSaid(async () => ![undefined, first].includes(holderOfSocket(at)?.pid));
    await inState('vc1', 'up');
    const second = holderOfSocket(at)?.pid;
    await down('SIGKILL');
    await up();
    await inState('vc1', 'up');
    assert.equal(holderOfSocket(at)?.pid, second, 'it is taken over');
  });

  test('a vCenter with another certificate is silent and gets no more calls', async () => {
    await vcenter.ask({ do: 'certificate' });
    await vcenter.down();
    await vcenter.up();
    await untilSoOrSaid(async () =>
      /not the one that was pinned/.test((await shown('vc1')).reason ?? ''),
    );
    assert.equal((await shown('vc1')).state, 'silent');
  });

  test('a vCenter is removed with its password and its agent', async () => {
    const at = path.join(stateDir(), 'managers/vc1');
    const config = JSON.parse(readFileSync(path.join(at, 'agent.json'), 'utf8')) as {
      drivers: { vsphere: { passwordFile: string } };
    };
    const { passwordFile } = config.drivers.vsphere;
    assert.equal(existsSync(passwordFile), true);
    const removed = await godwit('manager', 'remove', 'vc1');
    assert.equal(removed.exit, 0, removed.err);
    assert.equal(existsSync(passwordFile), false);
    assert.equal(existsSync(at), false);
    assert.equal(holderOfSocket(path.join(at, 'agent.sock')), undefined);
    assert.match((await godwit('manager', 'list')).out, /no managers/);
    assert.equal((await godwit('manager', 'show', 'vc1')).exit, 3);
  });
});
