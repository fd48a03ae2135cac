import assert from 'node:assert/strict';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findImages } from '../../../../src/drivers/qemu/images/find-images.ts';
import { ImageStore } from '../../../../src/drivers/qemu/images/images.ts';
import { type ImageSpec } from '../../../../src/drivers/qemu/spec/schema.ts';
import { guestSpec } from '../../../../src/drivers/qemu/spec/grammar/judge.ts';
import { describeGuest } from '../../../../src/drivers/qemu/spec/describe.ts';
import { commandLine, factsOf } from '../spec/facts.ts';

const signal = AbortSignal.timeout(30_000);

describe('code of a guest’s firmware at the destination', () => {
  let root: string;
  let store: ImageStore;
  let known: ImageSpec;
  before(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'gw-find-'));
    for (const name of ['peer', 'here', 'none']) await mkdir(path.join(root, name));
    store = new ImageStore(path.join(root, 'cache'));
    await writeFile(path.join(root, 'peer', 'CODE.fd'), 'the code');
    await writeFile(path.join(root, 'here', 'CODE.fd'), 'another!');
    await writeFile(path.join(root, 'here', 'renamed.bin'), 'the code');
    known = await store.identify(path.join(root, 'peer', 'CODE.fd'), signal);
  });
  after(() => rm(root, { recursive: true, force: true }));

  const find = (directory: string) => {
    const { spec } = describeGuest(factsOf(commandLine('-M q35 -nodefaults')));
    const flash = [{ unit: 0, node: 'pflash0-image', image: known }];
    const asked = { guest: 'web1', host: 'b', store, imageDirs: [path.join(root, directory)] };
    return findImages({ ...guestSpec.parse(spec), flash }, asked, signal);
  };

  test('the code is a file with that content, whatever its name is', async () => {
    const { code, checks } = await find('here');
    assert.deepEqual([...code], [['pflash0-image', path.join(root, 'here', 'renamed.bin')]]);
    assert.deepEqual(
      checks.map(({ verdict }) => verdict),
      ['pass'],
    );
  });

  test('missing code is refused by the name of its chip, with the package to install', async () => {
    const { code, checks } = await find('none');
    assert.equal(code.size, 0);
    const [{ error } = { error: undefined }] = checks;
    assert.equal(error?.code, 'GODWIT_DEVICE_UNMAPPED');
    assert.match(error?.message ?? '', /pflash0 of web1.*content of CODE\.fd/);
    assert.match(error?.hint ?? '', /ovmf.*imageDirs/);
  });
});
