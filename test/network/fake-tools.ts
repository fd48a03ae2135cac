import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { tempDir } from '../rpc/test-contract.ts';

/** What a tool of the network writes when it is called with these words; `fails`: with status 1, and to its errors. */
export type Answers = Readonly<Record<string, unknown>>;
export const FAILS = Symbol('fails');

/**
 * Stands for `ip`, `bridge` and `ovs-vsctl` until the test ends. A key of `answers` is a call with its words, in which `*`
 * stands for any; a call that none matches succeeds and writes nothing. What is returned lists the calls that would have
 * changed something.
 */
export function fakeTools(t: TestContext, answers: Answers): () => string[] {
  const top = tempDir(t);
  const cases = Object.entries(answers).map(([call, answer]) => {
    const pattern = call.replaceAll(' ', '\\ ');
    if (answer === FAILS) return `  ${pattern}) echo 'it is to fail' >&2; exit 1 ;;`;
    const text = typeof answer === 'string' ? answer : JSON.stringify(answer);
    return `  ${pattern}) cat <<'END'\n${text}\nEND\n  ;;`;
  });
  const log = path.join(top, 'log');
  const program = `#!/bin/sh\nwords="\${0##*/} $*"\necho "$words" >>${log}\ncase "$words" in\n${cases.join('\n')}\nesac\n`;
  const bin = path.join(top, 'bin');
  mkdirSync(bin);
  for (const tool of ['ip', 'bridge', 'ovs-vsctl'])
    writeFileSync(path.join(bin, tool), program, { mode: 0o755 });
  // The switch is there where its database's socket is.
  writeFileSync(path.join(top, 'db.sock'), '');
  const before = { PATH: process.env['PATH'], OVS_RUNDIR: process.env['OVS_RUNDIR'] };
  process.env['PATH'] = `${bin}:${before.PATH ?? ''}`;
  process.env['OVS_RUNDIR'] = top;
  t.after(() => {
    process.env['PATH'] = before.PATH;
    if (before.OVS_RUNDIR === undefined) delete process.env['OVS_RUNDIR'];
    else process.env['OVS_RUNDIR'] = before.OVS_RUNDIR;
  });
  return () => {
    const calls = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
    return calls.filter((call) => !/ (show|list)( |$)/.test(call));
  };
}
