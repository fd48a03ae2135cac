import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

const root = path.resolve(import.meta.dirname, '../..');
const purge = readFileSync(path.join(root, 'packaging/purge.sh'), 'utf8');

/** The names that the code joins to `stateDir`: as they stand there, and by a constant of the same file or of another. */
function namesOfTheCode(): ReadonlySet<string> {
  const files = readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' });
  const texts = files
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(path.join(root, 'src', file), 'utf8'));
  const joined = texts.flatMap((text) =>
    [...text.matchAll(/path\.join\((?:[\w.#]+\.)?stateDir, (?:'([^']+)'|(\w+))/g)].flatMap(
      ([, name, constant]) => {
        if (name !== undefined) return [name];
        const value = new RegExp(`const ${constant} = '([^']+)'`);
        return [value.exec(text), ...texts.map((other) => value.exec(other))]
          .flatMap((match) => (match?.[1] === undefined ? [] : [match[1]]))
          .slice(0, 1);
      },
    ),
  );
  return new Set(joined);
}

test('a purge names everything that the code creates in stateDir', () => {
  const names = namesOfTheCode();
  assert.ok(names.size >= 10, [...names].join(' '));
  const missing = [...names].filter(
    (name) => !purge.includes(`"$real/${name}"`) && !purge.includes(`"$real/${name}"/*`),
  );
  assert.deepEqual(missing, []);
});

test('a purge keeps and names files of the operator in /etc/godwit', (t) => {
  const root = mkdtempSync(path.join(tmpdir(), 'purge-'));
  t.after(() => rmSync(root, { recursive: true }));
  const script = purge.replaceAll(/(?<![\w"/])\/(?:var|etc)\//g, (place) => `${root}${place}`);
  assert.equal(script.match(/(?<![\w"/])\/(?:var|etc)\/\w/g), null);
  const config = path.join(root, 'etc/godwit');
  mkdirSync(path.join(config, 'luks'), { recursive: true });
  mkdirSync(path.join(config, 'ca'));
  for (const name of [
    'agent.json',
    'agent.json.txt',
    'controller.json',
    'relay.json',
    'ca/ca.key',
    'luks/web1',
    'vc1.password',
  ])
    writeFileSync(path.join(config, name), 'text');
  const { status, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.match(
    stderr,
    /etc\/godwit stays, with files that Godwit did not make: luks vc1\.password $/m,
  );
  assert.deepEqual(readdirSync(config, { recursive: true, encoding: 'utf8' }).toSorted(), [
    'luks',
    'luks/web1',
    'vc1.password',
  ]);
});

test('a purge removes the passwords of managers from memory, and no directory of another name', (t) => {
  const root = mkdtempSync(path.join(tmpdir(), 'purge-'));
  t.after(() => rmSync(root, { recursive: true }));
  const script = purge.replaceAll(/(?<![\w"/])\/(?:var|etc)\//g, (place) => `${root}${place}`);
  const state = path.join(root, 'var/lib/godwit');
  for (const [name, isLeft] of [
    ['godwit-managers-a1B2c3', false],
    ['of-another', true],
  ] as const) {
    mkdirSync(state, { recursive: true });
    mkdirSync(path.join(root, name));
    writeFileSync(path.join(root, name, 'password'), 'secret');
    symlinkSync(path.join(root, name), path.join(state, 'manager-passwords'));
    const { status, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.equal(existsSync(path.join(root, name, 'password')), isLeft, name);
    assert.equal(existsSync(state), false);
  }
});

test('a purge keeps and names the files that a container may have written here', (t) => {
  const root = mkdtempSync(path.join(tmpdir(), 'purge-'));
  t.after(() => rmSync(root, { recursive: true }));
  const script = purge.replaceAll(/(?<![\w"/])\/(?:var|etc)\//g, (place) => `${root}${place}`);
  const containers = path.join(root, 'var/lib/godwit/containers');
  const alive = { pid: 1, startTicks: 1 };
  const own = { token: 't', mover: alive, memoryBytes: 1 };
  const made = { netns: 'n', nics: [], overlay: true };
  const records = {
    ran: { ...own, init: alive, made },
    restoring: { ...own, worker: alive, made },
    cold: { ...own, made, cold: 'arrived' },
    abandoned: { ...own, made },
    leaving: { ...own, init: alive, leaving: 'sent' },
  };
  for (const [name, record] of Object.entries(records)) {
    mkdirSync(path.join(containers, name, 'upper'), { recursive: true });
    writeFileSync(path.join(containers, name, 'record.json'), JSON.stringify(record));
    writeFileSync(path.join(containers, name, 'upper', 'db'), 'written');
  }
  const { status, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.deepEqual(readdirSync(containers).toSorted(), ['cold', 'ran', 'restoring']);
  for (const name of ['cold', 'ran', 'restoring']) {
    assert.ok(existsSync(path.join(containers, name, 'upper', 'db')), name);
    assert.match(stderr, new RegExp(`containers/${name} stays: `));
  }
  assert.doesNotMatch(stderr, /containers\/(?:abandoned|leaving)/);
});

test('no script of a package removes the whole of /var/lib/godwit or /etc/godwit', () => {
  for (const script of ['purge.sh', 'install.sh', 'deb/postrm', 'deb/prerm']) {
    const text = readFileSync(path.join(root, 'packaging', script), 'utf8');
    assert.doesNotMatch(
      text,
      /\b(?:rm|remove) [^\n]*(?:\/var\/lib\/godwit|\/etc\/godwit|"?\$(?:state|config)"?)(?:\s|$)/m,
      script,
    );
  }
});
