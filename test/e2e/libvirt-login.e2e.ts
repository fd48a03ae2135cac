import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runCommand } from '../../lab/command.ts';
import { missingPrograms } from '../../lab/environment.ts';
import { libvirtSocket, virsh } from '../../lab/libvirt/daemon.ts';
import { domainStates, startDomain } from '../../lab/libvirt/guest.ts';
import { ownTree } from '../../lab/libvirt/mounts.ts';
import { labHost } from '../../lab/state.ts';
import { restartLibvirtd } from './support/libvirt-daemon.ts';
import { assertSays, checkedRefusal, move } from './support/moves.ts';
import { saslauthd } from './support/saslauthd.ts';
import { openWorld, type World } from './support/world.ts';

const run = promisify(execFile);
const MIB = 1024 ** 2;
const HOSTS = ['a', 'b'] as const;
const THERE = { guest: 'web1', from: 'a', to: 'b' } as const;
const BACK = { guest: 'web1', from: 'b', to: 'a' } as const;
const [USER, PASSWORD] = ['godwit', 'of the lab'];
const NOBODY = 65_534;
const GODWIT = fileURLToPath(new URL('../../godwit', import.meta.url));
const CLIENT = fileURLToPath(new URL('../../src/drivers/libvirt/client.ts', import.meta.url));

/** Daemons that want a login on their socket and over TLS, as a site may configure them. */
describe('libvirt with a login', () => {
  let world: World;
  let passwords: Server;

  before(async () => {
    world = await openWorld('lvlog', { hosts: 2, manager: 'libvirt' });
    const { lab } = world;
    const socket = path.join(lab.dir, 'mux');
    passwords = await saslauthd(socket, (user, word) => user === USER && word === PASSWORD);
    const sasl = path.join(lab.dir, 'sasl2');
    mkdirSync(sasl);
    offer('plain', ['pwcheck_method: saslauthd', `saslauthd_path: ${socket}`]);
    // Of this process, which starts the daemons, and of virsh, the witness.
    const own = path.join(lab.dir, 'auth.conf');
    writeFileSync(own, authFile({ default: PASSWORD }));
    process.env['SASL_CONF_PATH'] = sasl;
    process.env['LIBVIRT_AUTH_FILE'] = own;
    await startDomain(lab, { name: 'web1', host: 'a', memoryBytes: 192 * MIB });
  });
  after(async () => {
    passwords?.close();
    await world?.close();
    delete process.env['SASL_CONF_PATH'];
    delete process.env['LIBVIRT_AUTH_FILE'];
  });

  /** How daemons that start from now on check a user. */
  function offer(mechanism: string, words: readonly string[]): void {
    const lines = [`mech_list: ${mechanism}`, ...words];
    writeFileSync(path.join(world.lab.dir, 'sasl2/libvirt.conf'), `${lines.join('\n')}\n`);
  }

  /** A user for each of these hosts, by libvirt's own way to write it. */
  function authFile(all: Readonly<Record<string, string>>): string {
    return Object.entries(all)
      .map(
        ([host, word]) =>
          `[credentials-${host}]\nauthname=${USER}\npassword=${word}\n[auth-libvirt-${host}]\ncredentials=${host}\n`,
      )
      .join('\n');
  }

  const fileOf = (host: string, name: string): string =>
    path.join(ownTree(labHost(world.lab, host)), 'etc/libvirt', name);

  async function configure(
    host: string,
    settings: Readonly<Record<string, string>>,
  ): Promise<void> {
    const file = fileOf(host, 'libvirtd.conf');
    const kept = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => !Object.keys(settings).some((name) => line.startsWith(`${name} =`)));
    const words = Object.entries(settings).map(([name, value]) => `${name} = "${value}"`);
    writeFileSync(file, `${[...kept, ...words].join('\n')}\n`);
    await restartLibvirtd(world.lab, host);
  }

  async function assertRunsAt(host: string): Promise<void> {
    assert.deepEqual(await domainStates(world.lab, 'web1'), [{ host, status: 'running' }]);
  }

  /** Whatever `godwit guests` says on a host, and however it ends. */
  async function guestsAt(host: string): Promise<string> {
    const { agentSocket } = labHost(world.lab, host);
    const env = { ...process.env, GODWIT_AGENT: agentSocket, NO_COLOR: '1' };
    const ended = run(GODWIT, ['guests'], { env, timeout: 60_000 });
    const { stdout, stderr } = await ended.catch((thrown: unknown) => {
      return thrown as { readonly stdout: string; readonly stderr: string };
    });
    return stdout + stderr;
  }

  test("a SASL login uses libvirt's own auth file, for agent and daemons, and a missing user is named", async () => {
    const { lab } = world;
    for (const host of HOSTS) await configure(host, { auth_unix_rw: 'sasl', auth_tls: 'sasl' });
    const { address } = labHost(lab, 'b');
    const wrong = authFile({ localhost: PASSWORD, [address]: 'another' });
    writeFileSync(fileOf('a', 'auth.conf'), wrong);
    const refused = await checkedRefusal(world, THERE);
    assert.ok(refused);
    assertSays(refused, 'GODWIT_MANAGER_DENIED', 'godwit of /etc/libvirt/auth.conf by PLAIN');
    writeFileSync(fileOf('a', 'auth.conf'), authFile({ default: PASSWORD }));
    await move(world, THERE);
    await assertRunsAt('b');
    // The other host has none at all: its agent says so where it lists its guests.
    assert.match(await guestsAt('b'), /auth\.conf has no user for localhost/);
    await assert.rejects(move(world, BACK), /managed by libvirt/);
    writeFileSync(fileOf('b', 'auth.conf'), authFile({ default: PASSWORD }));
    await move(world, BACK);
    await assertRunsAt('a');
  });

  test('a SCRAM login reveals no password', async (t) => {
    const { lab } = world;
    if ((await missingPrograms(['saslpasswd2'])).length > 0)
      return t.skip('nothing here writes a database of SASL (saslpasswd2, of sasl2-bin)');
    const database = path.join(lab.dir, 'passwd.db');
    for (const host of HOSTS) {
      const argv = ['saslpasswd2', '-p', '-c', '-f', database, '-u', host, USER];
      await runCommand(argv, { input: PASSWORD });
    }
    offer('scram-sha-256', ['auxprop_plugin: sasldb', `sasldb_path: ${database}`]);
    for (const host of HOSTS) await configure(host, {});
    await move(world, THERE);
    await move(world, BACK);
    await assertRunsAt('a');
    writeFileSync(fileOf('a', 'auth.conf'), authFile({ default: 'another' }));
    assert.match(await guestsAt('a'), /godwit of \/etc\/libvirt\/auth\.conf by SCRAM-SHA-256/);
    return undefined;
  });

  /** What a client of Godwit that runs as this user meets at a host's socket: `open`, or the error. */
  async function metBy(uid: number, host: string): Promise<string> {
    const uri = `qemu+unix:///system?socket=${libvirtSocket(labHost(world.lab, host))}`;
    const program = `
      const { LibvirtClient } = await import(${JSON.stringify(CLIENT)});
      process.setgroups([]);
      process.setgid(${uid});
      process.setuid(${uid});
      const none = { ca: '/none', cert: '/none', key: '/none' };
      await LibvirtClient.open(${JSON.stringify(uri)}, none, AbortSignal.timeout(20000)).then(
        (client) => { console.log('open'); client.close(); },
        (error) => console.log(error.code + ' ' + error.message + ' ' + error.hint),
      );`;
    const argv = ['--input-type=module', '-e', program];
    return (await run(process.execPath, argv, { timeout: 60_000 })).stdout.trim();
  }

  test('a polkit login admits root, and names the action that another user lacks', async () => {
    const { lab } = world;
    for (const host of HOSTS) rmSync(fileOf(host, 'auth.conf'), { force: true });
    for (const host of HOSTS)
      await configure(host, {
        auth_unix_rw: 'polkit',
        unix_sock_rw_perms: '0777',
        auth_tls: 'none',
      });
    await move(world, THERE);
    await assertRunsAt('b');
    assert.match(await virsh(lab, 'b', ['version']), /libvirt/);
    assert.equal(await metBy(0, 'a'), 'open');
    const met = await metBy(NOBODY, 'a');
    assert.match(met, /^GODWIT_MANAGER_DENIED .*polkit.*org\.libvirt\.unix\.manage/);
  });
});
