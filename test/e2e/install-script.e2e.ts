import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { noCleanRoot, openCleanRoot, type CleanRoot } from './support/clean-root.ts';

const PACKAGING = path.resolve(import.meta.dirname, '../../packaging');
const STATE = '/var/lib/godwit';

describe(
  'the package scripts in a separate root file system',
  {
    skip: noCleanRoot() ?? false,
  },
  () => {
    let root: CleanRoot;
    const does = async (line: string): Promise<string> => {
      const { exit, out } = await root.run(line);
      assert.equal(exit, 0, `${line}: ${out}`);
      return out;
    };

    before(async () => {
      root = await openCleanRoot();
      const folder = path.join(root.folder, 'unpacked');
      mkdirSync(folder);
      for (const script of ['install.sh', 'purge.sh', 'place.sh'])
        copyFileSync(path.join(PACKAGING, script), path.join(folder, script));
      await does(
        'cd /unpacked && chmod 0755 *.sh && mkdir -p root/usr/lib/godwit/app root/usr/bin',
      );
      await does('cd /unpacked && mkdir -p root/usr/share/zsh/vendor-completions');
      await does('cd /unpacked/root && echo 0123 > usr/lib/godwit/app/BUILD');
      await does('cd /unpacked/root && echo : > usr/share/zsh/vendor-completions/_godwit');
      await does(
        'cd /unpacked/root && mv ../place.sh usr/lib/godwit/ && cp /bin/true usr/bin/godwit',
      );
      // As tar leaves it to a user whose umask is 077.
      await does('chown -R 1000:1000 /unpacked && chmod -R go= /unpacked');
    });
    after(() => root.close());

    test("an installation keeps the modes of the host's directories, whatever the folder's modes are", async () => {
      const own = '/ /usr /usr/bin /usr/lib /usr/share';
      const modes = `stat -c '%n %a %u:%g' ${own}`;
      await does('chmod 0775 /usr/share');
      const before = await does(modes);
      await does('umask 077; /unpacked/install.sh');
      assert.equal(await does(modes), before);
      const ours =
        '/usr/bin/godwit /usr/share/zsh/vendor-completions /usr/lib/godwit /usr/lib/godwit/builds /usr/lib/godwit/app';
      const [program, ...others] = (await does(`stat -c '%a %u:%g' ${ours}`)).trim().split('\n');
      assert.equal(program, '755 0:0');
      assert.deepEqual(new Set(others), new Set(['755 0:0']));
      const files = '/usr/share/zsh/vendor-completions/_godwit /usr/lib/godwit/builds/0123/BUILD';
      assert.equal(await does(`stat -c '%a %u:%g' ${files}`), '644 0:0\n644 0:0\n');
    });

    const makeState = async (): Promise<void> => {
      await does(
        `mkdir -p /etc/godwit /var/cache/godwit/v8 ${STATE}/guests/idle ${STATE}/cache/pages`,
      );
      await does(`cd ${STATE} && mkdir -p migrations/m-1 disk-moves pki wire-shares`);
      await does(
        `cd ${STATE} && touch agent.sock store.json fleet.json fleet.json.7.tmp pruned-migrations`,
      );
    };
    const purge = () => does('sh /unpacked/purge.sh');

    test('a purge removes everything that Godwit has kept, and prints nothing', async () => {
      await makeState();
      assert.equal(await purge(), '');
      await does(`test ! -e ${STATE} && test ! -e /etc/godwit && test ! -e /var/cache/godwit`);
    });

    for (const [name, config] of [
      ['no configuration', 'rm -f /etc/godwit/agent.json'],
      [
        'another file as its configuration',
        'rm -f /etc/godwit/agent.json; touch /etc/godwit/b.json',
      ],
      [
        'the directory itself as its storage',
        `echo '{"storage":[{"path":"${STATE}"}]}' > /etc/godwit/agent.json`,
      ],
    ] as const) {
      test(`a purge leaves disks below the directory, and names them, with ${name}`, async () => {
        await makeState();
        await does(
          `mkdir -p ${STATE}/images && echo disk | tee ${STATE}/web1.qcow2 > ${STATE}/images/web2.raw`,
        );
        await does(config);
        const said = await purge();
        assert.match(said, /\/var\/lib\/godwit stays, .*: images web1\.qcow2 $/m);
        assert.equal(/\/etc\/godwit stays, .*: b\.json $/m.test(said), config.includes('b.json'));
        assert.equal(await does(`cat ${STATE}/web1.qcow2 ${STATE}/images/*`), 'disk\ndisk\n');
        assert.equal(await does(`ls -A ${STATE}`), 'images\nweb1.qcow2\n');
        await does(`rm -rf ${STATE} /etc/godwit`);
      });
    }

    test('a purge crosses no link and no mount, even of the same file system', async () => {
      await makeState();
      await does('mkdir -p /srv/disks/web1 /srv/more && touch /srv/disks/web1/disk /srv/more/disk');
      await does(`mkdir ${STATE}/cache/mounted && mount --bind /srv/disks ${STATE}/cache/mounted`);
      await does(`rmdir ${STATE}/guests/idle ${STATE}/guests && ln -s /srv/disks ${STATE}/guests`);
      await does(`rmdir ${STATE}/pki && ln -s /srv/more ${STATE}/pki`);
      assert.match(await purge(), /: cache guests \n$/);
      await does('test -e /srv/disks/web1/disk && test -e /srv/more/disk');
      await does(`umount ${STATE}/cache/mounted && rm -r ${STATE} /srv/disks /srv/more`);
    });

    test('a purge leaves the files that a running guest has on its command line or open', async () => {
      await makeState();
      await does(`cd ${STATE}/guests && mkdir named open && touch named/qmp.sock`);
      await does(
        `(exec setsid sh -c 'sleep 3600; :' ${STATE}/guests/named/qmp.sock >/dev/null 2>&1 &)`,
      );
      await does(`(exec setsid sleep 3600 >${STATE}/guests/open/serial.log 2>&1 &)`);
      assert.match(await purge(), /: guests \n$/);
      assert.equal(
        await does(`ls -A ${STATE}/guests/*`),
        `${STATE}/guests/named:\nqmp.sock\n\n${STATE}/guests/open:\nserial.log\n`,
      );
    });
  },
);
