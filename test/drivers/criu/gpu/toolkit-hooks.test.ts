import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hookObstacles } from '../../../../src/drivers/criu/gpu/toolkit-hooks.ts';

const CDI = '/usr/bin/nvidia-cdi-hook';
const hook = (path: string, ...args: readonly string[]) => ({ path, args });
/** As `nvidia-ctk cdi generate` of release 1.18 writes them. */
const OWN = [
  hook(CDI, 'nvidia-cdi-hook', 'create-symlinks', '--link', 'libcuda.so.1::/usr/lib/libcuda.so'),
  hook(CDI, 'nvidia-cdi-hook', 'enable-cuda-compat', '--host-driver-version=580.159.04'),
  hook(CDI, 'nvidia-cdi-hook', 'update-ldcache', '--folder', '/usr/lib'),
  hook(CDI, 'nvidia-cdi-hook', 'disable-device-node-modification'),
  hook('/usr/bin/nvidia-ctk', 'nvidia-ctk', 'hook', 'chmod', '--mode', '755', '--path', '/dev/dri'),
];
const said = (hooks: unknown): string[] =>
  hookObstacles(hooks).map(({ device, hint }) => {
    assert.ok(hint.length > 20, device);
    return device;
  });

test("finished hooks of NVIDIA's toolkit block nothing", () => {
  assert.deepEqual(said({ createContainer: OWN }), []);
  for (const none of [undefined, null, {}, { prestart: [] }, { poststop: null }])
    assert.deepEqual(said(none), []);
});

test('a hook that would run at another time, or has an unknown effect, blocks the move by name', () => {
  assert.deepEqual(said({ startContainer: [OWN[0]] }), [
    'the hook nvidia-cdi-hook create-symlinks',
  ]);
  const other = hook(CDI, 'nvidia-cdi-hook', 'update-application-profile');
  assert.deepEqual(said({ createContainer: [...OWN, other] }), [
    'the hook nvidia-cdi-hook update-application-profile',
  ]);
  const [first] = hookObstacles({ createContainer: [other] });
  assert.match(first?.hint ?? '', /cdi generate --disable-hook update-application-profile/);
  assert.deepEqual(said({ poststart: [hook('/opt/site/register', 'register', 'box')] }), [
    'the hook register',
  ]);
  assert.deepEqual(said({ createContainer: [hook('/srv/x', 'nvidia-cdi-hook', 'chmod')] }), [
    'the hook x',
  ]);
});

test("the toolkit's older mode is refused with the working one", () => {
  const legacy = hook('/usr/bin/nvidia-container-runtime-hook', 'hook', 'prestart');
  const [found] = hookObstacles({ prestart: [legacy] });
  assert.equal(found?.device, 'the hook nvidia-container-runtime-hook');
  assert.match(found?.hint ?? '', /nvidia-container-runtime\.mode=cdi/);
});

test('hooks in no known form are refused', () => {
  for (const odd of ['x', 1, { prestart: 'x' }, { prestart: [{}] }, { prestart: [{ path: 1 }] }])
    assert.deepEqual(said(odd), ['hooks']);
});
