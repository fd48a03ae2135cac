import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { capLog, eachLog, guestsWithLogs, logDirOf, logSize } from '../../src/host/guest-logs.ts';

const CAP = 64 * 1024;

function place(t: TestContext): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'godwit-logs-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

describe("a guest's log", () => {
  test("a guest's log that is within its limit stays unchanged", async (t) => {
    const file = path.join(place(t), 'serial.log');
    writeFileSync(file, 'x'.repeat(CAP));
    await capLog(file, CAP);
    assert.equal(readFileSync(file, 'utf8'), 'x'.repeat(CAP));
  });

  test("a guest's log is cut to its end, and its writer continues in the same file", async (t) => {
    const file = path.join(place(t), 'serial.log');
    const writer = openSync(file, 'a');
    t.after(() => closeSync(writer));
    writeSync(writer, `${'x'.repeat(CAP)}${'y'.repeat(CAP / 4)}`);
    await capLog(file, CAP);
    writeSync(writer, 'on it goes');
    const said = `[godwit: ${CAP} bytes before this were dropped]\n`;
    assert.equal(readFileSync(file, 'utf8'), `${said}${'y'.repeat(CAP / 4)}on it goes`);
  });

  test("a guest's log takes no more than its limit plus the bytes written between two checks", async (t) => {
    const dir = place(t);
    const write = fc.integer({ min: 0, max: 3 * CAP });
    await fc.assert(
      fc.asyncProperty(
        fc.array(write, { maxLength: 12 }),
        fc.boolean(),
        async (writes, appends) => {
          const file = path.join(dir, 'serial.log');
          const writer = openSync(file, appends ? 'a' : 'w');
          try {
            for (const length of writes) {
              writeSync(writer, Buffer.alloc(length, 'z'));
              await capLog(file, CAP);
              // A filesystem counts in blocks.
              assert.ok((await logSize(file)) <= CAP + 8192);
            }
          } finally {
            closeSync(writer);
            rmSync(file, { force: true });
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test("a guest's log is never a link, another file's second name, or a pipe", async (t) => {
    const dir = place(t);
    const precious = path.join(dir, 'precious');
    writeFileSync(precious, 'p'.repeat(2 * CAP));
    const link = path.join(dir, 'link.log');
    symlinkSync(precious, link);
    await assert.rejects(capLog(link, CAP), { code: 'ELOOP' });
    const second = path.join(dir, 'second.log');
    linkSync(precious, second);
    await capLog(second, CAP);
    const pipe = path.join(dir, 'pipe.log');
    assert.equal(spawnSync('mkfifo', [pipe]).status, 0);
    await capLog(pipe, CAP);
    assert.equal(statSync(precious).size, 2 * CAP);
    assert.equal(await logSize(link), 0);
    assert.equal(await logSize(path.join(dir, 'none.log')), 0);
  });
});

describe("the logs of this host's guests", () => {
  test("the guests' logs are in a separate directory, or in the one that is configured", async (t) => {
    const stateDir = place(t);
    const own = { name: 'a', stateDir, guestLogs: { bytes: CAP } };
    const away = { ...own, guestLogs: { bytes: CAP, directory: path.join(stateDir, 'away') } };
    assert.equal(logDirOf(own, 'web1'), path.join(stateDir, 'guests/web1/godwit-logs'));
    assert.equal(logDirOf(away, 'web1'), path.join(stateDir, 'away/godwit-a/web1'));
    for (const config of [own, away]) mkdirSync(logDirOf(config, 'web1'), { recursive: true });
    const files = ['guests/web1/qemu.log', 'guests/web1/godwit-logs/con', 'away/godwit-a/web1/con'];
    for (const file of [...files, 'guests/web1/kernel', 'guests/stray.log'])
      appendFileSync(path.join(stateDir, file), 'x');
    mkdirSync(path.join(stateDir, 'guests/web1/dir.log'));
    const at = (...list: string[]): string[] => list.map((file) => path.join(stateDir, file));
    assert.deepEqual(await guestsWithLogs(own), ['web1']);
    assert.deepEqual(await logsOf(own, 'web1'), at('guests/web1/qemu.log', files[1] ?? ''));
    assert.deepEqual(await logsOf(away, 'web1'), at('guests/web1/qemu.log', files[2] ?? ''));
    assert.deepEqual(await logsOf(own, 'nobody'), []);
  });

  test("the guests' logs are in the directory that was opened, whatever its hypervisor replaces it by", async (t) => {
    const stateDir = place(t);
    const config = { name: 'a', stateDir, guestLogs: { bytes: CAP } };
    const dir = logDirOf(config, 'web1');
    const victim = path.join(stateDir, 'victim');
    for (const each of [dir, victim]) {
      mkdirSync(each, { recursive: true });
      writeFileSync(path.join(each, 'con'), 'p'.repeat(2 * CAP));
    }
    await eachLog(config, 'web1', {
      see: async ({ at }) => {
        renameSync(dir, `${dir}-away`);
        symlinkSync(victim, dir);
        await capLog(at, CAP);
      },
      failed: (_directory, err) => assert.fail(err as Error),
    });
    assert.equal(statSync(path.join(victim, 'con')).size, 2 * CAP);
    assert.ok(statSync(path.join(`${dir}-away`, 'con')).size < CAP);
  });

  test('logs belong to no guest if the guests cannot be listed, and there are none without guests', async (t) => {
    const stateDir = place(t);
    const config = { name: 'a', stateDir, guestLogs: { bytes: CAP } };
    assert.deepEqual(await guestsWithLogs(config), []);
    writeFileSync(path.join(stateDir, 'guests'), '');
    await assert.rejects(guestsWithLogs(config), { code: 'ENOTDIR' });
  });
});

async function logsOf(config: Parameters<typeof eachLog>[0], guest: string): Promise<string[]> {
  const files: string[] = [];
  await eachLog(config, guest, {
    see: async ({ file, at }) => {
      assert.equal(statSync(at).ino, statSync(file).ino);
      files.push(file);
    },
    failed: (_directory, err) => assert.fail(err as Error),
  });
  return files;
}
