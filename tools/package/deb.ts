import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import path from 'node:path';
import { below } from './app.ts';
import { MAINTAINER, settle, type BuildStamp } from './tree.ts';

const packaging = path.resolve(import.meta.dirname, '../../packaging');
/** xz, since Debian's own tools take no zstd yet; higher levels take a minute for 4 MB less. */
const LEVEL = '1';

/** Makes the .deb of the files in `tree`, and puts its own files of control there. */
export function makeDeb(tree: string, file: string, { version, epoch }: BuildStamp): void {
  const control = path.join(tree, 'DEBIAN');
  const overrides = path.join(tree, 'usr/share/lintian/overrides');
  fs.mkdirSync(overrides, { recursive: true });
  fs.copyFileSync(path.join(packaging, 'deb/lintian-overrides'), path.join(overrides, 'godwit'));
  fs.chmodSync(path.join(overrides, 'godwit'), 0o644);
  for (const folder of ['usr/share/lintian/overrides', 'usr/share/lintian'])
    fs.chmodSync(path.join(tree, folder), 0o755);
  const sums = md5sums(tree);
  fs.mkdirSync(control);
  fs.chmodSync(control, 0o755);
  const write = (name: string, text: string, mode: number): void => {
    fs.writeFileSync(path.join(control, name), text);
    fs.chmodSync(path.join(control, name), mode);
  };
  write('md5sums', sums.text, 0o644);
  write('control', controlText(version, sums.kib, sharedLibraries(tree)), 0o644);
  for (const name of ['postinst', 'prerm', 'postrm']) write(name, script(name), 0o755);
  settle(tree, epoch);
  const how = ['--root-owner-group', '--threads-max=1', '-Zxz', `-z${LEVEL}`];
  execFileSync('dpkg-deb', [...how, '--build', tree, file], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
  });
}

/** A package that is purged has no file left to run, so its script has the lines of purge.sh in it. */
function script(name: string): string {
  const text = fs.readFileSync(path.join(packaging, 'deb', name), 'utf8');
  const lines = fs.readFileSync(path.join(packaging, 'purge.sh'), 'utf8').split('\n');
  const purge = lines.filter((line) => line !== '' && !line.startsWith('#') && line !== 'set -eu');
  // By a function: in a text `$` would have a meaning.
  return text.replace('@PURGE@', () => purge.map((line) => `  ${line}`).join('\n'));
}

function md5sums(tree: string): { readonly text: string; readonly kib: number } {
  const lines: string[] = [];
  let kib = 0;
  for (const each of below(tree)) {
    const stat = fs.lstatSync(path.join(tree, each));
    kib += stat.isFile() ? Math.ceil(stat.size / 1024) : 1;
    if (!stat.isFile()) continue;
    const sum = createHash('md5').update(fs.readFileSync(path.join(tree, each)));
    lines.push(`${sum.digest('hex')}  ${each}\n`);
  }
  return { text: lines.join(''), kib };
}

/** The packages of the libraries that Node wants, with the least version of each. */
function sharedLibraries(tree: string): string {
  const folder = fs.mkdtempSync(path.join(path.dirname(tree), 'shlibs-'));
  fs.mkdirSync(path.join(folder, 'debian'));
  fs.writeFileSync(
    path.join(folder, 'debian/control'),
    'Source: godwit\n\nPackage: godwit\nArchitecture: any\n',
  );
  const node = path.join(tree, 'usr/lib/godwit/app/runtime/node');
  const args = ['-O', '--ignore-missing-info', node];
  const text = execFileSync('dpkg-shlibdeps', args, {
    cwd: folder,
    encoding: 'utf8',
    // It warns of what Node is linked to and does not call.
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const depends = /^shlibs:Depends=(.+)$/m.exec(text)?.[1];
  if (depends === undefined) throw new Error(`dpkg-shlibdeps said: ${text}`);
  return depends;
}

/**
 * QEMU is a suggestion: its own package recommends the graphical parts, so a recommendation of it would bring 300 packages. A
 * controller and a relay need no QEMU.
 */
function controlText(version: string, kib: number, libraries: string): string {
  return `Package: godwit
Version: ${version}
Architecture: amd64
Maintainer: ${MAINTAINER}
Installed-Size: ${kib}
Depends: ${libraries}, iproute2
Suggests: qemu-system-x86, qemu-utils, conntrack, libgssapi-krb5-2, nftables, openvswitch-switch
Section: admin
Priority: optional
Description: live migration for virtual machines
 Godwit moves running QEMU guests from host to host by pre-copy, post-copy or
 both, over mutual TLS and without a controller. Each host runs one agent.
 .
 The package has the command line, the agent, its movers, the controller, the
 relay and the Node that they run on. It needs nothing from npm. A host with
 guests needs qemu-system-x86 and qemu-utils too.
`;
}
