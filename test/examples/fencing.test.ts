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

const plain = (state: string): string => `{ "Id": "1", "PowerState": "${state}" }`;

/**
 * A management controller in the place of curl: `power` is its state at first, `after` its state once it was told to turn
 * the host off, unless it refuses that. `answer` makes the text of an answer of the state.
 */
function controller(
  t: TestContext,
  power: string,
  after: string,
  { refuses = false, answer = plain } = {},
): Controller {
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
  *ComputerSystem.Reset*) ${refuses ? 'exit 22' : `printf '%s' '${after}' > '${file('state')}'`} ;;
  *) state=$(cat '${file('state')}'); [ "$state" != dark ] || exit 7
     cat "${dir}/answer-$state" ;;
esac
`,
  );
  chmodSync(file('curl'), 0o755);
  for (const state of ['On', 'Off']) writeFileSync(file(`answer-${state}`), answer(state));
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
  test('the example of a fencing hook turns the host off and proves it', (t) => {
    const bmc = controller(t, 'On', 'Off');
    const { status, out, err } = bmc.run('b');
    assert.equal(status, 0, err);
    assert.match(out, /power is off/);
    assert.match(bmc.calls(), /ForceOff/);
  });

  test('the example of a fencing hook sends the order even to a host that seems off, and accepts a refusal', (t) => {
    const off = controller(t, 'Off', 'Off');
    assert.equal(off.run('b').status, 0);
    assert.match(off.calls(), /^[^\n]*ForceOff[^\n]*\n[^\n]*Systems\/1\n$/);
    assert.equal(controller(t, 'Off', 'Off', { refuses: true }).run('b').status, 0);
    const on = controller(t, 'On', 'On', { refuses: true }).run('b');
    assert.equal(on.status, 1);
    assert.match(on.err, /takes no order to turn it off; its power is On/);
  });

  test('the example of a fencing hook reads the PowerState of the system, and of no part of it', (t) => {
    const oem = '"Oem": { "Vendor": { "AuxNode": { "PowerState": "Off" } } }';
    const parts = (state: string): string[] => [
      `{ "PowerState": "${state}", ${oem} }`,
      `{\n  ${oem},\n  "PowerState": "${state}"\n}\n`,
      `{ "Description": "\\"PowerState\\": \\"Off\\"", "PowerState": "${state}" }`,
    ];
    for (const [at, text] of parts('On').entries()) {
      const bmc = controller(t, 'On', 'On', { answer: (state) => parts(state)[at] ?? '' });
      assert.equal(bmc.run('b').status, 1, text);
      const honest = controller(t, 'On', 'Off', { answer: (state) => parts(state)[at] ?? '' });
      assert.equal(honest.run('b').status, 0, text);
    }
    for (const text of [
      `{ ${oem} }`,
      `{ "PowerState": "On", "PowerState": "Off" }`,
      `{ "PowerState": ["Off"] }`,
      `[{ "PowerState": "Off" }]`,
      `{ "PowerState": "Off"`,
      'PowerState: "PowerState":"Off"',
    ])
      assert.equal(controller(t, 'On', 'Off', { answer: () => text }).run('b').status, 1, text);
  });

  test('the example of a fencing hook proves nothing for a host that is on, unreachable or not listed', (t) => {
    const stubborn = controller(t, 'On', 'On').run('b');
    assert.equal(stubborn.status, 1);
    assert.match(stubborn.err, /the power of b is On/);
    const dark = controller(t, 'dark', 'dark').run('b');
    assert.equal(dark.status, 1);
    assert.match(dark.err, /does not answer|is unknown|is $/m);
    assert.equal(controller(t, 'Off', 'Off').run('c').status, 1);
  });
});
