/** The demo of a fleet as a user runs it: a process of its own that drains a host, kept and taken down, or broken off. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { request } from 'node:https';
import { describe, test } from 'node:test';
import { labDown } from '../../lab/down.ts';
import { PROGRAM, runToEnd } from './support/cli.ts';
import { demo, labOf, namespacesLeft } from './support/demo-run.ts';
import { labDirectory } from '../../src/cli/connection/labs.ts';

/** The status of what the dashboard's address answers; undefined where nobody listens. */
function statusOf(url: string, headers: Record<string, string> = {}): Promise<number | undefined> {
  return new Promise((resolve) => {
    const asked = request(
      url,
      { rejectUnauthorized: false, headers, timeout: 10_000 },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      },
    );
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(undefined));
    asked.end();
  });
}

describe('the demo of a fleet', () => {
  test('the demo drains a host while clients stay connected, stays up with --keep, and goes with one command', async (t) => {
    let lab = 'demo';
    t.after(() => labDown(lab));
    const ended = await demo(['--fleet', '--keep', '--json']);
    lab = labOf(ended);
    const shown = `exit ${ended.code}\n${ended.stderr}\n${ended.stdout}`;
    assert.equal(ended.code, 0, shown);
    const reported = JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '') as {
      ok: boolean;
      keptLab: string;
      leftBehind: string[];
      dashboard: { url: string; token: string };
      drain: { phase: string; guests: Record<string, unknown>[] };
    };
    assert.ok(reported.ok, shown);
    assert.deepEqual(
      [reported.keptLab, reported.leftBehind, reported.drain.phase],
      [lab, [], 'done'],
    );
    assert.deepEqual(reported.drain.guests.map(({ guest }) => String(guest)).toSorted(), [
      'db1',
      'web1',
      'web2',
    ]);
    for (const each of reported.drain.guests) {
      assert.deepEqual(
        [each['from'], each['connectionKept'], each['memoryVerified']],
        ['a', true, true],
      );
      for (const name of ['totalMs', 'downtimeMs', 'clientGapMs'])
        assert.ok(Number(each[name]) > 0, `${String(each['guest'])} ${name}\n${shown}`);
    }
    const { url, token } = reported.dashboard;
    assert.ok(ended.stderr.includes(url) && ended.stderr.includes(token), shown);
    assert.equal(await statusOf(`${url}/`), 200);
    assert.equal(await statusOf(`${url}/v1/hosts`), 401);
    assert.equal(await statusOf(`${url}/v1/hosts`, { authorization: `Bearer ${token}` }), 200);
    assert.match(ended.stderr, new RegExp(`godwit lab down --name ${lab}`));
    const down = await runToEnd([PROGRAM, 'lab', 'down', '--name', lab], {});
    assert.equal(down.exit, 0, down.err);
    assert.equal(await statusOf(`${url}/`), undefined);
    assert.equal(existsSync(labDirectory(lab)), false);
    assert.equal(await namespacesLeft(lab), false);
  });

  test('the demo takes everything down when it is interrupted while its guests boot', async (t) => {
    let lab = 'demo';
    t.after(() => labDown(lab));
    const ended = await demo(['--fleet', '--keep', '--json'], (stderr, interrupt) => {
      if (stderr.includes('web1 on a:')) interrupt();
    });
    lab = labOf(ended);
    const url = /https:\/\/127\.0\.0\.1:\d+/.exec(ended.stderr)?.[0] ?? '';
    assert.equal(ended.code, 130, ended.stderr);
    const { ok, leftBehind } = JSON.parse(ended.stdout) as { ok: boolean; leftBehind: string[] };
    assert.deepEqual({ ok, leftBehind }, { ok: false, leftBehind: [] });
    assert.equal(await statusOf(url), undefined);
    assert.equal(existsSync(labDirectory(lab)), false, ended.stderr);
    assert.equal(await namespacesLeft(lab), false);
  });
});
