import * as fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { TABLE } from '../../src/cli/table.ts';
import { bashScript } from '../../src/cli/completion/completion-bash.ts';
import { completables } from '../../src/cli/completion/completion-words.ts';
import { zshScript } from '../../src/cli/completion/completion-zsh.ts';
import { manPages } from './man.ts';
import { APACHE, below, licences, makeApp, manifestOf, withModes } from './app.ts';
import { refusedParts } from './licences.ts';
import { billText, npmBill, type PackagedPart } from './sbom.ts';

/** The files as they lie on a host: those of the .deb, and of the tarball. */

const root = path.resolve(import.meta.dirname, '../..');
const packaging = path.join(root, 'packaging');
const UNITS = ['godwit-agent.service', 'godwit-controller.service', 'godwit-relay.service'];
const GZIP = { level: 9 } as const;

/** Of the files of a host: the bill of materials. */
export const BILL = 'usr/share/doc/godwit/sbom.cdx.json';

export interface BuildStamp {
  readonly version: string;
  /** Of the commit, s: every file is of that time. */
  readonly epoch: number;
}

export async function makeTree(tree: string, { version, epoch }: BuildStamp): Promise<void> {
  const lib = path.join(tree, 'usr/lib/godwit');
  fs.mkdirSync(lib, { recursive: true });
  const parts = await makeApp(path.join(lib, 'app'));
  const refused = refusedParts(parts);
  if (refused.length > 0)
    throw new Error(
      `licences that tools/package/licences.ts does not allow: ${refused.join('; ')}`,
    );
  const copy = (from: string, to: string): void => {
    fs.cpSync(from, path.join(tree, to), { recursive: true });
  };
  const write = (to: string, content: string | Uint8Array): void => {
    fs.mkdirSync(path.dirname(path.join(tree, to)), { recursive: true });
    fs.writeFileSync(path.join(tree, to), content);
  };
  for (const each of ['place.sh', 'serves.sh'])
    copy(path.join(packaging, each), `usr/lib/godwit/${each}`);
  fs.symlinkSync('app', path.join(lib, 'current'));
  fs.mkdirSync(path.join(tree, 'usr/bin'));
  fs.symlinkSync('../lib/godwit/current/godwit', path.join(tree, 'usr/bin/godwit'));
  for (const unit of UNITS)
    copy(path.join(packaging, 'systemd', unit), `usr/lib/systemd/system/${unit}`);
  copy(path.join(packaging, 'systemd/godwit.tmpfiles'), 'usr/lib/tmpfiles.d/godwit.conf');
  copy(path.join(packaging, 'systemd/containers.conf'), 'usr/lib/godwit/containers.conf');
  copy(path.join(root, 'docs'), 'usr/share/doc/godwit/docs');
  copy(path.join(root, 'examples'), 'usr/share/doc/godwit/examples');
  write('usr/share/doc/godwit/copyright', copyright(parts));
  write(BILL, billText(npmBill(), { version, epoch, parts }));
  write(
    'usr/share/doc/godwit/NEWS.md.gz',
    gzipSync(fs.readFileSync(path.join(root, 'CHANGELOG.md')), GZIP),
  );
  write('usr/share/doc/godwit/changelog.gz', gzipSync(changelog(version, epoch), GZIP));
  const date = new Date(epoch * 1000).toISOString().slice(0, 10);
  for (const { file, text } of await manPages(TABLE, { version, date }))
    write(`usr/share/man/man1/${file}.gz`, gzipSync(text, GZIP));
  const { verbs, groups } = await completables(TABLE);
  write('usr/share/bash-completion/completions/godwit', bashScript(verbs, groups));
  write('usr/share/zsh/vendor-completions/_godwit', zshScript(verbs, groups));
  withModes(tree);
  settle(tree, epoch);
}

/** Every file is of one time, so that an archive of them is the same whenever it is made. */
export function settle(folder: string, epoch: number): void {
  for (const each of below(folder)) {
    fs.lutimesSync(path.join(folder, each), epoch, epoch);
  }
  fs.utimesSync(folder, epoch, epoch);
}

export const MAINTAINER = 'Godwit maintainers <maintainers@godwit.example>';

function copyright(parts: readonly PackagedPart[]): string {
  return `Godwit

${APACHE}

Copyright: the contributors of Godwit

The program has these parts of others in it, each under its own licence:

${licences(parts)}`;
}

/** Debian's form of it; what changed is in NEWS.md. */
function changelog(version: string, epoch: number): string {
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  return `godwit (${version}) unstable; urgency=medium

  * What is new is in /usr/share/doc/godwit/NEWS.md.gz.

 -- ${MAINTAINER}  ${date}
`;
}

export function versionOf(): string {
  return manifestOf(root).version;
}
