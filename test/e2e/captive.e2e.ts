import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { closedAbove } from '../../src/drivers/qemu/user/access.ts';
import { confined, type RunAs } from '../../src/drivers/qemu/user/confine.ts';
import { inHost } from '../../lab/entry.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { labHost } from '../../lab/state.ts';
import { seenQemus, type SeenQemu } from '../../lab/witness/qemus.ts';
import { move } from './support/moves.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
const skip = isRoot ? false : 'only root has other users';
/** More than a lab has. */
const MAX_BYTES = 64 * MIB;

interface CaptiveReport {
  readonly found: Readonly<Record<string, string[]>>;
  readonly reported: Readonly<Record<string, string>>;
}

/**
 * A program with the user, groups and privileges of a guest's QEMU, and without its filter of system calls: what it cannot
 * do, a QEMU that was taken over cannot. What it tries is all that is on the host.
 */
describe('a compromised QEMU', { skip }, () => {
  let world: World;
  let top: string;
  let qemu: SeenQemu;
  /** Of a guest that somebody else started. */
  let bare: SeenQemu;
  let as: RunAs;
  let said: CaptiveReport;
  const stateDirs = (): string[] => ['a', 'b'].map((host) => labHost(world.lab, host).stateDir);
  const guestDir = (): string => path.join(labHost(world.lab, 'b').stateDir, 'guests', 'web1');

  before(async () => {
    world = await openWorld('captiv', { hosts: 2 });
    top = fs.mkdtempSync(path.join(tmpdir(), 'godwit-captive-'));
    fs.chmodSync(top, 0o755);
    const disks = [
      { bytes: 16 * MIB, thin: true, backed: true },
      { bytes: 8 * MIB, thin: false },
    ];
    const common = { memoryBytes: 160 * MIB, workingSetBytes: 8 * MIB, disks };
    await startGuest(world.lab, { name: 'web1', host: 'a', ...common });
    await startGuest(world.lab, { name: 'web2', host: 'a', ...common });
    await startGuest(world.lab, { name: 'db1', host: 'b', ...common });
    await move(world, { guest: 'web1', from: 'a', to: 'b' });
    await move(world, { guest: 'web2', from: 'a', to: 'b' });
    const seen = await seenQemus(world.lab);
    const found = seen.find(({ guest, host }) => guest === 'web1' && host === 'b');
    assert.ok(found !== undefined);
    qemu = found;
    const byHand = seen.find(({ guest }) => guest === 'db1');
    assert.ok(byHand !== undefined);
    bare = byHand;
    as = identityOf(qemu.pid);
    said = await asCaptive();
  });
  after(async () => {
    await world?.close();
    if (top !== undefined) fs.rmSync(top, { recursive: true, force: true });
  });

  test('a compromised QEMU opens, lists, creates and replaces nothing but its own files', () => {
    const wrong = Object.entries(said.found).flatMap(([place, done]) =>
      done.filter((what) => !isOwn(place, what)).map((what) => `${what} ${place}`),
    );
    assert.deepEqual(wrong, []);
  });

  test('a compromised QEMU has its disks and its directory, and may signal itself', () => {
    const disks = [...imagesOf(qemu.pid).written].filter((file) => !file.startsWith(guestDir()));
    assert.equal(disks.length, 2, disks.join());
    for (const file of disks) {
      assert.deepEqual(said.found[file], ['read', 'write'], file);
    }
    assert.deepEqual(said.found[guestDir()], ['list', 'make']);
    assert.ok(said.found[path.join(guestDir(), 'qmp.sock')]?.includes('connect'));
    assert.ok(said.found[`process ${qemu.pid}`]?.includes('signal'));
  });

  test('a compromised QEMU cannot become another user by a setuid program', () => {
    assert.equal(said.reported[`${setuid()} -u`], `0: ${as.uid}`);
  });

  test('a compromised QEMU enters and changes no network, and attaches to no port of another guest', () => {
    const words = Object.entries(said.reported).filter(
      ([program]) => !program.startsWith(setuid()),
    );
    const own = new Set(qemu.taps);
    const theirs = new Set(bare.taps);
    let others = 0;
    for (const [program, answer] of words) {
      assert.doesNotMatch(answer, /^0:/, program);
      const tap = /ifname=([^,]+)/.exec(program)?.[1];
      if (tap === undefined) continue;
      // That of a guest that somebody else started has no owner: what keeps others off is that it is in use.
      if (own.has(tap) || theirs.has(tap)) assert.match(answer, /busy/i, program);
      else assert.match(answer, /not permitted/i, program);
      others += own.has(tap) ? 0 : 1;
    }
    assert.ok(own.size > 0 && others >= 2, JSON.stringify(words));
  });

  const setuid = (): string => path.join(top, 'id');

  async function asCaptive(): Promise<CaptiveReport> {
    const node = await reachable(process.execPath);
    const program = path.join(top, 'captive.ts');
    fs.copyFileSync(path.join(import.meta.dirname, 'support/captive-main.ts'), program);
    fs.copyFileSync('/usr/bin/id', setuid());
    fs.chmodSync(setuid(), 0o4755);
    const plain = { file: setuid(), argv: ['-u'] };
    const free = confined(plain, { ...as, noNewPrivs: false });
    const became = await run(free.file, free.argv);
    assert.equal(became.stdout.trim(), '0', 'the test’s own program would make anybody root');
    const places = [...walk(world.lab.dir), ...walk('/run/netns'), ...closedDevices()];
    const sockets = places.filter((place) =>
      fs.lstatSync(place, { throwIfNoEntry: false })?.isSocket(),
    );
    const tries = { paths: places, sockets, pids: processes(), programs: await programs() };
    const file = path.join(top, 'tries.json');
    fs.writeFileSync(file, JSON.stringify(tries), { mode: 0o644 });
    const captive = confined({ file: node, argv: [program, file] }, as);
    const [word = '', ...argv] = inHost(world.lab, 'b', [captive.file, ...captive.argv]);
    const { stdout } = await run(word, argv, { maxBuffer: MAX_BYTES, cwd: '/' });
    return JSON.parse(stdout) as CaptiveReport;
  }

  async function reachable(file: string): Promise<string> {
    if ((await closedAbove(file)) === undefined) return file;
    const copy = path.join(top, 'node');
    fs.copyFileSync(file, copy);
    return copy;
  }

  async function programs(): Promise<string[][]> {
    const namespaces = fs.readdirSync('/run/netns').map((name) => `/run/netns/${name}`);
    const [word = '', ...argv] = inHost(world.lab, 'b', [
      'ip',
      '-j',
      'link',
      'show',
      'type',
      'tun',
    ]);
    const { stdout } = await run(word, argv);
    const taps = (JSON.parse(stdout) as { ifname: string }[]).map(({ ifname }) => ifname);
    const binary = fs.realpathSync(`/proc/${qemu.pid}/exe`);
    const bare = '-machine none -S -nodefaults -no-user-config -display none -netdev'.split(' ');
    return [
      [setuid(), '-u'],
      ...namespaces.map((file) => ['nsenter', `--net=${file}`, 'true']),
      ['ip', 'link', 'set', 'lo', 'mtu', '1400'],
      ['ip', 'route', 'add', '192.0.2.7/32', 'dev', 'lo'],
      ...[...taps, 'captive0'].map((tap) => [
        binary,
        ...bare,
        `tap,id=n,ifname=${tap},script=no,downscript=no`,
      ]),
    ];
  }

  /** The rule, by what the kernel says of the place and of what QEMU has open; not by what Godwit gave it. */
  function isOwn(place: string, what: string): boolean {
    if (place === `process ${qemu.pid}`) return true;
    const info = fs.lstatSync(place, { throwIfNoEntry: false });
    if (info === undefined) return place.startsWith('process ') ? false : true;
    if (place === guestDir() || place === path.join(guestDir(), 'godwit-logs')) {
      return what === 'list' || what === 'make';
    }
    if (place.startsWith(`${guestDir()}/`)) {
      if (info.uid === as.uid) return true;
      const bits = { read: 0o040, write: 0o020 }[what] ?? 0;
      return info.gid === as.gid && (info.mode & bits) !== 0;
    }
    const { read, written } = imagesOf(qemu.pid);
    if (what === 'read' && read.has(place)) return true;
    if (what === 'write' && written.has(place)) return true;
    // Open to everybody on the host, and none of Godwit's.
    const isState = stateDirs().some((dir) => place === dir || place.startsWith(`${dir}/`));
    return !isState && (what === 'read' || what === 'list') && (info.mode & 0o004) !== 0;
  }
});

function identityOf(pid: number): RunAs {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  const numbers = (name: string): number[] =>
    (new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1] ?? '')
      .split(/\s+/)
      .filter((word) => word !== '')
      .map(Number);
  const [uid = 0] = numbers('Uid');
  const [gid = 0] = numbers('Gid');
  assert.ok(uid > 0 && gid > 0, status);
  return { uid, gid, groups: numbers('Groups') };
}

/** Plain files that a process has open. */
function imagesOf(pid: number): { read: Set<string>; written: Set<string> } {
  const read = new Set<string>();
  const written = new Set<string>();
  for (const fd of fs.readdirSync(`/proc/${pid}/fd`)) {
    const link = `/proc/${pid}/fd/${fd}`;
    if (fs.statSync(link, { throwIfNoEntry: false })?.isFile() !== true) continue;
    const place = fs.readlinkSync(link);
    const flags = /^flags:\s+(\d+)$/m.exec(fs.readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'));
    const access = Number.parseInt(flags?.[1] ?? '0', 8) & 3;
    if (!place.startsWith('/') || path.basename(place) === 'qemu.log') continue;
    read.add(place);
    if (access !== 0) written.add(place);
  }
  return { read, written };
}

/** Everything below a directory, itself included; links are not followed. */
function walk(top: string): string[] {
  const found = [top];
  for (const entry of fs.readdirSync(top, { withFileTypes: true })) {
    const place = path.join(top, entry.name);
    found.push(...(entry.isDirectory() ? walk(place) : [place]));
  }
  return found;
}

/** Devices that not everybody on this host may open. */
function closedDevices(): string[] {
  return walk('/dev').filter((place) => {
    const info = fs.lstatSync(place, { throwIfNoEntry: false });
    const isDevice = info?.isBlockDevice() === true || info?.isCharacterDevice() === true;
    return isDevice && (info.mode & 0o006) === 0 && !GIVEN.has(place);
  });
}

/** What each QEMU may open; opened for no purpose they do nothing. */
const GIVEN = new Set(['/dev/kvm', '/dev/net/tun', '/dev/vhost-net', '/dev/userfaultfd']);

/** Those with a memory of their own: the kernel’s threads have none to open. */
function processes(): number[] {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return fs.readlinkSync(`/proc/${pid}/exe`) !== '';
      } catch {
        return false;
      }
    })
    .map(Number);
}
