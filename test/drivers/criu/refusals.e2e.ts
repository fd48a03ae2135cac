import assert from 'node:assert/strict';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test, type TestOptions } from 'node:test';
import { driverNamed, isManaged } from '../../../src/drivers/registry.ts';
import { cacheDirectory } from '../../../src/system/files/cache-directory.ts';
import { runCommand } from '../../../lab/command.ts';
import { labRunc } from '../../../lab/container/launch.ts';
import { layerDirectory } from '../../../lab/container/layer.ts';
import type { NamedCheck } from '../../../src/migration/preflight/check.ts';
import { Trial } from '../../conformance/trial.ts';
import { makeContainerSite, type ContainerSite } from './trial-container.ts';

/** What is refused of a container that runs, by real runc and CRIU: each before anything is begun. */

const options: TestOptions = {
  skip: process.getuid?.() === 0 ? false : 'CRIU and runc need root',
  timeout: 120_000,
};
const BROUGHT = path.join(cacheDirectory(), 'containers', 'bin');
const SIGNAL = new AbortController().signal;
let site: ContainerSite;
let trial: Trial;

before(async () => {
  if (options.skip !== false) return;
  site = await makeContainerSite();
  trial = new Trial(site);
});
after(() => trial?.dispose());

async function examined() {
  const source = await site.source.openSource(await trial.handle(), SIGNAL);
  const { mode, tls: _, ...rest } = trial.stream('precopy');
  const found = await source.inspect({ mode, ...rest }, SIGNAL);
  await source.close();
  return found;
}

const refusedOf = (checks: readonly NamedCheck[]): readonly NamedCheck[] =>
  checks.filter(({ verdict }) => verdict === 'refuse');

/** What a destination that differs by `section` says of the container. */
async function assessed(name: string, section: object) {
  const { description } = await examined();
  const made = await driverNamed('criu', {
    name: 'b',
    stateDir: path.join(site.directory, name),
    drivers: {
      criu: {
        root: path.join(site.directory, name, 'runc'),
        layerDirs: [layerDirectory()],
        ...section,
      },
    },
  });
  assert.ok(!isManaged(made));
  const there = await made.openDestination(site.destinationOptions);
  const checks = await there.assess(description, trial.stream('precopy'), SIGNAL);
  await there.close();
  return refusedOf(checks);
}

test(
  'a paused container is listed as paused and refused, and accepted once it is resumed',
  options,
  async () => {
    const root = path.join(site.directory, 'a', 'runc');
    await labRunc(root, ['pause', site.guest]);
    try {
      const seen = await site.source.discover(
        { host: 'a', busy: new Set(), configured: [] },
        SIGNAL,
      );
      assert.deepEqual(
        seen.map(({ info }) => info.state),
        ['paused'],
      );
      const refused = refusedOf((await examined()).checks);
      assert.deepEqual(
        refused.map(({ name, error }) => [name, error?.code]),
        [['state', 'GODWIT_GUEST_STATE']],
      );
      assert.match(refused[0]?.error?.hint ?? '', new RegExp(`runc resume ${site.guest}`));
    } finally {
      await labRunc(root, ['resume', site.guest]);
    }
    assert.deepEqual(refusedOf((await examined()).checks), []);
  },
);

test(
  'a destination without the image refuses the container by the layer that is missing',
  options,
  async () => {
    const empty = path.join(site.directory, 'no-layers');
    await mkdir(empty);
    const refused = await assessed('b-image', { layerDirs: [empty] });
    assert.deepEqual(
      refused.map(({ name }) => name),
      ['images'],
    );
    const { description } = await examined();
    const [digest = ''] = (description.spec as { layers: string[] }).layers;
    assert.match(
      refused[0]?.evidence ?? '',
      new RegExp(`no layer ${digest.slice(0, 12)} in ${empty}`),
    );
    assert.match(refused[0]?.error?.hint ?? '', /layerDirs/);
    assert.deepEqual(await assessed('b-whole', {}), []);
  },
);

/** runc and CRIU with what stands before them, by its name: a script. */
async function programsWith(
  name: string,
  scripts: Readonly<Record<string, string>>,
): Promise<string> {
  const programs = path.join(site.directory, name);
  await mkdir(programs);
  for (const each of ['runc', 'criu'])
    if (scripts[each] === undefined)
      await symlink(path.join(BROUGHT, each), path.join(programs, each));
  for (const [each, lines] of Object.entries(scripts)) {
    await writeFile(path.join(programs, each), `#!/bin/sh\n${lines}\n`);
    await chmod(path.join(programs, each), 0o755);
  }
  return programs;
}

test(
  "a destination whose CRIU is older than the source's is refused with the way to a newer one",
  options,
  async () => {
    const criu = `[ "$1" = --version ] && { echo 'Version: 4.1'; exit; }\nexec ${BROUGHT}/criu "$@"`;
    const programs = await programsWith('older', { criu });
    const refused = await assessed('b-older', { programs });
    assert.deepEqual(
      refused.map(({ name }) => name),
      ['machine'],
    );
    assert.match(refused[0]?.evidence ?? '', /images of CRIU 4\.2\S*, and b has 4\.1/);
    assert.match(refused[0]?.error?.hint ?? '', /tools\/setup\.sh --only containers/);
  },
);

test(
  'a CRIU that is too old for the kernel is refused by its failure with a small process',
  options,
  async () => {
    const criu = `[ "$1" = dump ] && { echo 'Error: Unexpected rt vDSO area bounds' >dump.log; exit 1; }\nexec ${BROUGHT}/criu "$@"`;
    const refused = await assessed('b-broken', {
      programs: await programsWith('broken', { criu }),
    });
    assert.deepEqual(
      refused.map(({ name, error }) => [name, error?.code]),
      [['stream', 'GODWIT_CAPABILITY']],
    );
    assert.match(refused[0]?.evidence ?? '', /Unexpected rt vDSO area bounds/);
    assert.match(refused[0]?.error?.hint ?? '', /tools\/setup\.sh --only containers/);
  },
);

test('a host without perl tries CRIU all the same', options, async (t) => {
  if (process.arch !== 'x64') return t.skip('the program is for x86-64');
  const programs = await programsWith('no-perl', { perl: 'exit 127' });
  assert.deepEqual(await assessed('b-no-perl', { programs }), []);
});

test(
  "rules in a container's network are refused by name, and it keeps running without them",
  options,
  async () => {
    const netns = site.guest.replace(/^box/, 'gt');
    const inside = (...argv: string[]) => runCommand(['ip', 'netns', 'exec', netns, ...argv]);
    await inside('nft', 'add', 'table', 'inet', 'shop');
    try {
      const refused = refusedOf((await examined()).checks);
      assert.deepEqual(
        refused.map(({ name, error }) => [name, error?.code]),
        [['devices', 'GODWIT_DEVICE_UNMOVABLE']],
      );
      assert.match(refused[0]?.evidence ?? '', /nft table inet shop/);
    } finally {
      await inside('nft', 'delete', 'table', 'inet', 'shop');
    }
  },
);
