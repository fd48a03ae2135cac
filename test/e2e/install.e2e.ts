import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { until } from '../until.ts';
import { bringDebian13, noCleanRoot, openCleanRoot, type CleanRoot } from './support/clean-root.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const MB = 1e6;
const BUILD_MS = 900_000;
const START_MS = 30_000;
const UNITS = '/usr/lib/systemd/system';
const UNIT = `${UNITS}/godwit-agent.service`;
const ALL_UNITS = ['agent', 'controller', 'relay'].map((each) => `${UNITS}/godwit-${each}.service`);
/** Of a host with guests, on a minimal Debian 12. */
const MAX_PACKAGES = 80;
/** As docs/install.md has it. */
const WITH_QEMU = ['--no-install-recommends', 'qemu-system-x86', 'qemu-utils'];
const GRAPHICAL = /^(qemu-system-gui|libgtk|libsdl|libx11|xserver|libgl1|libvte|libcairo|adwaita)/;

const run = promisify(execFile);

/** The lines that an option of a unit has. */
function unitOption(root: CleanRoot, option: string, unit = UNIT): string {
  const lines = readFileSync(path.join(root.folder, unit), 'utf8').split('\n');
  const found = lines.filter((line) => line.startsWith(`${option}=`));
  assert.notEqual(found.length, 0, option);
  return found.map((line) => line.slice(option.length + 1)).join(' ');
}

/** The program of a unit as root with the unit's capabilities, in the background. */
function startLine(root: CleanRoot, unit: string, log: string): string {
  const capabilities = unitOption(root, 'CapabilityBoundingSet', unit).toLowerCase();
  const bounding = `-all,${capabilities.replaceAll('cap_', '+').replaceAll(' ', ',')}`;
  return `setsid setpriv --bounding-set ${bounding} ${unitOption(root, 'ExecStart', unit)} >${log} 2>&1 & `;
}

/**
 * The packages that apt would install in a root with that dpkg status, by the indices of this machine; undefined without
 * Debian 12's.
 */
async function wouldInstall(status: string, ...asked: string[]): Promise<string[] | undefined> {
  const { stdout: policy } = await run('apt-cache', ['policy', 'qemu-system-x86']);
  if (!/Candidate: 1:7\.2/.test(policy)) return undefined;
  const { stdout } = await run('apt-get', [
    '-o',
    `Dir::State::status=${status}`,
    '-s',
    'install',
    ...asked,
  ]);
  return [...stdout.matchAll(/^Inst (\S+)/gm)].map(([, name = '']) => name);
}

function sums(folder: string): string[] {
  return readdirSync(folder).map((file) => {
    const bytes = readFileSync(path.join(folder, file));
    return `${createHash('sha256').update(bytes).digest('hex')} ${file}`;
  });
}

describe('the distribution’s package', { skip: noCleanRoot() ?? false }, () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'godwit-install-'));
  const first = path.join(folder, 'first');
  let deb = '';
  let root: CleanRoot;

  const build = (out: string, umask: string) =>
    run('sh', ['-c', `umask ${umask}; exec "$0" tools/package.ts "$1"`, process.execPath, out], {
      cwd: ROOT,
      timeout: BUILD_MS,
    });
  const does = async (line: string): Promise<string> => {
    const { exit, out } = await root.run(line);
    assert.equal(exit, 0, `${line}: ${out}`);
    return out;
  };

  before(async () => {
    await build(first, '022');
    const name = readdirSync(first).find((file) => file.endsWith('.deb')) ?? '';
    deb = path.join(first, name);
    root = await openCleanRoot();
    copyFileSync(deb, path.join(root.folder, 'godwit.deb'));
  });
  after(async () => {
    await root.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('the package has the same bytes when it is built again, by a user with another umask', async () => {
    const second = path.join(folder, 'second');
    await build(second, '077');
    assert.deepEqual(sums(second), sums(first));
  });

  test('the package is at most 60 MB, and lintian finds nothing without a reason', async () => {
    for (const file of readdirSync(first)) {
      assert.ok(statSync(path.join(first, file)).size <= 60 * MB, file);
    }
    const { stdout } = await run('lintian', ['--allow-root', deb], { timeout: BUILD_MS });
    assert.equal(stdout, '');
  });

  test('the package installs on a clean Debian 12 and runs there, without anything of npm', async () => {
    await does('dpkg -i /godwit.deb');
    const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
    assert.equal(await does('godwit --version'), `${version}\n`);
    assert.match(await does('godwit doctor || true'), /^ok {4}node /m);
    assert.match(await does('zcat /usr/share/man/man1/godwit-pki-issue.1.gz'), /\.SH OPTIONS/);
    await does('bash -n /usr/share/bash-completion/completions/godwit');
    await does('dpkg --verify godwit');
    // The wire compresses with Node's own zstd, which it calls through a native module.
    const home = '/usr/lib/godwit/current';
    const call = `require('${home}/node_modules/koffi').load(null).func('uint32_t ZSTD_versionNumber()')()`;
    assert.match(await does(`${home}/runtime/node -p "${call}"`), /^1\d{4}$/m);
  });

  test('the package pulls in no graphical part of QEMU, and few packages', async (t) => {
    const clean = await openCleanRoot();
    t.after(() => clean.close());
    // apt resolves links of the path, which leads through /proc.
    const status = path.join(folder, 'status');
    copyFileSync(path.join(clean.folder, 'var/lib/dpkg/status'), status);
    const alone = await wouldInstall(status, deb);
    if (alone === undefined) return t.skip('apt has no index of Debian 12');
    assert.ok(alone.includes('godwit') && alone.length <= 10, alone.join(' '));
    const host = (await wouldInstall(status, ...WITH_QEMU, deb)) ?? [];
    assert.ok(host.includes('qemu-system-x86') && host.includes('qemu-utils'), host.join(' '));
    assert.ok(host.length <= MAX_PACKAGES, `${host.length}: ${host.join(' ')}`);
    assert.deepEqual(
      host.filter((name) => GRAPHICAL.test(name)),
      [],
    );
    const page = readFileSync(path.join(ROOT, 'docs/install.md'), 'utf8');
    assert.ok(page.includes(`apt install ${WITH_QEMU.join(' ')} ./godwit_`), 'docs/install.md');
  });

  test('the package installs on a clean Debian 13 as well, whose systemd accepts its units too', async (t) => {
    bringDebian13();
    const lacks = noCleanRoot('trixie');
    if (lacks !== undefined) return t.skip(lacks);
    const newer = await openCleanRoot('trixie');
    t.after(() => newer.close());
    copyFileSync(deb, path.join(newer.folder, 'godwit.deb'));
    for (const line of [
      'dpkg -i /godwit.deb',
      'godwit --version',
      'dpkg --verify godwit',
      ...ALL_UNITS.map(
        (unit) => `systemd-analyze security --offline=true --threshold=65 --no-pager ${unit}`,
      ),
    ]) {
      const { exit, out } = await newer.run(line);
      assert.equal(exit, 0, `${line}: ${out}`);
    }
    assert.match((await newer.run('godwit doctor')).out, /^ok {4}qemu.* 10\./m);
    const verify = `systemd-analyze verify --man=no ${ALL_UNITS.join(' ')}`;
    assert.equal((await newer.run(verify)).out, '');
  });

  test('the units are valid for systemd, which rates them medium or better', async () => {
    assert.equal(await does(`systemd-analyze verify --man=no ${ALL_UNITS.join(' ')}`), '');
    for (const unit of ALL_UNITS)
      await does(`systemd-analyze security --offline=true --threshold=65 --no-pager ${unit}`);
    for (const unit of ALL_UNITS.slice(0, 2))
      assert.equal(unitOption(root, 'KillMode', unit), 'process');
    assert.equal(
      await does('readlink /etc/systemd/system/multi-user.target.wants/*godwit*'),
      ALL_UNITS.map((unit) => `${unit.replace('/usr', '')}\n`).join(''),
    );
  });

  test('the agent continues through an upgrade, in its original build', async () => {
    await does(
      'godwit pki init --dir /etc/godwit/ca && godwit pki issue a --addresses 127.0.0.1 --dir /etc/godwit/ca --out /var/lib/godwit/pki',
    );
    await does(
      `echo '{"name":"a","address":"127.0.0.1:7443","stateDir":"/var/lib/godwit"}' > /etc/godwit/agent.json`,
    );
    await does(startLine(root, UNIT, '/agent.log'));
    await until('the agent', START_MS, async () => {
      const { exit } = await root.run('godwit hosts');
      return exit === 0 || undefined;
    });
    // Another build of the same: one file differs.
    await does(`dpkg-deb -R /godwit.deb /next && echo 0000000000000000 > /next/usr/lib/godwit/app/BUILD
      rm /next/DEBIAN/md5sums && sed -i 's/^Version: .*/Version: 9.9.9/' /next/DEBIAN/control && dpkg-deb -Zgzip -z1 -b /next /next.deb && rm -r /next`);
    const [before] = (await does('ls /usr/lib/godwit/builds')).split('\n');
    await does('dpkg -i /next.deb');
    assert.equal(await does('ls /usr/lib/godwit/builds'), `0000000000000000\n${before}\n`);
    assert.equal(await does('readlink /usr/lib/godwit/current'), 'builds/0000000000000000\n');
    assert.match(await does('godwit hosts'), /^a .*up/m);
    assert.match(
      await does('readlink /proc/[0-9]*/exe | sort -u'),
      new RegExp(`builds/${before}/runtime/node`),
    );
    await does('dpkg -i --force-downgrade /godwit.deb');
    assert.match(await does('godwit hosts'), /^a .*up/m);
    assert.equal(await does('ls /usr/lib/godwit/builds'), `${before}\n`);
  });

  test('the package sets up a controller with one command, and its unit starts it', async () => {
    const unit = `${UNITS}/godwit-controller.service`;
    const said = await does('godwit init --controller --address 127.0.0.1 --ca /etc/godwit/ca');
    const secret = /^gdw_\S+$/m.exec(said)?.[0] ?? '';
    assert.match(said, /dashboard is at https:\/\/127\.0\.0\.1:7445\/$/m);
    await does(startLine(root, unit, '/controller.log'));
    const pid =
      "$(grep -ls '[/]dist/bin/controller.js' /proc/[0-9]*/cmdline | cut -d/ -f3 | head -n 1)";
    await until('the controller', START_MS, async () => {
      const { exit } = await root.run(`test -n "${pid}"`);
      return exit === 0 || undefined;
    });
    // As the unit does after its start.
    await does(`MAINPID=${pid} ${unitOption(root, 'ExecStartPost', unit)}`);
    await does('godwit hosts --controller /var/lib/godwit-controller/controller.sock');
    const listed = await does(
      'godwit token list --controller /var/lib/godwit-controller/controller.sock',
    );
    assert.match(listed, /^admin +admin /m);
    assert.doesNotMatch(listed, new RegExp(secret));
  });

  test('the package is not removed while its processes run, and its purge leaves the guests and nothing else', async () => {
    const { exit, out } = await root.run('dpkg --purge godwit');
    assert.notEqual(exit, 0);
    assert.match(out, /these processes of it still run: .*\bagent \d+/);
    assert.match(out, /these processes of it still run: .*\bcontroller \d+/);
    assert.match(await does('godwit hosts'), /^a .*up/m);
    await does('cp /bin/sleep /guest && (setsid /guest 3600 >/dev/null 2>&1 &)');
    await does(
      'kill $(find /proc/[0-9]*/exe -maxdepth 0 -lname "/usr/lib/godwit/*" | cut -d/ -f3)',
    );
    await does('dpkg --purge godwit');
    assert.equal(
      await does('find / -xdev -path /proc -prune -o -name "*godwit*" -print'),
      '/godwit.deb\n',
    );
    assert.ok(existsSync(path.join(root.folder, 'godwit.deb')));
    assert.match(await does('readlink /proc/[0-9]*/exe || true'), /^\/guest$/m);
  });
});
