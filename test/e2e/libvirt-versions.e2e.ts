import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { cacheDirectory } from '../../src/system/files/cache-directory.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { LibvirtHosts } from '../drivers/libvirt/support/daemons.ts';
import { until } from '../until.ts';
import { AgentHost } from './support/agent-host.ts';

const NEWER = path.join(cacheDirectory(), 'libvirt/backports');
/** Of Debian's next release, in a root of its own; nobody brings it but a person. */
const NEXT = path.join(cacheDirectory(), 'libvirt/next');
const SETUP = path.join(import.meta.dirname, '../../tools/setup.sh');
const PARAMETERS = 'info migrate_parameters';
const skip = existsSync('/etc/debian_version') ? false : 'the newer libvirt is one of Debian';
const skipNext = existsSync(path.join(NEXT, 'version'))
  ? false
  : 'it is not there: tools/setup.sh --only libvirt-next';

describe("guests between this machine's libvirt and Debian's backports", { skip }, () => {
  before(() => bringNewer());
  moves(NEWER);
});

describe(
  "guests between this machine's libvirt and Debian's next release",
  { skip: skipNext },
  () => moves(NEXT),
);

describe(
  'guests between two newer versions of libvirt',
  { skip: skip === false ? skipNext : skip },
  () => {
    before(() => bringNewer());
    moves(NEXT, NEWER);
  },
);

function bringNewer(): void {
  execFileSync('bash', [SETUP, '--only', 'libvirt'], { stdio: ['ignore', 2, 2] });
}

/** The older libvirt at a, the newer at b; an agent of Godwit on each. */
function moves(newer: string, older?: string): void {
  let hosts: LibvirtHosts;
  let agents: Readonly<Record<'a' | 'b', AgentHost>>;
  const guest = `versions-${process.pid}`;

  before(async () => {
    hosts = await LibvirtHosts.open({ a: older, b: newer });
    const [a, b] = await Promise.all(
      (['a', 'b'] as const).map((name) =>
        AgentHost.start(name, { qemu: {}, libvirt: hosts.options(name) }),
      ),
    );
    assert.ok(a && b);
    agents = { a, b };
  });
  after(async () => {
    await Promise.all(Object.values(agents ?? {}).map((each) => each.close()));
    await hosts?.close();
  });
  afterEach(() => hosts.destroy(guest));

  async function states(): Promise<string[]> {
    return Promise.all(['a', 'b'].map((host) => hosts.state(host, guest)));
  }

  async function moved(from: 'a' | 'b', ...words: readonly string[]): Promise<Report> {
    const report = await agents[from].ended(await agents[from].begin(guest, ...words));
    assert.equal(report.outcome, 'done', JSON.stringify(report.error));
    const expected = ['running', 'absent'];
    assert.deepEqual(await states(), from === 'b' ? expected : expected.toReversed());
    return report;
  }

  /** The major version of the daemon of a host, by libvirt's own client. */
  async function version(host: string): Promise<number> {
    const said = await hosts.virsh(host, 'version', '--daemon');
    return Number(/Running against daemon: (\d+)\./.exec(said)?.[1]);
  }

  test('guests move from the older to the newer libvirt and back, and the check names both', async (t) => {
    const [low = 0, high = 0] = await Promise.all(['a', 'b'].map(version));
    assert.ok(low < high, `${low} and ${high}`);
    await hosts.guest('a', guest, { isPersistent: true });
    for (const [from, here, there] of [
      ['a', low, high],
      ['b', high, low],
    ] as const) {
      const { checks, downtimeMs, bytes = 0 } = await moved(from);
      const said = checks.find(({ name }) => name === 'manager')?.evidence;
      assert.match(said ?? '', new RegExp(`^libvirt ${here}\\..* here, ${there}\\.`));
      assert.ok(bytes > 1024 ** 2);
      t.diagnostic(`${said}: ${bytes} bytes, downtime ${downtimeMs} ms`);
      assert.match(
        await hosts.virsh(from === 'a' ? 'b' : 'a', 'dominfo', guest),
        /Persistent:\s+yes/,
      );
    }
  });

  for (const words of [
    ['--streams', '4'],
    ['--compress', 'xbzrle'],
    ['--mode', 'postcopy'],
    ['--mode', 'hybrid'],
  ] as const) {
    test(`guests move and return with ${words.join(' ')}`, async (t) => {
      await hosts.guest('a', guest);
      for (const from of ['a', 'b'] as const) {
        const id = await agents[from].begin(guest, ...words);
        const report = await agents[from].ended(id);
        if (/userfault/i.test(report.error?.message ?? '')) return t.skip(report.error?.message);
        assert.equal(report.outcome, 'done', JSON.stringify(report.error));
        assert.deepEqual(
          await states(),
          from === 'a' ? ['absent', 'running'] : ['running', 'absent'],
        );
      }
      return undefined;
    });
  }

  test('guests are refused a compression that one side lacks, by name, with a remedy', async () => {
    await hosts.guest('a', guest);
    const [low = 0, high = 0] = await Promise.all(['a', 'b'].map(version));
    const inOne = ['--compress', 'xbzrle', '--streams', '2'];
    for (const [words, said] of [
      ...(low < 10
        ? ([[['--compress', 'zstd'], `libvirt ${low}\\S+ of a does not know it`]] as const)
        : []),
      [inOne, `libvirt (?:${low}\\S+ of a|${high}\\S+ of b) takes XBZRLE in one stream`],
    ] as const) {
      const refused = await agents.a.godwit('migrate', guest, '--to', 'b', ...words);
      assert.equal(refused.exit, 4, refused.err + refused.out);
      assert.match(refused.err, new RegExp(said));
    }
    assert.deepEqual(await states(), ['running', 'absent']);
  });
}

test('a guest between two newer versions is compressed by zstd on its way', { skip }, async (t) => {
  bringNewer();
  const hosts = await LibvirtHosts.open({ a: NEWER, b: NEWER });
  t.after(() => hosts.close());
  const agent = await AgentHost.start('a', { qemu: {}, libvirt: hosts.options('a') });
  t.after(() => agent.close());
  const guest = `zstd-${process.pid}`;
  await hosts.guest('a', guest);
  const id = await agent.begin(guest, '--compress', 'zstd', '--max-bandwidth', '160mbit');
  await until('the daemon to say how it compresses', 60_000, async () => {
    const said = await hosts.virsh('a', 'qemu-monitor-command', guest, '--hmp', PARAMETERS);
    return /multifd-compression: zstd/.test(said) ? true : undefined;
  });
  const report = await agent.ended(id);
  assert.equal(report.outcome, 'done', JSON.stringify(report.error));
  assert.equal(await hosts.state('b', guest), 'running');
});
