import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { networkDiffers } from '../../../../src/drivers/criu/podman/assess.ts';
import { bringLog, overlayAt, replaceUpper } from '../../../../src/drivers/criu/podman/bundle.ts';
import { dropRules } from '../../../../src/drivers/criu/podman/frame-filter.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';

const LINE =
  '453 399 0:59 / /s/a\\040b/merged rw,nodev,relatime - overlay overlay rw,lowerdir=/s/l/diff,upperdir=/s/a\\040b/diff,workdir=/s/a\\040b/work,uuid=on';

test('the overlay of a container is mounted again as it was', () => {
  assert.deepEqual(overlayAt(`1 0 0:1 / / rw - ext4 /dev/vda rw\n${LINE}\n`, '/s/a b/merged'), {
    options: 'nodev,lowerdir=/s/l/diff,upperdir=/s/a b/diff,workdir=/s/a b/work,uuid=on',
    upper: '/s/a b/diff',
  });
  assert.equal(overlayAt(LINE, '/s/a b'), undefined);
  assert.equal(overlayAt(LINE.replace('upperdir=/s', 'upperdir=s'), '/s/a b/merged'), undefined);
  assert.equal(overlayAt(LINE.replace(' - overlay', ' - ext4'), '/s/a b/merged'), undefined);
});

test('the files of a container are on disk before it is restored above them', async (t) => {
  const made = await mkdtemp(path.join(os.tmpdir(), 'godwit-upper-'));
  t.after(() => removeTree(made));
  const at = (name: string): string => path.join(made, name);
  for (const each of ['bin', 'upper', 'came']) await mkdir(at(each));
  await writeFile(at('upper/old'), 'of podman');
  await writeFile(at('came/db'), 'of the source');
  // Each reports what it finds in the directory.
  for (const program of ['umount', 'mount', 'sync']) {
    const script = `#!/bin/sh\necho ${program} "$@" : $(ls ${at('upper')}) >>${at('ran')}\n`;
    await writeFile(path.join(at('bin'), program), script, { mode: 0o755 });
  }
  const run = async ([program = '', ...args]: readonly string[]): Promise<string> => {
    const env = { PATH: `${at('bin')}:${process.env['PATH']}` };
    return (await promisify(execFile)(program, args, { env })).stdout;
  };
  const overlay = { options: 'nodev', upper: at('upper') };
  await replaceUpper(run, overlay, { merged: at('merged'), came: at('came') });
  assert.deepEqual((await readFile(at('ran'), 'utf8')).trim().split('\n'), [
    `umount ${at('merged')} : old`,
    `sync -f ${at('upper')} : db`,
    `mount -t overlay overlay -o nodev ${at('merged')} : db`,
  ]);
});

test('the log is appended to the file that conmon has open', async (t) => {
  const made = await mkdtemp(path.join(os.tmpdir(), 'godwit-log-'));
  t.after(() => removeTree(made));
  const [came, own] = [path.join(made, 'came'), path.join(made, 'own')];
  await writeFile(own, 'one\n');
  await writeFile(came, 'one\ntwo\n');
  const { ino } = await stat(own);
  await bringLog(came, own);
  await appendFile(own, 'three\n');
  assert.equal(await readFile(own, 'utf8'), 'one\ntwo\nthree\n');
  // One that was cut short meanwhile comes whole.
  await writeFile(came, 'new\n');
  await bringLog(came, own);
  assert.equal(await readFile(own, 'utf8'), 'new\n');
  assert.equal((await stat(own)).ino, ino);
  await bringLog(path.join(made, 'none'), own);
  assert.equal(await readFile(own, 'utf8'), 'new\n');
});

test('frames of each link are dropped in both directions, and none for a container without links', () => {
  assert.equal(dropRules('t', []), undefined);
  const rules = dropRules('t1', ['52:54:00:00:00:01']) ?? '';
  assert.match(rules, /^table bridge godwit-t1 \{/);
  assert.match(rules, /ether saddr 52:54:00:00:00:01 drop/);
  assert.match(rules, /ether daddr 52:54:00:00:00:01 drop/);
});

test('a network of podman is the same by its driver and its subnets', () => {
  const wanted = { name: 'lab', driver: 'bridge', subnets: ['10.9.0.0/24'] };
  const here = { name: 'lab', driver: 'bridge', subnets: [{ subnet: '10.9.0.0/24' }] };
  assert.equal(networkDiffers(wanted, here), undefined);
  assert.match(networkDiffers(wanted, undefined) ?? '', /no network lab/);
  assert.match(networkDiffers(wanted, { ...here, driver: 'macvlan' }) ?? '', /driver is macvlan/);
  assert.match(
    networkDiffers(wanted, { ...here, subnets: null }) ?? '',
    /no subnet 10\.9\.0\.0\/24/,
  );
});
