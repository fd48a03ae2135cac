import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countedCgroup } from '../../../../src/drivers/criu/host/counted-cgroup.ts';

const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/);
const place = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
const controllers = fc.shuffledSubarray(['cpu', 'pids', 'blkio', 'freezer']);

test("a container is counted in each controller's hierarchy, whatever else is mounted", () => {
  const anywhere = fc.record({
    ofProcessor: fc.option(place, { nil: undefined }),
    ofMemory: fc.option(place, { nil: undefined }),
    ofAll: place,
    others: controllers,
  });
  fc.assert(
    fc.property(anywhere, ({ ofProcessor, ofMemory, ofAll, others }) => {
      const lines = [
        ...others.map((each) => `3:${each}:/elsewhere`),
        ...(ofProcessor === undefined ? [] : [`7:cpuacct,perf:${ofProcessor}`]),
        ...(ofMemory === undefined ? [] : [`4:memory:${ofMemory}`]),
        `0::${ofAll}`,
      ];
      const root = '/p/sys/fs/cgroup';
      const unified = `${root}${ofAll}`;
      assert.deepEqual(countedCgroup(`${lines.join('\n')}\n`, '/p'), {
        processor:
          ofProcessor === undefined
            ? `${unified}/cpu.stat`
            : `${root}/cpuacct${ofProcessor}/cpuacct.usage`,
        memory: `${ofMemory === undefined ? unified : `${root}/memory${ofMemory}`}/memory.stat`,
      });
    }),
  );
});

test('a process in the root of cgroups is not a container, and the root counts the whole machine', () => {
  assert.equal(countedCgroup('0::/\n', ''), undefined);
  assert.equal(countedCgroup('4:memory:/box\n2:cpuacct:/\n0::/box\n', ''), undefined);
  assert.equal(countedCgroup('', ''), undefined);
});
