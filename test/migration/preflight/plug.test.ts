import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgePlugs } from '../../../src/migration/preflight/plug.ts';

test('a destination that was not told the devices to give to a guest is refused', () => {
  const plan = { to: 'b', settings: { plug: ['gpu0', 'dongle0'] } };
  const [found] = judgePlugs(plan, ['gpu0']);
  assert.equal(found?.error?.code, 'GODWIT_CAPABILITY');
  assert.match(found.evidence, /--plug dongle0.*b runs a build, or a driver/);
  assert.match(judgePlugs(plan)[0]?.evidence ?? '', /--plug gpu0, dongle0/);
  assert.deepEqual(judgePlugs(plan, plan.settings.plug), []);
  assert.deepEqual(judgePlugs({ to: 'b', settings: {} }), []);
});
