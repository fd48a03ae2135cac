import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { judgePrivileges, lacksOf } from '../../../../src/drivers/criu/host/privileges.ts';

const run = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname, '../../../..');
const MODULE = path.join(ROOT, 'src/drivers/criu/host/privileges.ts');
const settings = (file: string): string[][] =>
  readFileSync(path.join(ROOT, 'packaging/systemd', file), 'utf8')
    .split('\n')
    .flatMap((line) => [/^([A-Za-z]+)=(.*)$/.exec(line)?.slice(1) ?? []])
    .filter(({ length }) => length > 0);
const skip = process.getuid?.() === 0 ? false : 'only root can take capabilities away';
const ALL = 'CapEff:\t000001ffffffffff\n';

/** What that file of a process says, begun by `argv`, which takes something from it. */
async function within(argv: readonly string[], script: string): Promise<string> {
  const [program = '', ...words] = argv;
  const text = `const own = await import(${JSON.stringify(MODULE)}); ${script}`;
  const args = [...words, process.execPath, '--input-type=module', '-e', text];
  return (await run(program, args)).stdout.trim();
}

test('each missing capability is named, and none for a process that has all', async () => {
  assert.deepEqual(lacksOf(ALL), []);
  assert.equal(await judgePrivileges('a', 'source', ALL), undefined);
  assert.deepEqual(lacksOf('CapEff:\t000001ffffdfffff\n'), ['CAP_SYS_ADMIN']);
  assert.equal(lacksOf('').length, 6, 'nothing is known of it');
  const check = await judgePrivileges('a', 'destination', 'CapEff:\t000001fff7dfffff\n');
  assert.deepEqual([check?.name, check?.verdict], ['stream', 'refuse']);
  assert.equal(check?.error?.code, 'GODWIT_PRIVILEGE');
  assert.match(check?.error?.message ?? '', /containers of a requires CAP_SYS_ADMIN, CAP_MKNOD$/);
  assert.match(check?.error?.hint ?? '', /containers\.conf/);
});

test(
  'a process that the packaged unit has started is refused by its missing privileges',
  { skip },
  async () => {
    const kept = settings('godwit-agent.service')
      .filter(([name]) => name === 'CapabilityBoundingSet')
      .flatMap(([, names = '']) => names.toLowerCase().split(' '));
    const set = ['-all', ...kept.map((name) => name.replace('cap_', '+'))].join(',');
    const said = await within(
      ['setpriv', '--bounding-set', set],
      "console.log((await own.judgePrivileges('a', 'source')).error.message)",
    );
    assert.match(said, /requires CAP_SYS_CHROOT, CAP_SYS_ADMIN, CAP_MKNOD$/);
  },
);

test('the drop-in for containers undoes every restriction of the unit on system calls and capabilities', () => {
  const others =
    /^(Type|Exec.*|TimeoutStartSec|Restart.*(Sec|Status)|Restart|KillMode|TasksMax|LimitNOFILE|StateDirectory.*|CacheDirectory.*|SystemCallErrorNumber|Description|Documentation|After|Wants|ConditionPathExists|WantedBy)$/;
  const confines = settings('godwit-agent.service')
    .map(([name = '']) => name)
    .filter((name) => !others.test(name));
  const back = new Map(settings('containers.conf').map(([name = '', value = '']) => [name, value]));
  assert.deepEqual([...back.keys()].toSorted(), [...new Set(confines)].toSorted());
  for (const [name, value] of back) {
    assert.match(value, name === 'CapabilityBoundingSet' ? /^~$/ : /^(no)?$/, name);
  }
});

/** A filter that allows everything. */
const FILTERED = `$filter = pack("SCCL", 6, 0, 0, 0x7fff0000);
  syscall(157, 22, 2, pack("Sx6P", 1, $filter)) == 0 or die "no filter: $!"; exec @ARGV;`;

test(
  'a process under a system call filter is refused by it, whatever the filter allows',
  { skip },
  async () => {
    const said = await within(
      ['perl', '-e', FILTERED],
      "console.log((await own.judgePrivileges('b', 'destination')).error.message)",
    );
    assert.match(said, /containers of b .*under a filter of system calls/);
    const check = await judgePrivileges('a', 'source', `${ALL}Seccomp:\t2\n`);
    assert.equal(check?.error?.code, 'GODWIT_CAPABILITY');
    assert.equal(await judgePrivileges('a', 'source', `${ALL}Seccomp:\t0\n`), undefined);
  },
);
