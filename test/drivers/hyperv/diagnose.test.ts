import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { judgeClock } from '../../../src/drivers/hyperv/judge.ts';
import type { ManagerFinding } from '../../../src/port/managed.ts';
import { HypervPlace } from '../../managers/hyperv/place.ts';

let place: HypervPlace;

function diagnosed(more: object = {}): Promise<ManagerFinding[]> {
  return place.driver(more).diagnose(AbortSignal.timeout(60_000));
}

async function notOk(more: object = {}): Promise<ManagerFinding[]> {
  return (await diagnosed(more)).filter(({ verdict }) => verdict !== 'ok');
}

describe('doctor on Hyper-V hosts', () => {
  before(async () => {
    place = await HypervPlace.open();
  });
  after(() => place?.close());
  beforeEach(() => {
    const { world } = place;
    world.host('hv1');
    world.host('hv2');
    world.guests.length = 0;
    world.guest('web', 'hv1');
    world.groups = ['S-1-5-32-578'];
    world.compareFails = undefined;
    writeFileSync(path.join(place.dir, 'password'), 'Password\n', { mode: 0o600 });
  });

  test('two hosts that lack nothing get only ok, and each is asked', async () => {
    const found = await diagnosed();
    assert.deepEqual(
      found.filter(({ verdict }) => verdict !== 'ok'),
      [],
    );
    const names = found.map(({ name }) => name);
    for (const name of ['address', 'login', 'version', 'clock', 'right', 'live-migration'])
      assert.equal(names.filter((each) => each === name).length, 2, name);
    assert.deepEqual(
      found.filter(({ name }) => name === 'guests').map((each) => each.found),
      ['1 read, 1 running'],
    );
  });

  test('nothing is changed on the hosts', async () => {
    const before = JSON.stringify([place.world.guests, [...place.world.hosts]]);
    await diagnosed();
    assert.equal(JSON.stringify([place.world.guests, [...place.world.hosts]]), before);
    assert.equal(place.world.jobs.length, 0);
  });

  test('a user outside of Hyper-V Administrators lacks the permission, on each host', async () => {
    place.world.groups = ['S-1-5-32-580'];
    const found = await notOk();
    assert.deepEqual(
      found.map(({ name, verdict }) => [name, verdict]),
      [
        ['right', 'fail'],
        ['right', 'fail'],
      ],
    );
    assert.match(found[0]?.hint ?? '', /Add-LocalGroupMember/);
  });

  test('a source without delegation rights at the destination is reported, with the script', async () => {
    place.world.compareFails = {
      message: 'No credentials are available in the security package (0x8009030E).',
      hresult: -2146893042,
    };
    const [found] = await notOk();
    assert.deepEqual([found?.name, found?.verdict], ['delegation', 'fail']);
    assert.match(found?.found ?? '', /^a to b, by web: /);
    assert.match(found?.hint ?? '', /PrincipalsAllowedToDelegateToAccount/);
  });

  test('delegation that could not be verified is not reported as fine', async () => {
    place.world.guests.length = 0;
    const [found] = await notOk();
    assert.deepEqual([found?.name, found?.verdict], ['delegation', 'warn']);
    assert.match(found?.found ?? '', /not tried/);
  });

  test('disabled live migration, CredSSP and a missing network are reported with the command that helps', async () => {
    Object.assign(place.world.hosts.get('hv2') ?? {}, {
      enabled: false,
      authentication: 'CredSSP',
      anyNetwork: false,
    });
    const found = await notOk();
    assert.deepEqual(
      found.map(({ name }) => name),
      ['live-migration', 'networks', 'authentication'],
    );
    for (const each of found) assert.match(each.found, /^b: /);
    assert.match(found[0]?.hint ?? '', /Enable-VMMigration/);
  });

  test('an unknown version fails, with the known ones', async () => {
    place.world.hosts.get('hv2')!.version = '11.0';
    const found = await notOk();
    assert.deepEqual(
      found.map(({ name, verdict }) => [name, verdict]),
      [['version', 'fail']],
    );
    assert.match(found[0]?.found ?? '', /Windows 11\.0, not one of 6\.3, 10\.0/);
    assert.ok((found[0]?.hint ?? '').length > 20);
  });

  test('a wrong password and a wrong certificate are distinguished, and end the examination', async () => {
    const certificate = await diagnosed({ fingerprint: 'ab'.repeat(32) });
    assert.deepEqual(
      certificate.map(({ name, verdict }) => [name, verdict]),
      [['certificate', 'fail']],
    );
    writeFileSync(path.join(place.dir, 'password'), 'wrong\n', { mode: 0o600 });
    const login = await diagnosed();
    assert.deepEqual(
      login.map(({ name, verdict }) => [name, verdict]),
      [['login', 'fail']],
    );
  });

  test('a clock that Kerberos would refuse is reported', () => {
    assert.equal(judgeClock('a', 299_000, 0).verdict, 'ok');
    assert.match(judgeClock('a', 0, 301_000).found, /a: 301 s behind/);
    assert.equal(judgeClock('a', Number.NaN, 0).verdict, 'warn');
  });
});
