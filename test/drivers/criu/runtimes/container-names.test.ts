import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameAmongHosts } from '../../../../src/drivers/criu/runtimes/container-names.ts';
import { named } from '../../../../src/drivers/criu/runtimes/managed-containers.ts';

const ID = '9e88348ee1ea227d3114bf184d3a16c6394cc218d42657af8f1070b2370cd078';

test('containers with the same name on two hosts get different names, even if each host has both', () => {
  const on = (id: string): string | undefined =>
    named(
      [
        {
          id,
          pid: 1,
          labels: {},
          manager: 'docker',
          called: 'nginx',
          runtime: 'runc',
          bundle: '/b',
        },
      ],
      new Set(),
    )[0]?.name;
  assert.equal(on(ID), 'nginx-9e88348ee1ea');
  assert.equal(on(`0${ID}`), 'nginx-09e88348ee1e');
});

test("a name fits into a guest's name, and a name that is not a guest's yields none", () => {
  assert.equal(nameAmongHosts('x'.repeat(200), ID), `${'x'.repeat(50)}-9e88348ee1ea`);
  assert.equal(nameAmongHosts('a/b', ID), undefined);
});
