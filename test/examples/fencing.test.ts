import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('../../examples/fencing/redfish-fence', import.meta.url));

interface Controller {
  run(host: string): { readonly status: number | null; readonly out: string; readonly err: string };
  calls(): string;
}

/** A management controller in the place of curl: `power` is what it says first, `after` what a reset makes of it. */
function controller(t: TestContext, power: string, after: string): Controller {
  const dir = mkdtempSync(path.join(tmpdir(), 'godwit-bmc-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = (name: string): string => path.join(dir, name);
  writeFileSync(file('state'), power);
  writeFileSync(file('calls'), '');
  writeFileSync(file('hosts'), `# hosts\nb https://bmc-b/redfish/v1/Systems/1 ${file('secret')}\n`);
  writeFileSync(
    file('curl'),
    `#!/bin/sh
echo "$@" >> '${file('calls')}'
case "$*" in
  *ComputerSystem.Reset*) printf '%s' '${after}' > '${file('state')}' ;;
  *) state=$(cat '${file('state')}'); [ "$state" != dark ] || exit 7
     printf '{ "Id": "1", "PowerState": "%s" }' "$state" ;;
esac
`,
  );
  chmodSync(file('curl'), 0o755);
  return {
    run: (host) => {
      const env = { ...process.env, REDFISH_CURL: file('curl'), REDFISH_TRIES: '1' };
      const { status, stdout, stderr } = spawnSync(SCRIPT, [file('hosts'), host], {
        env,
        encoding: 'utf8',
        timeout: 30_000,
      });
      return { status, out: stdout, err: stderr };
    },
    calls: () => readFileSync(file('calls'), 'utf8'),
  };
}

describe('the example of a fencing hook', () => {
  test('turns the host off and proves it', (t) => {
    const bmc = controller(t, 'On', 'Off');
    const { status, out, err } = bmc.run('b');
    assert.equal(status, 0, err);
    assert.match(out, /power is off/);
    assert.match(bmc.calls(), /ForceOff/);
  });

  test('leaves a host that is off as it is', (t) => {
    const bmc = controller(t, 'Off', 'Off');
    assert.equal(bmc.run('b').status, 0);
    assert.doesNotMatch(bmc.calls(), /ForceOff/);
  });

  test('proves nothing while the host stays on, the controller is dark, or the host is not listed', (t) => {
    const stubborn = controller(t, 'On', 'On').run('b');
    assert.equal(stubborn.status, 1);
    assert.match(stubborn.err, /the power of b is On/);
    const dark = controller(t, 'dark', 'dark').run('b');
    assert.equal(dark.status, 1);
    assert.match(dark.err, /does not answer|is unknown|is $/m);
    assert.equal(controller(t, 'Off', 'Off').run('c').status, 1);
  });
});
