import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  MAX_STATIC_MACS,
  PORT_SETTINGS,
  portSettings,
  protects,
  settingNames,
  settingWords,
} from '../../src/protocol/port-settings.ts';

describe('the settings of a port', () => {
  test('port settings have a name each, and all are checked', () => {
    assert.deepEqual(PORT_SETTINGS.toSorted(), Object.keys(portSettings.shape).toSorted());
    assert.ok(PORT_SETTINGS.some(protects));
    assert.ok(protects('isolated') && !protects('hairpin'));
  });

  test('port settings are written in the words of the bridge command', () => {
    const staticMacs = [{ mac: '52:54:00:00:00:01' }, { mac: '52:54:00:00:00:02', vlan: 7 }];
    const settings = { isolated: true, learning: false, mcast_router: 2, staticMacs };
    const words = settingNames(settings).map((name) => settingWords(name, settings));
    assert.deepEqual(words, [
      'isolated on',
      'learning off',
      'mcast_router 2',
      'static entries for 52:54:00:00:00:01, 52:54:00:00:00:02',
    ]);
    assert.deepEqual(settingNames(undefined), []);
  });

  test('port settings of a newer build lose their unknown fields, and are bounded', () => {
    assert.deepEqual(portSettings.parse({ guard: true, sealed: true }), { guard: true });
    const staticMacs = Array.from({ length: MAX_STATIC_MACS + 1 }, () => ({
      mac: '52:54:00:00:00:01',
    }));
    assert.ok(!portSettings.safeParse({ staticMacs }).success);
    assert.ok(!portSettings.safeParse({ priority: 64 }).success);
  });
});
